"""Everything that reads bytes from outside, tried on bad ones: what may come of each, and nothing
else.

    report = fuzz.run(seed=1, mutations=60_000)
    assert not report.crashes

- Records on the events topic: decoded, then folded. In rows, in = ok + rejected + duplicate; every
  output is a record that may be sent; the state can be saved and read back.
- The state topic, and a model's pieces: restored, or refused with a sentence.
- `notified.v1`, the alerts topic: read and told, or refused.
- Monitor files: read, or refused with a place.
"""

import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import msgspec

from inferwatch import alerts
from inferwatch.config import monitors
from inferwatch.config.defaults import default_definition
from inferwatch.core import snapshot
from inferwatch.core.fold import Partition
from inferwatch.core.output import Output
from inferwatch.errors import ConfigError, DataError
from inferwatch.notify import text
from inferwatch.notify.plan import Ledger
from inferwatch.records import notified
from inferwatch.records.decode import decode
from inferwatch.records.definition import Definition
from inferwatch.records.notified import NotifiedRecord, Plan
from inferwatch.records.outputs import OUTPUT_MAX_BYTES, AlertRecord
from inferwatch.records.raw import RawRecord
from inferwatch.runtime import checkpoint
from inferwatch.testing import mutations, streams

STREAMS = 6
MONITOR_FILE = """\
apiVersion: inferwatch/v1
match: {model: "risk/fraud-*"}
model:
  task: binary
  positive: 1
  label_delay: 14d
  segments: [country]
  pending_max: 8 MiB
reference: {last: 7d, min_rows: 5000}
windows:
  fast: {size: 1m}
  slow: {size: 1h, step: 15m, grace: 1m}
  batch: {rows: 5000, exact: true}
checks:
  - alert: RecallDrop
    metric: recall
    window: slow
    against: reference
    segment_by: [country]
    when: {labels: 200, coverage: 80%}
    warn: {drop: 3pp, clear: 2pp}
    fail: {drop: 5%}
    times: 2 of 3
    labels: {team: risk}
  - alert: ErrorShift
    metric: error
    method: adwin
    params: {delta: 0.002}
  - alert: SlowAnswers
    metric: latency.p99
    window: fast
    fail: {above: 250ms}
    for: 3m
"""


class Report(msgspec.Struct):
    """What became of the mutations, by target and outcome; a crash is told once a place."""

    outcomes: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    crashes: dict[str, str] = {}

    def total(self) -> int:
        """Mutations tried."""
        return sum(self.outcomes.values())

    def note(self, target: str, work: Callable[[], str], example: object) -> bool:
        """Count one; False where it crashed."""
        try:
            outcome = work()
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = (
                f"{target}: {type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}"
            )
            told = "".join(traceback.format_exception(error)[-12:])
            self.crashes.setdefault(place, f"{example!r:.3000}\n{told}")
            outcome = "crash"
        self.outcomes[target, outcome] += 1
        return outcome != "crash"


def run(seed: int | str, mutations: int) -> Report:
    """Try that many mutations; what costs more is tried less often."""
    report = Report()
    shares = {_events: 0.45, _state: 0.01, _notified: 0.25, _alerts: 0.285, _files: 0.005}
    for target, share in shares.items():
        target(report, Random(f"{seed}/{target.__name__}"), round(mutations * share))
    return report


# ── the events topic ─────────────────────────────────────────────────────────────────────────────


def _events(report: Report, draw: Random, count: int) -> None:
    recorded = [streams.stream(number) for number in range(STREAMS)]
    done = 0
    while done < count:
        stream, folder = draw.choice(recorded), Folder(draw)
        for raw in stream:
            if draw.random() < 0.12 and not report.note(
                "good ones", partial(folder.fold, raw), raw
            ):
                folder = Folder(draw)
            for _ in range(2 + int(draw.random() * 4)):
                bad = mutations.record(draw, raw, stream)
                if not report.note("events", partial(folder.fold, bad), bad):
                    folder = Folder(draw)
                done += 1
        report.note("saved", folder.saved, "a partition's models")


class Folder:
    """One partition, its models watched by more or less."""

    def __init__(self, draw: Random) -> None:
        self.partition = Partition(0)
        self._offset = 0
        # the many checks cost ten times as much, so they come less often
        self._definition = streams.definition if draw.random() < 0.03 else _light

    def fold(self, raw: RawRecord) -> str:
        """What became of the record; what may not be is an AssertionError."""
        partition = self.partition
        raw = msgspec.structs.replace(raw, offset=self._offset)
        self._offset += 1
        decoded = decode(raw)
        name = partition.undefined(decoded)
        if name is not None:
            partition.define(name, self._definition(name), raw.offset)
        before = partition.counts.in_
        try:
            outputs = partition.fold(raw, decoded)
        except ConfigError:
            assert decoded.record.__class__.__name__ == "MonitorChange"
            self.partition = Partition(0)
            return "refused"
        assert partition.counts.in_ == before + decoded.rows_in
        assert partition.counts.conserved(), "a row is lost"
        for output in outputs:
            _check_output(output)
        if decoded.rejects:
            return "rejected" if decoded.record is None else "rows rejected"
        return "folded"

    def saved(self) -> str:
        """Save every model and read it back."""
        for model in self.partition.models.values():
            pieces = {name: data or b"" for name, data in snapshot.cut(model).items()}
            assert snapshot.cut(snapshot.load(pieces)) == pieces, "the state reads back as another"
        return "read back"


def _light(model: str) -> Definition:
    """One window and a few checks of each way to read rows."""
    known = model.split("/")[0] in streams.TASKS
    whole = streams.definition(model) if known else default_definition()
    window = whole.windows[0]
    checks = [
        msgspec.structs.replace(check, window=window.name if check.window else "")
        for check in whole.checks[::4]
    ]
    return msgspec.structs.replace(whole, windows=[window], checks=checks)


def _check_output(output: Output) -> None:
    assert len(output.value) <= OUTPUT_MAX_BYTES or output.kind in ("dead", "forward", "request")
    assert all(isinstance(value, bytes) for value in output.headers.values())
    assert output.id


# ── the state topic ──────────────────────────────────────────────────────────────────────────────


def _state(report: Report, draw: Random, count: int) -> None:
    records, pieces = _written()
    for _ in range(count // 2):
        at = int(draw.random() * len(records))
        bad = [*records[:at], _bad_state(draw, records[at]), *records[at + 1 :]]
        if draw.random() < 0.3:
            del bad[int(draw.random() * len(bad))]
        report.note("state", partial(_restored, bad), bad[min(at, len(bad) - 1)])
        name = draw.choice(list(pieces))
        data = mutations.document(draw, pieces[name], packed=True)
        report.note("pieces", partial(_loaded, pieces | {name: data}), (name, data))


def _written() -> tuple[list[checkpoint.Record], dict[str, bytes]]:
    """What a worker leaves on the state topic: two checkpoints of one model, and all the notes."""
    folder = Folder(Random(1))
    folder._definition = streams.definition
    stream = streams.stream(1, models=1, records=80)
    records: list[checkpoint.Record] = []
    before, pieces = None, {}
    for half in (stream[:60], stream[60:]):
        for raw in half:
            folder.fold(raw)
        (model,) = folder.partition.models.values()
        known = {piece.name for piece in before.pieces} if before else ()
        cut = checkpoint.cut(model.name, model.offset, snapshot.cut(model, known), before, "w1")
        records += [*cut.chunks, cut.record]
        records.append(checkpoint.marker_record(model.offset, {model.name: model.offset}, "w1"))
        before = cut.root
        pieces = {name: data or b"" for name, data in snapshot.cut(model).items()}
    records.append(checkpoint.definition_record(model.name, model.definition, "w1"))
    records.append(checkpoint.skip_record(7, "w1"))
    records.append(checkpoint.attempt_record(checkpoint.Attempt(offset=3, starts=2), "w1"))
    return records, pieces


def _bad_state(draw: Random, record: checkpoint.Record) -> checkpoint.Record:
    key, value = record
    if draw.random() < 0.2:
        return mutations.mangled(draw, key), value
    if draw.random() < 0.5:
        return key, mutations.mangled(draw, value or b"")
    return key, mutations.document(draw, value or b"", packed=not key.startswith(b"d"))


def _restored(records: list[checkpoint.Record]) -> str:
    try:
        found = checkpoint.gather(records)
        for state in found.states.values():
            Partition(0).restore(state)
    except (checkpoint.BrokenStateError, ConfigError, ValueError):
        return "refused"
    return "restored"


def _loaded(pieces: dict[str, bytes]) -> str:
    try:
        snapshot.load(pieces)
    except (ConfigError, ValueError):
        return "refused"
    return "loaded"


# ── alerts, and what was told of them ────────────────────────────────────────────────────────────


def _told() -> list[AlertRecord]:
    folder, found = Folder(Random(1)), []
    folder._definition = streams.definition
    for offset, raw in enumerate(streams.stream(2, records=100)):
        raw = msgspec.structs.replace(raw, offset=offset)
        decoded = decode(raw)
        if name := folder.partition.undefined(decoded):
            folder.partition.define(name, streams.definition(name), offset)
        outputs = folder.partition.fold(raw, decoded)
        found += [
            msgspec.json.decode(output.value, type=AlertRecord)
            for output in outputs
            if output.kind == "alert"
        ]
    return found


def _alerts(report: Report, draw: Random, count: int) -> None:
    seeds = [msgspec.json.encode(alert) for alert in _told()]
    for _ in range(count):
        bad = _bad_document(draw, seeds)
        report.note("alerts", partial(_read_alert, bad), bad)


def _bad_document(draw: Random, seeds: list[bytes]) -> bytes:
    seed = draw.choice(seeds)
    if draw.random() < 0.7:
        return mutations.document(draw, seed, packed=False)
    return mutations.mangled(draw, seed, draw.choice(seeds))


class _Message:
    """A record of the alerts topic as confluent-kafka gives it."""

    def __init__(self, value: bytes) -> None:
        self._value = value

    def headers(self) -> list[tuple[str, bytes | None]]:
        return []

    def value(self) -> bytes:
        return self._value

    def topic(self) -> str:
        return "alerts.v1"

    def offset(self) -> int:
        return 1

    def timestamp(self) -> tuple[int, int]:
        return 1, streams.START_MS


def _read_alert(value: bytes) -> str:
    found = list(alerts._alert(_Message(value)))
    for alert, time_ms in found:
        Ledger(["console"]).plan(alert, time_ms)
        text.render(alert, time_ms, time_ms)
    return "told" if found else "refused"


def _notified(report: Report, draw: Random, count: int) -> None:
    seeds = [msgspec.json.encode(record) for record in _plans()]
    for _ in range(count):
        bad = _bad_document(draw, seeds)
        report.note("notified", partial(_resumed, bad), bad)


def _plans() -> Iterator[NotifiedRecord]:
    ledger = Ledger(["console", "pager"])
    for alert in _told():
        for record in ledger.plan(alert, alert.at_ms):
            yield record
            yield ledger.finish(record.channel, record.plans[-1], "sent")


def _resumed(value: bytes) -> str:
    try:
        record = notified.read(value)
    except DataError:
        return "refused"
    ledger = Ledger(["console", "pager"])
    ledger.restore([record])
    for _, plan in ledger.unfinished():
        assert isinstance(plan, Plan)
        text.render(plan.alert, plan.at_ms, plan.at_ms)
    return "resumed"


# ── files ────────────────────────────────────────────────────────────────────────────────────────


def _files(report: Report, draw: Random, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "monitors.yaml")
        for _ in range(count):
            path.write_bytes(mutations.mangled(draw, MONITOR_FILE.encode(), b": {a: [1, 2s]}\n- "))
            report.note("files", partial(_read_file, path), path.read_bytes())


def _read_file(path: Path) -> str:
    try:
        monitors.read(path)
    except ConfigError as error:
        assert error.file, "the error names no file"
        return "refused"
    return "read"
