"""The fold without Kafka: records in, outputs out, for tests of rules and of the fold itself."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from inferwatch.core.fold import Partition
from inferwatch.core.output import Output
from inferwatch.core.reference import Values
from inferwatch.records.decode import decode
from inferwatch.records.definition import Definition
from inferwatch.records.outputs import AlertRecord, SchemaRecord, WindowRecord
from inferwatch.records.raw import RawRecord
from inferwatch.testing.builders import TIME_MS, raw_event, raw_inference, raw_labels, raw_tick

PLACES = ("partition", "first_offset", "last_offset", "first_bad")
DefinitionOf = Callable[[str], Definition]


def fold(
    partition: Partition, records: Iterable[RawRecord], definition_of: DefinitionOf
) -> list[Output]:
    """Fold records at their offsets; a model's first record defines it, as its owner would."""
    outputs = []
    for raw in records:
        decoded = decode(raw)
        name = partition.undefined(decoded)
        if name is not None:
            partition.define(name, definition_of(name), raw.offset)
        outputs += partition.fold(raw, decoded)
    return outputs


def placeless(value: Any) -> Any:
    """What an output says, without the places in the log that it names."""
    if isinstance(value, list):
        return [placeless(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: placeless(item) for name, item in value.items() if name not in PLACES}


def window_records(outputs: Iterable[Output]) -> list[WindowRecord]:
    """The windows among outputs."""
    return [_read(output, WindowRecord) for output in outputs if output.kind == "window"]


def schema_records(outputs: Iterable[Output]) -> list[SchemaRecord]:
    """The changes of schemas among outputs."""
    return [_read(output, SchemaRecord) for output in outputs if output.kind == "schema"]


def alert_records(outputs: Iterable[Output]) -> list[AlertRecord]:
    """The transitions of alerts among outputs."""
    return [_read(output, AlertRecord) for output in outputs if output.kind == "alert"]


def _read(output: Output, kind: Any) -> Any:
    return msgspec.json.decode(output.value, type=kind)


class Log:
    """Partition 0 with one model, folded while it is written; each record has the next offset.

    `start_ms` is midnight-aligned event time 0; times of records are given as ms after it. Every
    writing method gives the outputs of its record, which `outputs` keeps.
    """

    def __init__(
        self,
        definition: Definition,
        *,
        model: str = "team/model",
        values: Mapping[str, Values] | None = None,
    ) -> None:
        self.definition, self.model = definition, model
        self.partition = Partition(0, values)
        self.outputs: list[Output] = []
        self.offset = 0
        self.start_ms = TIME_MS // 86_400_000 * 86_400_000

    def write(self, raw: RawRecord) -> list[Output]:
        """Fold any record at the next offset."""
        placed = msgspec.structs.replace(raw, offset=self.offset)
        self.offset += 1
        found = fold(self.partition, [placed], lambda name: self.definition)
        self.outputs += found
        return found

    def rows(
        self, n: int, at_ms: int | list[int], record_ms: int | None = None, **columns: Any
    ) -> list[Output]:
        """A batch of n rows at one event time or at n; `columns` as of `raw_inference`.

        Ids are "0", "1", … in log order where none are given.
        """
        known = self.partition.models.get(self.model)
        first = sum(known.state.rows.values()) if known else 0
        times = [at_ms] * n if isinstance(at_ms, int) else at_ms
        columns.setdefault("ids", [str(first + row) for row in range(n)])
        raw = raw_inference(
            n=n,
            model=self.model,
            offset=self.offset,
            time_ms=[self.start_ms + time for time in times],
            record_time_ms=self.start_ms + (max(times) if record_ms is None else record_ms),
            **columns,
        )
        return self.write(raw)

    def labels(
        self, ids: list[str], label: list[Any], record_ms: int, **columns: Any
    ) -> list[Output]:
        """A batch of labels; their own times are the record's unless `time_ms` says otherwise."""
        times = columns.pop("time_ms", [record_ms] * len(ids))
        raw = raw_labels(
            ids=ids,
            label=label,
            model=self.model,
            offset=self.offset,
            time_ms=[self.start_ms + time for time in times],
            record_time_ms=self.start_ms + record_ms,
            **columns,
        )
        return self.write(raw)

    def tick(self, record_ms: int) -> list[Output]:
        """Time passed."""
        return self.write(raw_tick(offset=self.offset, time_ms=self.start_ms + record_ms))

    def event(self, event: Any, record_ms: int) -> list[Output]:
        """A small event of `records.events`."""
        return self.write(raw_event(event, time_ms=self.start_ms + record_ms))

    def windows(self, name: str = "", segment: str | None = "") -> list[WindowRecord]:
        """Windows so far of one definition and segment, in the order they were published.

        Without a name those of every definition; with None as segment those of every segment.
        """
        found = window_records(self.outputs)
        return [
            record
            for record in found
            if segment in (None, record.segment) and (not name or record.window.name == name)
        ]

    def schemas(self) -> list[SchemaRecord]:
        """Changes of the schema so far."""
        return schema_records(self.outputs)

    def alerts(self, alert: str = "") -> list[AlertRecord]:
        """Transitions so far, of one alert or of all."""
        found = alert_records(self.outputs)
        return [record for record in found if not alert or record.alert == alert]
