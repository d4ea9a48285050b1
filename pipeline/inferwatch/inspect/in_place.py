"""Inspections where nobody else makes them: right behind the record that asked.

A replay of a table, or of other rules than a topic's own, has no recorded answers. Behind the
record that closed the window is the one place that does not depend on how long an inspector takes.
"""

import msgspec

from inferwatch.core.fold import Output, Partition
from inferwatch.core.model import Position
from inferwatch.inspect.answer import answer
from inferwatch.records.events import Inspection
from inferwatch.records.raw import Decoded, RawRecord

_inspection = msgspec.json.Decoder(Inspection)


def fold(partition: Partition, raw: RawRecord, decoded: Decoded) -> list[Output]:
    """Outputs of one record, and behind them those of the answers to what it asked."""
    outputs = partition.fold(raw, decoded)
    at = Position(raw.partition, raw.offset, raw.time_ms)
    answers = [_inspection.decode(answer(one.value)) for one in outputs if one.kind == "request"]
    for found in answers:
        outputs += partition.answer(found, at)
    return outputs
