"""Health: stuck is told from slow, from restoring and from idle, and each answer has its path."""

import asyncio
import json
import threading
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from msgspec.structs import replace

from inferwatch.config import estimate
from inferwatch.config.defaults import default_definition
from inferwatch.core.fold import Partition
from inferwatch.errors import Exit
from inferwatch.records.decode import decode
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Reference,
    Window,
)
from inferwatch.records.outputs import Span
from inferwatch.runtime import health, status, watchdog
from inferwatch.runtime.status import Status
from inferwatch.telemetry.worker import Metrics
from inferwatch.testing import streams
from inferwatch.testing.builders import raw_inference, raw_labels

LIMIT = Limit(direction="above", value=0.25, clear=0.25)


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock():
    """Time stands still."""
    return Clock()


@pytest.fixture
def found(clock):
    """A worker that has just started."""
    return Status(Metrics(), clock)


def fold_one(found: Status) -> None:
    """One record goes through the fold."""
    partition, (raw,) = Partition(0), streams.placed(streams.stream(1, records=1))
    decoded = decode(raw)
    if name := partition.undefined(decoded):
        partition.define(name, streams.definition(name), raw.offset)
    found.folded(partition, [(raw, decoded)], partition.fold_all([(raw, decoded)]))


def test_a_start_and_a_restore_are_neither_ready_nor_dead(found, clock):
    """While state is read back a restart would not help, and rows are not folded."""
    assert (found.state(), found.ready(), found.alive()) == ("starting", False, True)
    found.restoring = True
    clock.now_s += 200
    assert (found.state(), found.ready(), found.alive()) == ("restoring", False, True)
    clock.now_s += status.RESTORE_S
    assert not found.alive()
    assert "restore" in found.stalled()
    found.took_over([0])
    assert (found.state(), found.ready(), found.alive()) == ("working", True, True)


def test_compiling_is_no_standstill(found, clock):
    """However long kernels take on a busy machine; the time for progress begins behind them."""
    found.compiling = True
    clock.now_s += 10 * status.STALLED_S
    assert (found.state(), found.ready(), found.alive()) == ("compiling", False, True)
    found.compiled()
    assert (found.state(), found.ready(), found.alive()) == ("starting", False, True)
    clock.now_s += status.STALLED_S + 1
    assert not found.alive()


def test_idle_is_well_and_stuck_is_not(found, clock):
    """G11: with lag and no progress it is not ready after 30 s and not alive after 60 s."""
    found.took_over([0])
    for _ in range(10):
        clock.now_s += 20
        found.lag(0)
    assert found.state() == "working"
    found.lag(5)
    clock.now_s += 29
    assert found.ready()
    clock.now_s += 2
    assert (found.state(), found.ready(), found.alive()) == ("stuck", False, True)
    clock.now_s += 30
    assert not found.alive()


def test_slow_is_ready(found, clock):
    """A worker behind the log that folds on is no case for a restart."""
    found.took_over([0])
    for _ in range(10):
        fold_one(found)
        found.committed(0, accepted=True)
        found.lag(50_000)
        clock.now_s += 10
    assert (found.state(), found.ready(), found.alive()) == ("slow", True, True)


def test_folding_without_commits_is_stuck(found, clock):
    """What is folded and never made safe would all be folded again: it ends, and says why."""
    found.took_over([0])
    for _ in range(7):
        fold_one(found)
        found.committed(0, accepted=False)
        clock.now_s += 10
    assert found.state() == "stuck"
    assert found.health()["seconds_without_commit"] == 70
    clock.now_s += 59
    fold_one(found)
    assert "safe" in found.stalled()
    found.committed(0, accepted=True)
    assert found.ready()


def test_metrics_hold_what_the_fold_counts(found):
    """Rows in are ok, rejected or duplicate, in the metrics too, whatever comes."""
    partition = Partition(0)
    stream = streams.stream(5)
    for offset, raw in enumerate([*stream, *stream[:20], *stream]):
        raw = streams.placed([raw], first=offset if offset < 220 else offset - 220)[0]
        if offset % 9 == 0:
            raw = type(raw)(raw.topic, 0, raw.offset, raw.time_ms, raw.key, b"\xff{", raw.headers)
        decoded = decode(raw)
        if name := partition.undefined(decoded):
            partition.define(name, streams.definition(name), raw.offset)
        found.folded(partition, [(raw, decoded)], partition.fold_all([(raw, decoded)]))
    samples = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for metric in found.metrics.registry.collect()
        for sample in metric.samples
    }

    def total(name: str) -> float:
        return sum(value for (found, _), value in samples.items() if found == f"inferwatch_{name}")

    assert total("in_total") == partition.counts.in_ > 1_000
    assert total("ok_total") == partition.counts.ok
    assert total("rejected_total") == sum(partition.counts.rejected.values()) > 10
    assert total("duplicate_total") == sum(partition.counts.duplicate.values()) > 100
    assert total("in_total") == total("ok_total") + total("rejected_total") + total(
        "duplicate_total"
    )
    assert total("dlq_total") == samples["inferwatch_outputs_total", ("dead",)] > 10


def test_a_partition_that_went_takes_its_series_along(found):
    """Nobody reads a checkpoint age of a partition that another worker owns, however many
    assignments came since its last checkpoint.
    """
    found.took_over([0, 1])
    for number in (0, 1):
        found.checkpointed(number, 10, 10)
    found.took_over([0, 1])
    found.took_over([1])
    text = [
        sample.labels for metric in found.metrics.registry.collect() for sample in metric.samples
    ]
    assert {labels["partition"] for labels in text if "partition" in labels} == {"1"}


def test_a_blocked_loop_shows_while_it_is_blocked(found, clock):
    """F09: the lag grows while nothing answers, and is remembered for a minute after."""

    async def blocked() -> None:
        found.took_over([0])
        found.ask_loop()
        clock.now_s += 30
        assert found.loop_lag_s() == 30
        found.ask_loop()
        await asyncio.sleep(0)
        assert found.loop_lag_s() == 30
        clock.now_s += 61
        found.ask_loop()
        await asyncio.sleep(0)
        assert found.loop_lag_s() == 0

    asyncio.run(blocked())


def test_the_paths_answer_what_the_status_says(found, clock):
    """200 or 503 on three paths, with the figures in JSON; metrics always; nothing else."""
    address = health.serve("127.0.0.1:0", found)

    def ask(path: str) -> tuple[int, str]:
        try:
            with urlopen(f"http://{address}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    paths = ("/livez", "/readyz", "/startupz")
    assert [ask(path)[0] for path in paths] == [200, 503, 503]
    found.took_over([0])
    assert [ask(path)[0] for path in paths] == [200, 200, 200]
    found.lag(1)
    clock.now_s += 61
    assert [ask(path)[0] for path in paths] == [503, 503, 200]
    assert json.loads(ask("/readyz")[1])["state"] == "stuck"
    assert "inferwatch_loop_lag_seconds" in ask("/metrics")[1]
    assert ask("/secret")[0] == 404


def test_the_watchdog_ends_what_is_stalled(found, clock):
    """With the exit code and the reason that a supervisor's log needs."""
    ended: list[tuple[Exit, str]] = []
    told = threading.Event()

    def die(code: Exit, why: str) -> None:
        ended.append((code, why))
        found.took_over([0])
        told.set()

    found.took_over([0])
    found.lag(9)
    clock.now_s += 61
    watchdog.start(found, lambda: False, die)
    assert told.wait(10)
    assert ended == [(Exit.STALLED, "no progress for 60 s")]


def test_a_full_partition_is_told_once_and_counted(found, caplog):
    """Rows of models too many by their reason; the log says it once, not for every record."""
    partition = Partition(0, models_max=1)
    with caplog.at_level("WARNING", "inferwatch.worker"):
        for offset, model in enumerate(["a", "b", "b", "c"]):
            raw = raw_inference(model=model, n=3, offset=offset)
            decoded = decode(raw)
            if name := partition.undefined(decoded):
                partition.define(name, default_definition(), offset)
            found.folded(partition, [(raw, decoded)], partition.fold_all([(raw, decoded)]))
    assert caplog.text.count("takes no more models") == 1
    sample = found.metrics.rejected.labels("too_many_models")
    assert sample._value.get() == 9


def test_models_of_partitions_that_went_away_are_counted_no_more(found):
    """Of those that stay they are, before any of their records comes."""
    found.took_over([0, 1])
    raw = streams.placed(streams.stream(1, records=1))[0]
    decoded = decode(raw)
    for number in (0, 1):
        partition = Partition(number)
        partition.define(partition.undefined(decoded), streams.definition("team/model"), 0)
        found.folded(partition, [(raw, decoded)], partition.fold_all([(raw, decoded)]))
    counts = []
    for mine in ([0, 1], [1], []):
        found.took_over(mine)
        counts.append(found.metrics.registry.get_sample_value("inferwatch_models"))
    assert counts == [2, 1, 0]


def test_what_is_lost_is_counted(found):
    """A stretch that was passed over, and a death that a record was to blame for."""
    found.passed_over(0)
    found.ended_by_record(0)
    found.ended_by_record(1)
    assert (found.metrics.gaps._value.get(), found.metrics.fold_errors._value.get()) == (1, 2)


def test_a_window_with_too_few_labels_shows_no_quality(found):
    """How late its labels are is known, but quality stays that of a window that can speak."""
    definition = Definition(
        model=ModelFacts(task="binary"),
        windows=[Window(name="batch", rows=10)],
        checks=[Check(alert="Accuracy", metric="accuracy", window="batch", fail=LIMIT)],
    )
    partition = Partition(0)
    ids = [str(row) for row in range(10)]
    records = [
        raw_inference(n=9, ids=ids[:9], prediction=[1.0] * 9),
        raw_labels(ids=ids[:1], label=[1], seq=1),
        raw_inference(n=1, ids=ids[9:], seq=2, prediction=[1.0]),
    ]
    for offset, raw in enumerate(records):
        placed = replace(raw, offset=offset)
        decoded = decode(placed)
        if name := partition.undefined(decoded):
            partition.define(name, definition, offset)
        outputs = partition.fold_all([(placed, decoded)])
        found.folded(partition, [(placed, decoded)], outputs)
    assert b"label_delay" in next(one.value for one in outputs if one.kind == "window")
    families = [family for family in found.metrics.registry.collect() if family.samples]
    assert "inferwatch_quality" not in [family.name for family in families]


def shown_quality(found):
    """Figures on labels of all windows, by name."""
    families = [one for one in found.metrics.registry.collect() if one.name == "inferwatch_quality"]
    return {one.labels["metric"]: one.value for family in families for one in family.samples}


def test_what_few_labels_correct_hides_no_window_that_speaks(found):
    """The newest window has a corrected accuracy long before its other figures: those of the window
    before stay, and follow its labels.
    """
    partition = Partition(0)
    partition.define("team/model", default_definition(), 0)

    def publish(start, revision, coverage, **figures):
        window = Span(name="hour", start=start, end=start + 10)
        named = {name.replace("_", ".", 1): value for name, value in figures.items()}
        found._closed(
            partition,
            status._Published(
                "team/model", "1", window, revision=revision, coverage=coverage, metrics=named
            ),
        )

    publish(0, 0, 0.02, corrected_accuracy=0.7)
    assert shown_quality(found) == {"corrected.accuracy": 0.7}
    publish(0, 1, 0.9, corrected_accuracy=0.71, recall=0.8)
    publish(10, 0, 0.02, corrected_accuracy=0.6)
    assert shown_quality(found) == {"corrected.accuracy": 0.6, "recall": 0.8}
    publish(0, 2, 1.0, corrected_accuracy=0.72, recall=0.9)
    assert shown_quality(found)["recall"] == 0.9


def test_figures_of_single_classes_are_told_while_labels_speak(found):
    """By class and figure, as many series as planned; none of a window with too few labels."""
    definition = Definition(
        model=ModelFacts(task="multiclass"), windows=[Window(name="batch", rows=60)]
    )
    partition, said = Partition(0), ["cat", "dog", "a.b"]
    records = [
        raw_inference(n=60, ids=[str(row) for row in range(60)], prediction=said * 20),
        raw_labels(ids=[str(row) for row in range(30)], label=["cat"] * 30, seq=1),
        raw_labels(ids=[str(row) for row in range(30, 60)], label=["cat"] * 30, seq=2),
    ]
    for offset, raw in enumerate(records):
        placed = replace(raw, offset=offset)
        decoded = decode(placed)
        if name := partition.undefined(decoded):
            partition.define(name, definition, offset)
        found.folded(partition, [(placed, decoded)], partition.fold_all([(placed, decoded)]))
        shown = [
            (sample.labels["class"], sample.labels["metric"], sample.value)
            for family in found.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "inferwatch_class_quality"
        ]
        assert bool(shown) == (offset == 2)
    assert ("cat", "recall", pytest.approx(1 / 3)) in shown
    assert ("cat", "support", 60.0) in shown and ("a.b", "precision", 0.0) in shown
    assert ("dog", "recall") not in [one[:2] for one in shown]  # no label of it


def test_figures_of_a_window_are_told_and_stay_when_it_is_restated(found):
    """A restatement has new figures on labels and no features: drift stays as the window had it."""
    partition = Partition(0)
    definition = Definition(
        model=ModelFacts(task="binary", label_delay_ms=1, restate_every_ms=1),
        reference=Reference(min_rows=1_000),
        windows=[Window(name="batch", rows=1_000)],
        checks=[
            Check(alert="Drift", metric="feature.amount", method="psi", window="batch", fail=LIMIT),
            Check(alert="Accuracy", metric="accuracy", window="batch", fail=LIMIT),
        ],
    )
    ids = [[f"{number}-{row}" for row in range(500)] for number in range(6)]
    records = [
        raw_inference(
            n=500,
            ids=ids[number],
            seq=number,
            numeric={"amount": [float(row % 7 + 9 * (number > 3)) for row in range(500)]},
            latency_ms=[20.0] * 500,
            llm={"cost": [9.0] * 500},
            prediction=[1.0] * 500,
        )
        for number in range(6)
    ]
    records.append(raw_labels(ids=ids[4] + ids[5], label=[1] * 1_000, seq=6))
    for offset, raw in enumerate(records):
        placed = replace(raw, offset=offset)
        decoded = decode(placed)
        if name := partition.undefined(decoded):
            partition.define(name, definition, offset)
        found.folded(partition, [(placed, decoded)], partition.fold_all([(placed, decoded)]))
    [model] = partition.models.values()
    found.watched(0, model)
    found.metrics.registry.collect()

    def figure(name: str, **labels: str) -> float | None:
        return found.metrics.registry.get_sample_value(
            f"inferwatch_{name}", {"model": "team/model"} | labels
        )

    of = {"version": "1", "window": "batch"}
    assert figure("drift_score", method="psi", feature="amount", **of) > 1
    assert figure("label_coverage_ratio", **of) == 1
    assert figure("quality", metric="accuracy", **of) is not None
    assert figure("window_ratio", metric="error_rate", **of) == 0
    assert figure("window_figure", metric="cost.total", **of) == 9_000
    where = {"window": "batch", "method": "psi", "feature": "amount", "severity": "critical"}
    assert figure("drift_threshold", **where) == LIMIT.value
    assert figure("alert_firing", alertname="Drift", severity="critical") == 1
    assert figure("prediction_latency_seconds_count", version="1") == 3_000
    assert figure("prediction_latency_seconds_bucket", version="1", le="0.02") == 3_000
    shown = [
        sample
        for family in found.metrics.registry.collect()
        for sample in family.samples
        if sample.labels.get("model") == "team/model"
    ]
    planned = estimate.of(definition, estimate.Load(features=1, versions=1)).series
    assert 30 < len(shown) <= planned < 2 * len(shown)
