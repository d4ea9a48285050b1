"""Repeats by (emitter, seq), and what the senders say they never sent.

Exact in memory that grows with emitters, not with rows: the next sequence number of each, and the
holes below it that a batch out of order may still fill.

Processes and sources are kept apart. A process that sends is another one after each start, and what
it sent is not sent again when it is gone; a partition of another topic may be read again at any
time. So new processes never push out what is known of a source.
"""

from typing import Any

import msgspec

from inferwatch.records import keys
from inferwatch.records.decode import take
from inferwatch.records.rows import Rows, Truths

HOLES_MAX = 64
ORIGIN_HOLES_MAX = 4_096  # of a partition whose records came here by another way, in any order
EMITTERS_MAX = 10_000  # of a model; as many of its sources: a topic's partition, kind and version


class Emitter(msgspec.Struct):
    """`holes` are ranges `[from, to)` of numbers not seen; counters are the sender's own.

    Of a source `next_seq` is the offset behind the last row folded, and there are no holes.
    """

    next_seq: int = 0
    holes: list[tuple[int, int]] = []
    emitted: int = 0
    dropped: int = 0


def accept(emitters: dict[str, Emitter], name: str, seq: int) -> bool:
    """Whether batch `seq` of `name` is new. A sender without a name is never deduplicated."""
    if not name:
        return True
    emitter = emitters.pop(name, None)
    if emitter is None:
        # senders count from 0, so what came before may still be on its way
        emitter = Emitter()
    emitters[name] = emitter
    _bound(emitters)
    if seq >= emitter.next_seq:
        if seq > emitter.next_seq:
            most = ORIGIN_HOLES_MAX if name.startswith("@") else HOLES_MAX
            emitter.holes = [*emitter.holes, (emitter.next_seq, seq)][-most:]
        emitter.next_seq = seq + 1
        return True
    return _fill(emitter, seq)


def _bound(emitters: dict[str, Emitter]) -> None:
    """The one that was silent longest leaves."""
    while len(emitters) > EMITTERS_MAX:
        del emitters[next(iter(emitters))]


def repeated(sources: dict[str, Emitter], record: Any) -> int:
    """How many rows of a batch with source offsets were folded before; 0 for any other record."""
    offsets = getattr(record, "source_offsets", None)
    if offsets is None:
        return 0
    source = sources.get(_source(record))
    return 0 if source is None else int((offsets < source.next_seq).sum())


def _source(record: Rows | Truths) -> str:
    kind = "rows" if isinstance(record, Rows) else "truths"
    return keys.join(record.emitter, kind, record.version or "")


def fresh(emitters: dict[str, Emitter], sources: dict[str, Emitter], record: Rows | Truths) -> Any:
    """The rows of a batch that were not folded yet; None where there are none.

    A batch with source offsets is cut behind the highest one folded of its emitter: each kind and
    version by itself, since whoever reads a topic sends those in batches of their own. Any other
    batch is new or a repeat as a whole.
    """
    offsets = record.source_offsets
    if offsets is None:
        return record if accept(emitters, record.emitter, record.seq) else None
    name = _source(record)
    source = sources.pop(name, None) or Emitter()
    sources[name] = source
    _bound(sources)
    new = offsets >= source.next_seq
    source.next_seq = max(source.next_seq, int(offsets[-1]) + 1)
    return record if new.all() else take(record, new)


def _fill(emitter: Emitter, seq: int) -> bool:
    for at, (first, end) in enumerate(emitter.holes):
        if first <= seq < end:
            rest = [(first, seq), (seq + 1, end)]
            emitter.holes[at : at + 1] = [hole for hole in rest if hole[0] < hole[1]]
            return True
    return False


def account(emitters: dict[str, Emitter], name: str, emitted: int, dropped: int) -> tuple[int, int]:
    """Rows emitted and dropped since the sender last said so."""
    emitter = emitters.get(name)
    if emitter is None:
        return 0, 0
    change = max(0, emitted - emitter.emitted), max(0, dropped - emitter.dropped)
    emitter.emitted = max(emitter.emitted, emitted)
    emitter.dropped = max(emitter.dropped, dropped)
    return change
