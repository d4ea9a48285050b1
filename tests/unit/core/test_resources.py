"""Samples of serving processes: shares, peaks with their instance, starts that count once."""

from collections import Counter
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch.core import resources, snapshot
from inferwatch.core.fold import Partition
from inferwatch.records.definition import Check, Definition, Limit, ModelFacts, Window
from inferwatch.records.events import Resource
from inferwatch.testing.folding import Log

MODEL, MINUTE = "team/model", 60_000
FAST = Window(name="fast", size_ms=MINUTE)
SLOW = Window(name="slow", size_ms=3 * MINUTE, step_ms=MINUTE)
BATCH = Window(name="batch", rows=10)
OFFSETS = ("first_offset", "last_offset", "first_bad")


def log_of(*windows, segments=(), checks=(), segments_max=50):
    """A log of a model that is watched by these windows."""
    facts = ModelFacts(task="binary", segments=list(segments), segments_max=segments_max)
    return Log(Definition(model=facts, windows=list(windows or [FAST]), checks=list(checks)))


def sample(log, at_ms, instance="a", *, started_ms=None, version="1", **used):
    """A process's sample at `at_ms` of the log's time, as is `started_ms`."""
    record = Resource(
        model=MODEL,
        version=version,
        instance=instance,
        time_ms=log.start_ms + at_ms,
        started_ms=None if started_ms is None else log.start_ms + started_ms,
        **used,
    )
    log.event(record, at_ms)


def restarts_of(log, window="fast"):
    """Restarts by minute of the window's start."""
    found = {}
    for one in log.windows(window):
        if one.metrics.get("restarts"):
            minute = (one.window.start - log.start_ms) // MINUTE
            found[minute] = one.metrics["restarts"]
    return found


def test_a_share_that_rounding_took_beyond_its_end_is_the_end():
    """Mean and peak stay in 0…1, and the sample's other figures count."""
    log = log_of()
    log.rows(1, 0)
    sample(log, 1_000, memory=1.00003, cpu=1.01, gpu=0.25)
    log.rows(1, 2 * MINUTE)
    (first,) = log.windows()
    figures = {"memory": 1.0, "memory.max": 1.0, "cpu": 1.0, "cpu.max": 1.0, "gpu": 0.25}
    assert figures.items() <= first.metrics.items()


# ── restarts ─────────────────────────────────────────────────────────────────────────────────────


def test_a_start_after_the_last_sample_is_a_restart_and_its_instance_is_named():
    """The first sample of all is none; the next process under the same name is one."""
    log = log_of()
    log.rows(1, 1_000)
    sample(log, 2_000, "pod-1", started_ms=-5_000)
    sample(log, 3_000, "pod-2", started_ms=-5_000)
    log.rows(1, 61_000)
    sample(log, 65_000, "pod-2", started_ms=62_000)
    sample(log, 75_000, "pod-2", started_ms=62_000)
    log.tick(5 * MINUTE)
    first, second = log.windows()
    assert (first.metrics["restarts"], second.metrics["restarts"]) == (0.0, 1.0)
    assert "restarts" not in first.instances and second.instances["restarts"] == "pod-2"


SESSIONS = st.lists(
    st.lists(st.integers(1, 4), min_size=1, max_size=5),  # samples of each process of an instance
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(sessions=SESSIONS, seed=st.integers(0, 2**32))
def test_each_restart_is_counted_exactly_once(sessions, seed):
    """However often and in whatever later place a sample comes again, in windows of time."""
    draw = Random(seed)
    samples = []
    for number, processes in enumerate(sessions):
        at_ms = number
        for length in processes:
            started_ms = at_ms + draw.randrange(1, 5_000)
            times = [started_ms + draw.randrange(9_000) for _ in range(length)]
            samples += [(time_ms, f"pod-{number}", started_ms) for time_ms in sorted(times)]
            at_ms = max(times)
    samples.sort()
    log, sent = log_of(FAST, SLOW), []
    for time_ms, instance, started_ms in samples:
        minute_ms = time_ms // MINUTE * MINUTE
        log.rows(1, minute_ms, record_ms=max(time_ms, minute_ms))
        sent.append((time_ms, instance, started_ms))
        again = draw.sample(sent, min(len(sent), draw.randrange(3)))
        for one_ms, name, began_ms in [sent[-1], *again]:
            sample(log, one_ms, name, started_ms=began_ms, cpu=0.5)
    log.tick(60 * MINUTE)
    expected = sum(len(processes) - 1 for processes in sessions)
    assert sum(restarts_of(log).values()) == expected
    whole = [one for one in log.windows("slow") if one.metrics.get("restarts")]
    assert sum(one.metrics["restarts"] for one in whole) == 3 * expected  # each pane is in three


def test_a_restart_waits_for_a_window_that_is_open():
    """The first samples of the new process come while no row does: a later one counts it."""
    log = log_of()
    log.rows(1, 1_000)
    sample(log, 2_000, started_ms=-5_000)
    for at_ms in (130_000, 140_000):
        sample(log, at_ms, started_ms=120_000)
    log.rows(1, 185_000)
    for at_ms in (190_000, 200_000):
        sample(log, at_ms, started_ms=120_000)
    log.tick(10 * MINUTE)
    assert restarts_of(log) == {3: 1.0}


def test_processes_that_share_a_name_do_not_restart_each_other():
    """Four workers under one name, begun one after the other, and a fifth that replaces one."""
    log = log_of()
    log.rows(1, 0)
    for round_ms in (10_000, 20_000, 30_000):
        for worker in range(4):
            sample(log, round_ms + worker, started_ms=worker * 100)
    sample(log, 45_000, started_ms=25_000)
    log.tick(5 * MINUTE)
    assert restarts_of(log) == {}


def test_a_start_that_lies_ahead_of_its_sample_is_no_restart():
    """A clock that was set back: the process would begin anew with each of its samples."""
    log = log_of()
    log.rows(1, 0)
    sample(log, 10_000, started_ms=0)
    for at_ms in (20_000, 30_000, 40_000):
        sample(log, at_ms, started_ms=55_000)
    log.tick(5 * MINUTE)
    (window,) = log.windows()
    assert window.metrics["restarts"] == 0.0
    assert window.metrics["uptime"] == 5_000.0


def test_another_version_in_a_new_process_is_a_deploy():
    """Restarts are those of one version, so a rollout raises none."""
    log = log_of()
    for version, at_ms in (("1", 1_000), ("2", 61_000)):
        log.rows(1, at_ms, version=version)
        sample(log, at_ms + 1_000, started_ms=at_ms, version=version)
    log.tick(5 * MINUTE)
    assert [one.metrics["restarts"] for one in log.windows()] == [0.0, 0.0]


def test_what_is_remembered_of_instances_is_bounded(monkeypatch):
    """The instance that was silent longest is forgotten, and comes back as a new one."""
    monkeypatch.setattr(resources, "INSTANCES_MAX", 3)
    log = log_of(segments=["hardware"])
    log.rows(1, 0)
    for number in range(9):
        sample(log, 1_000 + number, f"pod-{number}", started_ms=0, hardware="x")
    sample(log, 2_000, "pod-7", started_ms=1_500)
    sample(log, 3_000, "pod-1", started_ms=1_500)
    (model,) = log.partition.models.values()
    assert list(model.state.tracks["fast"]["1"].heard) == ["pod-8", "pod-7", "pod-1"]
    assert len(model.state.columns.hardware) <= 3
    log.tick(5 * MINUTE)
    assert restarts_of(log) == {0: 1.0}


# ── shares, peaks, uptime ────────────────────────────────────────────────────────────────────────


def test_the_highest_sample_and_the_youngest_process_are_named():
    """Means are of all instances; peaks and uptime of the one that the window names."""
    log = log_of()
    log.rows(1, 0)
    sample(log, 10_000, "pod-1", started_ms=-60_000, cpu=0.2, throttled=0.5)
    sample(log, 10_000, "pod-2", started_ms=-90_000, cpu=0.9, throttled=0.0)
    sample(log, 20_000, "pod-1", started_ms=-60_000, cpu=0.4)
    log.tick(5 * MINUTE)
    (window,) = log.windows()
    assert window.metrics["cpu"] == pytest.approx(0.5)
    assert (window.metrics["cpu.max"], window.metrics["throttled"]) == (0.9, 0.25)
    assert window.metrics["uptime"] == 120_000.0
    assert window.instances == {"cpu.max": "pod-2", "throttled.max": "pod-1", "uptime": "pod-1"}


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(
        st.tuples(st.integers(0, 3), st.floats(0, 1), st.sampled_from("abc")), min_size=1
    )
)
def test_panes_merge_into_mean_and_peak_of_all_samples(values):
    """Wherever samples are cut into panes, n, peak and its instance are those of all of them."""
    whole, panes = {}, [{} for _ in range(4)]
    for pane, value, instance in sorted(values, key=lambda one: one[0]):
        one = Resource(model=MODEL, version="1", instance=instance, time_ms=0, gpu=value)
        for gauges in (whole, panes[pane]):
            resources.add(gauges, one)
    merged = {}
    for gauges in panes:
        resources.merge(merged, gauges)
    total = merged["gpu"].total
    assert msgspec.structs.replace(merged["gpu"], total=0) == msgspec.structs.replace(
        whole["gpu"], total=0
    )
    assert total == pytest.approx(sum(value for _, value, _ in values))
    assert merged["gpu"].most == max(value for _, value, _ in values)
    assert (merged["gpu"].most, merged["gpu"].where) in {
        (value, instance) for _, value, instance in values
    }


def test_what_nobody_samples_is_not_measured():
    """A check on it neither fires nor is ok, and other figures are told."""
    limit = Limit(direction="above", value=0.0, clear=0.0)
    below = Limit(direction="below", value=1e9, clear=1e9)
    checks = [
        Check(alert="Gpu", metric="gpu.max", window="fast", fail=limit),
        Check(alert="Young", metric="uptime", window="fast", fail=below),
        Check(alert="Busy", metric="cpu", window="fast", fail=limit),
    ]
    log = log_of(checks=checks)
    log.rows(1, 0)
    sample(log, 10_000, cpu=0.5)
    log.tick(5 * MINUTE)
    (model,) = log.partition.models.values()
    conditions = {one.alert: one.condition for one in model.state.instances.values()}
    assert conditions == {"Gpu": "unknown", "Young": "unknown", "Busy": "firing"}


def test_an_alert_names_the_instance():
    """A check on a share, on uptime, and any other in whose window a process restarted."""
    limit = Limit(direction="above", value=0.5, clear=0.5)
    young = Limit(direction="below", value=70_000.0, clear=70_000.0)
    checks = [
        Check(alert="Busy", metric="cpu", window="fast", fail=limit),
        Check(alert="Young", metric="uptime", window="fast", fail=young),
        Check(alert="Errors", metric="error_rate", window="fast", fail=limit),
    ]
    log = log_of(checks=checks)
    log.rows(1, 0, error=["ValueError"])
    sample(log, 1_000, "pod-2", started_ms=-10_000, cpu=0.4)
    sample(log, 10_000, "pod-1", started_ms=-20_000, cpu=0.974)
    sample(log, 11_000, "pod-2", started_ms=2_000, cpu=0.3)
    log.tick(5 * MINUTE)
    said = {record.alert: record.context for record in log.alerts()}
    restart = "1 restart, last of pod-2"
    assert said["Busy"] == ["highest cpu 0.974, at pod-1", restart]
    assert said["Young"] == ["the youngest is pod-2", restart]
    assert said["Errors"] == [restart]


def test_an_uptime_that_grows_makes_no_window_odd():
    """Inspectors of a window see what each thing is once, and no figure that must grow."""
    limit = Limit(direction="above", value=0.99, clear=0.99)
    odd = Check(alert="Odd", metric="figures", method="lof", window="fast", fail=limit)
    log = log_of(checks=[odd])
    log.rows(300, 0)
    sample(log, 10_000, started_ms=0, cpu=0.5)
    log.tick(5 * MINUTE)
    assert log.windows()[0].metrics.keys() > {"uptime", "availability", "throughput"}
    (model,) = log.partition.models.values()
    names = set(model.state.tracks["fast"]["1"].past.names)
    assert names > {"rows", "error_rate", "cpu", "cpu.max", "restarts"}
    assert not names & {"uptime", "availability", "throughput"}


# ── figures of rows ──────────────────────────────────────────────────────────────────────────────


def test_rows_a_second_and_shares_of_failures_by_hand():
    """Of a window of time and of one of rows; availability and errors add up to 1."""
    log = log_of(FAST, Window(name="batch", rows=6))
    errors = [None, "Timeout", "KeyError", "504", None, None]
    log.rows(6, [0, 1_000, 2_000, 3_000, 4_000, 5_999], error=errors)
    log.tick(5 * MINUTE)
    by_name = {one.window.name: one for one in log.windows()}
    assert by_name["fast"].metrics["throughput"] == 0.1
    assert by_name["batch"].metrics["throughput"] == 1.0
    for window in by_name.values():
        assert window.metrics["availability"] == window.metrics["error_rate"] == 0.5
        assert window.metrics["timeout_rate"] == pytest.approx(2 / 6)
        low, high = window.intervals["availability"]
        assert 0.0 < low < 0.5 < high < 1.0


def test_rows_of_one_moment_have_no_rate():
    """A window of rows that all came in the same millisecond says so."""
    log = log_of(Window(name="batch", rows=4))
    log.rows(4, 1_000)
    (window,) = log.windows()
    assert window.unknown["throughput"] == "all rows at one moment"


# ── instances and hardware as segments ───────────────────────────────────────────────────────────


def test_rows_and_samples_are_cut_by_instance_and_hardware():
    """Without a column: the batch names its instance, samples say what that runs on."""
    log = log_of(segments=["instance", "hardware"])
    log.rows(2, [0, 1], instance="pod-1")
    sample(log, 1_000, "pod-1", started_ms=-9_000, cpu=0.8, hardware="2 x A")
    log.rows(3, [61_000] * 3, instance="pod-1", error=["Timeout", None, None])
    log.rows(1, 62_000, instance="pod-2")
    sample(log, 63_000, "pod-1", started_ms=62_000, cpu=0.6, hardware="2 x A")
    sample(log, 64_000, "pod-2", started_ms=-5_000, cpu=0.2, hardware="2 x A")
    log.tick(5 * MINUTE)
    rows = {
        (one.segment, (one.window.start - log.start_ms) // MINUTE): one
        for one in log.windows(segment=None)
    }
    assert rows.keys() == {
        *(("", 0), ("", 1), ("instance=pod-1", 0), ("instance=pod-1", 1), ("instance=pod-2", 1)),
        ("hardware=2 x A", 1),  # the rows before its first sample are of no hardware
    }
    one, other = rows["instance=pod-1", 1], rows["instance=pod-2", 1]
    assert (one.rows, one.metrics["cpu"], one.metrics["restarts"]) == (3, 0.6, 1.0)
    assert one.metrics["timeout_rate"] == pytest.approx(1 / 3)
    assert (other.rows, other.metrics["cpu"], other.metrics["restarts"]) == (1, 0.2, 0.0)
    assert rows["hardware=2 x A", 1].metrics["cpu"] == pytest.approx(0.4)
    assert rows["hardware=2 x A", 1].rows == 3


def test_a_column_of_that_name_rules():
    """Who sends an `instance` of their own is cut by that."""
    log = log_of(segments=["instance"])
    log.rows(2, 0, instance="pod-1", segments={"instance": ["x", None]})
    log.tick(5 * MINUTE)
    assert {one.segment for one in log.windows(segment=None)} == {"", "instance=x"}


def test_samples_of_instances_beyond_the_cap_go_where_their_rows_go():
    """More instances than `segments_max` share `__other__`, rows and samples alike."""
    log = log_of(segments=["instance"], segments_max=2)
    for number in range(5):
        log.rows(1, number, instance=f"pod-{number}")
        sample(log, 1_000, f"pod-{number}", cpu=0.1 * number)
    log.tick(5 * MINUTE)
    (rest,) = log.windows(segment="instance=__other__")
    assert (rest.rows, rest.metrics["cpu"]) == (3, pytest.approx(0.3))
    assert rest.instances["cpu.max"] == "pod-4"


# ── batches and cuts ─────────────────────────────────────────────────────────────────────────────


def history(log, size, seed):
    """Rows of three instances in batches of up to `size`, each batch's samples behind its rows."""
    draw = Random(seed)
    for number in range(40):
        at_ms = number * 6_000
        instance = draw.choice(["pod-1", "pod-2", "pod-3"])
        n = draw.randrange(1, 9)
        times = [at_ms + row * 500 for row in range(n)]
        errors = [draw.choice([None, "Timeout", "KeyError", "HTTP 504"]) for _ in range(n)]
        for first in range(0, n, size):
            part = slice(first, first + size)
            log.rows(
                len(times[part]),
                times[part],
                record_ms=times[-1],
                error=errors[part],
                instance=instance,
                ids=[f"{number}-{row}" for row in range(n)][part],
            )
        started_ms = at_ms // 45_000 * 45_000
        used = {"cpu": draw.random(), "throttled": draw.random(), "hardware": "x" * len(instance)}
        sample(log, at_ms + 4_000, instance, started_ms=started_ms, **used)
    log.tick(20 * MINUTE)


def published(log):
    """Outputs without the fields that name records."""
    found = [msgspec.json.decode(output.value) for output in log.outputs]
    return [{key: value for key, value in one.items() if key not in OFFSETS} for one in found]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [1, 3])
def test_the_way_rows_were_batched_does_not_show(seed, size):
    """Windows of time and of rows, by instance and hardware: same ids, same figures."""
    logs = []
    for most in (100, size):
        log = log_of(FAST, SLOW, BATCH, segments=["instance", "hardware"])
        history(log, most, seed)
        logs.append(published(log))
    assert Counter(map(str, logs[0])) == Counter(map(str, logs[1]))
    assert any(one["metrics"].get("restarts") for one in logs[0])
    assert any(one["metrics"]["timeout_rate"] for one in logs[0])


def test_a_state_from_before_these_figures_is_read():
    """Pieces without the new fields load; counting goes on from there."""
    log = log_of()
    log.rows(1, 0)
    sample(log, 10_000, started_ms=-5_000, cpu=0.5)
    (model,) = log.partition.models.values()
    pieces = {name: _without(data) for name, data in snapshot.cut(model).items()}
    log.partition = Partition(0)
    log.partition.restore(pieces)
    sample(log, 20_000, started_ms=-5_000, cpu=0.7)
    log.rows(1, 30_000, error=["Timeout"])
    log.tick(5 * MINUTE)
    (window,) = log.windows()
    assert window.metrics["cpu"] == pytest.approx(0.6)
    assert (window.metrics["restarts"], window.metrics["timeout_rate"]) == (0.0, 0.5)


NEW = ("heard", "lives", "timed_out", "hardware", "where")


def _without(data):
    """A piece as it was written before: at any depth without the new fields."""

    def old(value):
        if isinstance(value, dict):
            return {key: old(item) for key, item in value.items() if key not in NEW}
        return [old(item) for item in value] if isinstance(value, list) else value

    return msgspec.msgpack.encode(old(msgspec.msgpack.decode(data, strict=False)))
