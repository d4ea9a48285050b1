"""Repeats by (emitter, seq), and what the senders say they never sent.

Exact in memory that grows with emitters, not with rows: the next sequence number of each, and the
holes below it that a batch out of order may still fill.
"""

import msgspec

HOLES_MAX = 64
ORIGIN_HOLES_MAX = 4_096  # of a partition whose records came here by another way, in any order
EMITTERS_MAX = 10_000


class Emitter(msgspec.Struct):
    """`holes` are ranges `[from, to)` of numbers not seen; counters are the sender's own."""

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
    while len(emitters) > EMITTERS_MAX:
        del emitters[next(iter(emitters))]
    if seq >= emitter.next_seq:
        if seq > emitter.next_seq:
            most = ORIGIN_HOLES_MAX if name.startswith("@") else HOLES_MAX
            emitter.holes = [*emitter.holes, (emitter.next_seq, seq)][-most:]
        emitter.next_seq = seq + 1
        return True
    return _fill(emitter, seq)


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
