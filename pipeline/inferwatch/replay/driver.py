"""Drives the fold over records that exist already, and writes what it gives.

The same decode, the same `Partition` as the worker; only the source of records and of definitions
differs.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from inferwatch.core.fold import Counts, Output, Partition
from inferwatch.core.model import Model
from inferwatch.core.output import PUBLISHED
from inferwatch.core.reference import Values
from inferwatch.errors import unwritable
from inferwatch.inspect import in_place
from inferwatch.records.definition import Definition
from inferwatch.records.events import Gap
from inferwatch.records.outputs import Span
from inferwatch.records.raw import Decoded, RawRecord
from inferwatch.replay import unjudged
from inferwatch.replay.digest import Digest

FILES = {"window": "windows", "schema": "schema", "alert": "alerts", "dead": "dead"}
DefinitionOf = Callable[[str], Definition]
Write = Callable[[Output, int], None]
"""Takes an output and the record time, in ms, at which the fold gave it."""


class Summary(msgspec.Struct, kw_only=True):
    """What a replay read and what came of it, in rows unless said otherwise.

    `gaps` counts stretches that the workers passed over: behind one, live figures are others.
    `late` counts, by model and window, rows that came when their window had closed. `checks` names
    the alerts of each model's last definition, `unjudged` says why, by model and alert, of checks
    that were never judged.
    """

    records: int
    rows: int
    ok: int
    rejected: dict[str, int]
    duplicate: dict[str, int]
    windows: int
    alerts: int
    schema_changes: int = 0
    transitions: dict[str, int]
    dead: int
    gaps: int
    late: dict[str, dict[str, int]] = {}
    checks: dict[str, list[str]]
    unjudged: dict[str, dict[str, str]]
    digest: str
    seconds: float


class _Closed(msgspec.Struct):
    """What is read here of a window's record; those with a revision only restate."""

    model: str
    window: Span
    revision: int = 0
    late: int = 0


_closed = msgspec.json.Decoder(_Closed)


class Writer:
    """A file of `FILES` for each kind of output in a folder: each output once, in log order; and
    `told.jsonl`, which says of each alert's record when it was given.

    :raises UsageError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "summary.json").unlink(missing_ok=True)  # it stands beside a whole report
            self._files = {
                kind: (folder / f"{name}.jsonl").open("wb") for kind, name in FILES.items()
            }
            self._told = (folder / "told.jsonl").open("wb")
        except OSError as error:
            raise unwritable(folder, error) from None

    def __enter__(self) -> "Writer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in (*self._files.values(), self._told):
            file.close()

    def write(self, output: Output, time_ms: int) -> None:
        """One line; a dead letter as its headers."""
        line = output.value
        if output.kind == "dead":
            said = {name: value.decode(errors="replace") for name, value in output.headers.items()}
            line = msgspec.json.encode(said, order="sorted")
        self._files[output.kind].write(line + b"\n")
        if output.kind == "alert":
            told = msgspec.json.encode({"id": output.id, "told_ms": time_ms})
            self._told.write(told + b"\n")

    def summary(self, summary: Summary) -> None:
        """`summary.json`."""
        text = msgspec.json.format(msgspec.json.encode(summary, order="sorted"), indent=2)
        (self._folder / "summary.json").write_bytes(text + b"\n")


def run(
    records: Iterable[tuple[RawRecord, Decoded]],
    definition_of: DefinitionOf,
    values: Mapping[str, Values],
    write: Write,
    skipped: Collection[tuple[int, int]] = (),
    partition_count: int = 0,
    models_max: int = 0,
    *,
    inspect: bool = False,
) -> Summary:
    """Fold every record but those `skipped` (partition, offset); `write` gets each unique output
    once. `partition_count` is that of a recorded topic, whose misplaced records count where they
    were sent on to; `models_max` what its workers took of models in a partition, 0 for no cap.
    With `inspect` what the fold asks of inspectors is answered at once; else the records have the
    answers.

    :raises ConflictError: one id came with two contents.
    :raises ConfigError: an exact window needs reference columns that `values` lacks.
    """
    started = time.monotonic()
    partitions: dict[int, Partition] = {}
    digest, kinds, transitions = Digest(), Counter[str](), Counter[str]()
    late = Counter[tuple[str, str]]()
    read = 0
    gaps: set[tuple[int, int, int]] = set()  # a restore that was superseded writes one twice
    for raw, decoded in records:
        read += 1
        partition = partitions.get(raw.partition)
        if partition is None:
            partition = partitions[raw.partition] = Partition(
                raw.partition, values, partition_count, models_max
            )
            for number, offset in skipped:
                if number == raw.partition:
                    partition.skip(offset)
        if isinstance(decoded.record, Gap):
            gaps.add((raw.partition, decoded.record.from_offset, decoded.record.to_offset))
        name = partition.undefined(decoded)
        if name is not None:
            partition.define(name, definition_of(name), raw.offset)
        outputs = (in_place.fold if inspect else Partition.fold)(partition, raw, decoded)
        for output in outputs:
            if output.kind in PUBLISHED and digest.add_output(output):
                kinds[output.kind] += 1
                if output.kind == "alert":
                    transitions[_transition(output.value)] += 1
                elif output.kind == "window":
                    _add_late(late, _closed.decode(output.value))
                write(output, raw.time_ms)
    counts = total(partition.counts for partition in partitions.values())
    return Summary(
        records=read,
        rows=counts.in_,
        ok=counts.ok,
        rejected={reason.value: rows for reason, rows in counts.rejected.items()},
        duplicate=counts.duplicate,
        windows=kinds["window"],
        alerts=kinds["alert"],
        schema_changes=kinds["schema"],
        transitions=dict(sorted(transitions.items())),
        dead=kinds["dead"],
        gaps=len(gaps),
        late=_by_model(late + _late_yet(partitions.values())),
        checks={
            name: [check.alert for check in model.definition.checks]
            for name, model in _models(partitions.values())
        },
        unjudged={
            name: found
            for name, model in _models(partitions.values())
            if (found := _unjudged(model))
        },
        digest=digest.hex(),
        seconds=round(time.monotonic() - started, 3),
    )


def _models(partitions: Iterable[Partition]) -> list[tuple[str, Model]]:
    return [one for partition in partitions for one in sorted(partition.models.items())]


def _add_late(late: Counter[tuple[str, str]], closed: _Closed) -> None:
    if not closed.revision:
        late[closed.model, closed.window.name] += closed.late


def _late_yet(partitions: Iterable[Partition]) -> Counter[tuple[str, str]]:
    """Late rows that no window has told of: none closed behind them."""
    return Counter(
        {
            (name, window): sum(track.late for track in tracks.values())
            for name, model in _models(partitions)
            for window, tracks in model.state.tracks.items()
        }
    )


def _by_model(late: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """In the order of names."""
    found: dict[str, dict[str, int]] = {}
    for (model, window), rows in sorted(late.items()):
        found.setdefault(model, {})[window] = rows
    return found


def _unjudged(model: Model) -> dict[str, str]:
    model.dump_detectors()
    return unjudged.reasons(model.state)


def _transition(value: bytes) -> str:
    record: dict[str, Any] = msgspec.json.decode(value)
    return f"{record['alert']} {record['previous']} → {record['condition']}"


def total(counts: Iterable[Counts]) -> Counts:
    """Sums over partitions."""
    whole = Counts()
    for part in counts:
        whole.in_ += part.in_
        whole.ok += part.ok
        for reason, rows in part.rejected.items():
            whole.rejected[reason] = whole.rejected.get(reason, 0) + rows
        for kind, rows in part.duplicate.items():
            whole.duplicate[kind] = whole.duplicate.get(kind, 0) + rows
    return whole
