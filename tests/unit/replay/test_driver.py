"""The driver: every row accounted for, each output once, and no way of cutting the input shows."""

import json
import random
from pathlib import Path

import msgspec
import pytest

from inferwatch.config import mapping, monitors
from inferwatch.core.fold import Counts
from inferwatch.core.output import Output
from inferwatch.errors import ConfigError, Reason, UsageError
from inferwatch.records.decode import decode
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Reference,
    Window,
)
from inferwatch.records.events import Gap
from inferwatch.records.outputs import Span, WindowRecord
from inferwatch.records.raw import RawRecord
from inferwatch.replay import driver, table
from inferwatch.replay.digest import ConflictError
from inferwatch.testing.builders import TIME_MS, raw_event, raw_inference, raw_labels
from inferwatch.testing.folding import placeless

EXAMPLE = Path(__file__).parents[3] / "examples" / "car-loan"
MODELS = ["team/a", "team/b", "team/c"]
DEFINITION = Definition(
    model=ModelFacts(task="binary"),
    reference=Reference(min_rows=100),
    windows=[Window(name="w", rows=100)],
    checks=[
        Check(
            alert="Drift",
            metric="feature.x",
            method="psi",
            window="w",
            fail=Limit(direction="above", value=0.25, clear=0.25),
        )
    ],
)


def log(model: str, partition: int = 0, batches: int = 8) -> list[RawRecord]:
    """A model's records: its feature moves half way, labels follow each batch."""
    draw = random.Random(model)
    records = []
    for number in range(batches):
        ids = [f"{model}-{number}-{row}" for row in range(50)]
        x = [draw.gauss(9.0 * (number >= batches // 2), 1.0) for _ in ids]
        records.append(
            raw_inference(
                n=50,
                model=model,
                offset=2 * number,
                partition=partition,
                numeric={"x": x},
                prediction=[1.0] * 50,
                score=[0.5] * 50,
                ids=ids,
            )
        )
        records.append(
            raw_labels(
                ids=ids, label=[1.0] * 50, model=model, offset=2 * number + 1, partition=partition
            )
        )
    return records


def run(records: list[RawRecord], **more) -> tuple[driver.Summary, list[Output]]:
    """Replays records; gives the summary and what was written."""
    written: list[Output] = []
    decoded = ((raw, decode(raw)) for raw in records)
    summary = driver.run(
        decoded, lambda _: DEFINITION, {}, lambda output, _: written.append(output), **more
    )
    return summary, written


def test_every_row_and_every_output_is_counted():
    """Rows in = ok + rejected + repeated; windows and transitions are those that were written."""
    records = log(MODELS[0])
    again = records[2]
    broken = RawRecord("events.v1", 0, 90, again.time_ms, again.key, b"\xc1", again.headers)
    repeated = RawRecord("events.v1", 0, 91, again.time_ms, again.key, again.value, again.headers)
    summary, written = run([*records, broken, repeated])
    assert summary.records == len(records) + 2
    assert summary.rows == 8 * 100 + 1 + 50
    assert summary.ok == 8 * 100
    assert summary.rejected == {"not_msgpack": 1}
    assert summary.duplicate == {"id": 50}
    kinds = [output.kind for output in written]
    assert (summary.windows, summary.alerts, summary.dead) == (
        kinds.count("window"),
        kinds.count("alert"),
        kinds.count("dead"),
    )
    assert summary.dead == 1 and summary.windows >= 4
    assert summary.transitions == {"Drift ok → firing": 1}
    assert len({(output.kind, output.id) for output in written}) == len(written)


INSPECTED = msgspec.structs.replace(
    DEFINITION,
    reference=Reference(min_rows=200),
    checks=[
        Check(
            alert="Apart",
            metric="features",
            method="one_class_svm",
            window="w",
            need=Need(rows=100),
            fail=Limit(direction="above", value=0.05, clear=0.05),
        )
    ],
)


@pytest.mark.parametrize("rows", [50, 25, 10])
def test_inspections_in_place_stand_behind_what_asked(rows):
    """The window whose rows moved fires, right behind its own record; the same for any batches,
    twice, and nothing is judged where nobody answers.
    """
    draw = random.Random(1)
    x = [[draw.gauss(9.0 * (at >= 400), 1.0) for at in range(600)] for _ in range(2)]
    records = []
    for number, at in enumerate(range(0, 600, rows)):
        columns = {name: x[place][at : at + rows] for place, name in enumerate("xy")}
        ids = [str(row) for row in range(at, at + rows)]
        records.append(
            raw_inference(n=rows, offset=number, numeric=columns, ids=ids, time_ms=[TIME_MS] * rows)
        )

    def folded(**more):
        written: list[Output] = []
        decoded = ((raw, decode(raw)) for raw in records)
        summary = driver.run(
            decoded, lambda _: INSPECTED, {}, lambda output, _: written.append(output), **more
        )
        return summary, [json.loads(output.value) for output in written]

    summary, found = folded(inspect=True)
    assert summary.transitions == {"Apart ok → firing": 1}
    at = next(place for place, record in enumerate(found) if "alert" in record)
    assert found[at]["value"] == 1.0 and found[at]["window"]["start"] == 400
    assert found[at - 1]["window"]["start"] == 400
    assert folded(inspect=True)[0].digest == summary.digest
    assert folded()[0].transitions == {}


@pytest.mark.parametrize("seed", range(12))
def test_interleaving_of_models_does_not_show(seed):
    """Models that share a partition or do not, in any order of arrival: one digest."""
    draw = random.Random(seed)
    expected = sorted(run(log(model))[0].windows for model in MODELS)
    homes = {model: draw.randrange(3) for model in MODELS}
    queues = {model: log(model, homes[model]) for model in MODELS}
    mixed: list[RawRecord] = []
    offsets = dict.fromkeys(range(3), 0)
    while queues:
        model = draw.choice(sorted(queues))
        raw = queues[model].pop(0)
        mixed.append(moved(raw, offsets[raw.partition]))
        offsets[raw.partition] += 1
        if not queues[model]:
            del queues[model]
    summary, written = run(mixed)
    assert summary.windows == sum(expected)
    assert figures(written) == figures([o for model in MODELS for o in run(log(model))[1]])


def moved(raw: RawRecord, offset: int) -> RawRecord:
    """The record at another offset."""
    return RawRecord(raw.topic, raw.partition, offset, raw.time_ms, raw.key, raw.value, raw.headers)


def figures(written: list[Output]) -> dict[str, dict]:
    """Outputs by id without the places where their records stood."""
    found = {}
    for output in written:
        found[output.id] = placeless(json.loads(output.value))
    return found


def test_the_same_range_has_the_same_digest():
    """Twice the same records, and once with every record delivered twice."""
    records = log(MODELS[0])
    first, _ = run(records)
    doubled, written = run([raw for raw in records for _ in range(2)])
    assert run(records)[0].digest == first.digest == doubled.digest
    assert doubled.duplicate == {"offset": 800}
    assert len(written) == first.windows + first.alerts


def test_a_skipped_record_is_not_folded():
    """What the workers skipped is left out here too, and counted."""
    records = log(MODELS[0])
    summary, _ = run(records, skipped={(0, records[0].offset), (7, 1)})
    without, _ = run(records[1:])
    gone = sum(summary.duplicate.values()) + sum(summary.rejected.values())
    assert summary.rows == summary.ok + gone
    assert summary.windows == without.windows
    assert summary.ok < run(records)[0].ok


def test_an_id_with_two_contents_ends_the_replay(monkeypatch):
    """The promise that readers rely on is checked while it is made."""
    flawed = iter(range(1_000_000))

    def fold(self, raw, decoded):
        span = Span(name="w", start=0, end=1)
        record = WindowRecord(id="same", model="m", version="1", window=span, rows=next(flawed))
        return [Output("window", b"k", msgspec.json.encode(record), "same")]

    monkeypatch.setattr(driver.Partition, "fold", fold)
    with pytest.raises(ConflictError, match="window same"):
        run(log(MODELS[0]))


def test_counts_of_partitions_add_up():
    """Reasons and kinds are summed by name."""
    parts = [
        Counts(in_=5, ok=2, rejected={Reason.EMPTY: 1}, duplicate={"id": 2}),
        Counts(in_=4, ok=1, rejected={Reason.EMPTY: 1, Reason.DEPTH: 1}, duplicate={"offset": 1}),
    ]
    whole = driver.total(parts)
    assert (whole.in_, whole.ok) == (9, 3)
    assert whole.rejected == {Reason.EMPTY: 2, Reason.DEPTH: 1}
    assert whole.duplicate == {"id": 2, "offset": 1}
    assert whole.conserved() and driver.total([]).conserved()


# ── the report ───────────────────────────────────────────────────────────────────────────────────


def test_a_report_holds_each_output_once_in_log_order(tmp_path):
    """Three files of lines as on the topics, and the summary beside them."""
    records = log(MODELS[0])
    bad = RawRecord("events.v1", 0, 99, 0, b"team/a", b"", records[0].headers)
    with driver.Writer(tmp_path / "deep" / "report") as writer:
        decoded = ((raw, decode(raw)) for raw in [*records, bad])
        summary = driver.run(decoded, lambda _: DEFINITION, {}, writer.write)
    writer.summary(summary)
    folder = tmp_path / "deep" / "report"
    lines = {name: (folder / f"{name}.jsonl").read_bytes().splitlines() for name in NAMES}
    _, written = run([*records, bad])
    assert lines["windows"] == [output.value for output in written if output.kind == "window"]
    assert lines["alerts"] == [output.value for output in written if output.kind == "alert"]
    told = [json.loads(line) for line in (folder / "told.jsonl").read_bytes().splitlines()]
    assert [one["id"] for one in told] == [json.loads(line)["id"] for line in lines["alerts"]]
    assert {one["told_ms"] for one in told} <= {raw.time_ms for raw in records}
    [dead] = map(json.loads, lines["dead"])
    assert dead["__inferwatch.errors.reason"] == "empty"
    assert dead["__inferwatch.errors.offset"] == "99"
    saved = json.loads((folder / "summary.json").read_text())
    assert set(saved) == set(driver.Summary.__struct_fields__)
    assert saved["checks"] == {"team/a": ["Drift"]}
    assert saved["digest"] == summary.digest and saved["windows"] == len(lines["windows"])


NAMES = ("windows", "alerts", "dead")


def test_a_report_that_is_begun_anew_has_no_summary_until_it_is_whole(tmp_path):
    """An old summary must not vouch for new lines."""
    (tmp_path / "summary.json").write_text("{}")
    with driver.Writer(tmp_path):
        assert not (tmp_path / "summary.json").exists()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    """A file where the folder should be, and a file above it."""
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "deep"):
        with pytest.raises(UsageError, match=r"file.* cannot be written: "):
            driver.Writer(folder)


def test_an_exact_window_without_its_columns_is_refused():
    """The profile travels in the log, its columns do not."""
    loaded = monitors.load([EXAMPLE / "monitors.yaml"])
    columns = mapping.read(EXAMPLE / "mapping.yaml")
    rows = table.records(table.read(EXAMPLE / "analysis.csv.gz", columns), 30_000)
    with pytest.raises(ConfigError, match="needs the columns of profile"):
        driver.run(rows, loaded.definition, {}, lambda *_: None)


def test_a_stretch_that_the_workers_passed_over_is_counted():
    """Once each, however often it was written; it changes no window and is a row that was read."""
    records = log("team/a")
    last = records[-1].offset
    one, other = Gap(from_offset=3, to_offset=5), Gap(from_offset=6, to_offset=7)
    gaps = [raw_event(gap, offset=last + 1 + at) for at, gap in enumerate([one, one, other])]
    summary, written = run([*records, *gaps])
    without, as_before = run(records)
    assert (summary.gaps, without.gaps) == (2, 0)
    assert (summary.digest, written) == (without.digest, as_before)
    assert summary.ok == without.ok + 3


def test_a_replay_takes_the_models_that_the_workers_took():
    """Partition by partition the first in the log; the rest is rejected with the same reason."""
    records = [record for model in MODELS for record in log(model)]
    placed = [
        msgspec.structs.replace(record, offset=offset) for offset, record in enumerate(records)
    ]
    summary, written = run(placed, models_max=2)
    without, _ = run(placed)
    assert summary.rejected == {"too_many_models": without.rows // 3}
    assert summary.rows == without.rows == summary.ok + without.rows // 3
    models = {json.loads(output.value)["model"] for output in written if output.kind == "window"}
    assert models == set(MODELS[:2])
