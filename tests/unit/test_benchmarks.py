"""The benchmarks run, compare like with like, and end where a row is missing.

No second and no ratio is judged here.
"""

import importlib
import re
import socket
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from inferwatch.records.decode import decode
from inferwatch.records.raw import RawRecord

ROOT = Path(__file__).parent.parent.parent
TIME_MS = 1_700_000_000_000
MODEL = "bench/model"


@pytest.fixture
def bench(monkeypatch):
    """Imports a file of `benchmarks/`, as `python benchmarks/run.py` finds them."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def decoded(records):
    """What our own decoder reads in the records of one model."""
    raw = [
        RawRecord("events.v1", 0, offset, TIME_MS * 2, MODEL.encode(), body, described)
        for offset, (body, described) in enumerate(records)
    ]
    found = [decode(one) for one in raw]
    assert not any(one.rejects for one in found)
    return [one.record for one in found]


def test_both_forms_hold_the_same_rows(bench):
    """A batch and the events of the same chunk mean the same to the decoder: nobody has less work
    because he was sent less.
    """
    rows = bench("rows")
    chunk = rows.chunk(MODEL, 3, TIME_MS)
    [batch] = decoded(rows.batch(chunk))
    events = decoded(rows.events(chunk))
    assert batch.n == len(events) == rows.BATCH_ROWS
    assert batch.ids == [event.ids[0] for event in events]
    for column in ("numeric", "scores", "latency_ms", "time_ms", "prediction"):
        singly = np.concatenate([np.atleast_1d(getattr(event, column)) for event in events], -1)
        np.testing.assert_array_equal(getattr(batch, column), singly)
    assert len(batch.numeric_names) == rows.FEATURES
    assert batch.numeric_names == events[0].numeric_names


def test_a_chunk_is_the_same_whenever_it_is_made(bench):
    """Rows follow from model and number: both sides and numpy speak of the same values."""
    rows = bench("rows")
    one, again, next_ = (rows.chunk(MODEL, seq, TIME_MS, 7) for seq in (1, 1, 2))
    np.testing.assert_array_equal(one.numeric, again.numeric)
    assert (one.numeric != next_.numeric).all()


def test_the_obvious_way_keeps_what_numpy_computes(bench):
    """The peer does its work: moments, range and bins of a feature are numpy's, and so are the
    latency and the classes.
    """
    rows, obvious = bench("rows"), bench("obvious")
    chunk = rows.chunk(MODEL, 0, TIME_MS)
    model = obvious.Model((obvious.ADWIN, obvious.PageHinkley))
    for body, _ in rows.events(chunk):
        model.update(obvious.msgspec.json.decode(body))
    column, values = model.columns[rows.NAMES[4]], chunk.numeric[4].astype(np.float64)
    assert column.variance.mean.get() == pytest.approx(values.mean())
    assert column.variance.get() == pytest.approx(values.var(ddof=1))
    assert (column.least.get(), column.most.get()) == (values.min(), values.max())
    bins = np.searchsorted(obvious.DECILES, values, side="left")
    assert column.bins == np.bincount(bins, minlength=10).tolist()
    assert model.latency.mean.get() == pytest.approx(chunk.latency_ms.mean(), rel=1e-5)
    assert model.classes == {1: (chunk.score > 0.5).sum(), 0: (chunk.score <= 0.5).sum()}


@pytest.mark.processes
@pytest.mark.parametrize("number", [0, 2], ids=["same-work", "default-checks"])
def test_throughput_runs_and_counts_every_row(bench, tmp_path, monkeypatch, number):
    """Worker and peer as processes on a tiny load: each side's rows and mean are numpy's (or the
    run would end), and every form has a rate for every round.
    """
    throughput = bench("throughput")
    monkeypatch.setattr(bench("sides"), "POLL_S", 0.1)
    sizes = throughput.Sizes(
        models=2,
        rounds=1,
        warm_batches=1,
        batches=2,
        at_once=1,
        singles=50,
        obvious=100,
        checkpoint_every_s=0.2,
    )
    case = throughput.CASES[number]
    rates = throughput.measure(case, sizes, tmp_path)
    assert {form: len(found) for form, found in rates.items()} == dict.fromkeys(throughput.FORMS, 1)
    shown = [figure.what for figure in throughput.figures(case, rates)]
    assert len(shown) == 4 and len(set(shown)) == 4


@pytest.mark.processes
def test_the_bridge_and_the_worker_behind_it_count_every_row(bench, tmp_path, monkeypatch):
    """Bridge, worker and peer on a tiny load: rows and mean are numpy's (or the run would end), and
    every process has a cost for every round.
    """
    bridge = bench("bridge")
    monkeypatch.setattr(bench("sides"), "POLL_S", 0.1)
    sizes = bridge.Sizes(
        models=2,
        rounds=1,
        warm_batches=1,
        partitions=3,
        events=200,
        obvious=100,
        checkpoint_every_s=0.2,
    )
    spent = bridge.measure(sizes, tmp_path)
    assert {name: len(found) for name, found in spent.items()} == dict.fromkeys(spent, 1)
    assert len(bridge.figures(spent)) == len(spent) + 1


@pytest.mark.parametrize(("count", "mean"), [(3, 2.0), (4, 2.5), (4, 2.0 + 1e-6)])
def test_a_side_that_lost_or_changed_a_row_ends_the_run(bench, count, mean):
    """A rate is only printed for work that was done: a missing row or another mean is an exit."""
    lane = lane_that_saw(bench("throughput"), count, mean)
    with pytest.raises(SystemExit, match="counted"):
        lane.check()


def test_a_side_that_saw_everything_passes(bench):
    """The check is one of rows and values, not a refusal of everything."""
    lane_that_saw(bench("throughput"), 4, 2.0).check()


def lane_that_saw(throughput: ModuleType, count: int, mean: float):
    """Four rows with mean 2 were sent to a side that says otherwise."""
    side = SimpleNamespace(seen=lambda: (count, mean), child=SimpleNamespace(name="side"))
    values = [np.array([1.0, 3.0], np.float32), np.array([2.0, 2.0], np.float32)]
    return throughput.Lane(side, None, [MODEL], values=values)


def test_import_cost_runs_every_program(bench):
    """Each step down to the first row works in a fresh process, and a longer program is no
    smaller in memory than a bare interpreter.
    """
    cost = bench("import_cost")
    costs = cost.measure(rounds=1)
    assert list(costs) == list(cost.PROGRAM)
    assert all(mb >= costs[cost.BARE][1] for _, mb in costs.values())
    assert len(cost.figures(costs)) == len(costs)


def test_a_program_that_fails_ends_the_run(bench):
    """An import that breaks is no cheap import."""
    with pytest.raises(SystemExit, match="no_such_module"):
        bench("import_cost")._cost("import no_such_module")


def test_sdk_calls_are_timed_with_and_without_a_broker(bench):
    """Both conditions give every figure, shares of the calls in order, and drop no row."""
    sdk = bench("sdk")
    measured = sdk.compare(calls=600, rounds=1)
    assert len(measured) == 2
    for costs in measured.values():
        assert 0 < costs["p50"] <= costs["p99"] <= costs["p99.9"]
        assert costs["row of log_batch"] > 0
    assert len(sdk.figures(measured)) == 4


def test_kernels_find_what_river_finds(bench, monkeypatch):
    """Both sides alarm at the same rows and score the same (or the run would end), something is
    found, and every candidate has a cost for every round.
    """
    kernels = bench("kernels")
    monkeypatch.setattr(kernels, "BLOCKS", 2)
    costs = kernels.measure(rounds=1)
    assert {len(found) for found in costs.values()} == {1}
    assert len(kernels.figures(costs)) == 6


@pytest.mark.parametrize(("ours", "rivers"), [([(1, 2)], [(1, 3)]), ([1.0], [1.0, 0.5]), ([], [])])
def test_a_kernel_that_decides_otherwise_ends_the_run(bench, ours, rivers):
    """No ratio of two different things, and none of nothing."""
    with pytest.raises(SystemExit, match="not what river finds"):
        bench("kernels").same("ADWIN", ours, rivers)


def test_the_fold_is_measured_with_a_reference_and_every_row(bench, monkeypatch):
    """Each mode, number of models and number of features folds all its rows past the learning span
    (or the run would end), and has a cost for every round.
    """
    fold = bench("fold")
    monkeypatch.setattr(fold, "MODELS", (1, 3))
    monkeypatch.setattr(fold, "WIDTHS", (2, 5, 9))
    costs = fold.measure(rounds=1)
    assert {len(found) for found in costs.values()} == {1}
    assert len(costs) == 7 + len(fold.MODELS) + len(fold.WIDTHS)
    assert len(fold.figures(costs)) == 10


def test_a_fold_that_still_learns_ends_the_run(bench, monkeypatch):
    """Without a reference there are no bins and no detectors: that cost is not the one named."""
    fold = bench("fold")
    monkeypatch.setattr(fold, "WARM_ROWS", 1_000)
    with pytest.raises(SystemExit, match="not every row"):
        fold.Fold(fold.watched(), batches=1).prepare(1).check()


def test_candidates_take_turns(bench):
    """Each runs once a round and once before, the order rotates, and a cost is that of a unit."""
    turns, ran = bench("turns"), []

    def turn(name, done):
        ran.append(name)
        return done

    costs = turns.costs_ns({"a": lambda: turn("a", 1), "b": lambda: turn("b", 10**9)}, rounds=2)
    assert "".join(ran) == "abbaab"
    assert len(costs["a"]) == len(costs["b"]) == 2
    assert max(costs["b"]) < 1
    assert turns.ratio([6.0, 10.0], [2.0, 5.0]) == "3× (median 2×)"


def test_results_can_be_published_as_printed(bench):
    """The head names cores and versions, and neither the host nor a path of it."""
    report = bench("report")
    head = report.machine()
    assert "cores" in head and "river" in head
    assert socket.gethostname() not in head
    assert str(ROOT) not in head


def test_what_is_printed_is_what_is_written(bench, monkeypatch, tmp_path):
    """A command's section of the results becomes its output; all else stays as it was."""
    report, page = bench("report"), tmp_path / "RESULTS.md"
    monkeypatch.setattr(report, "RESULTS", page)
    page.write_text("# Results\n\nHow.\n\n## `one`\n\nBy hand.\n\n## `two`\n\n```\n1\n```\n")
    report.keep("two", "2\n\n3\n")
    report.keep("three", "4")
    assert page.read_text() == (
        "# Results\n\nHow.\n\n## `one`\n\nBy hand.\n\n"
        "## `two`\n\n```\n2\n\n3\n```\n\n## `three`\n\n```\n4\n```\n"
    )


def test_a_peer_that_cannot_run_is_named_and_the_others_are_measured(
    bench, monkeypatch, tmp_path, capsys
):
    """Peers answer from processes of their own; one whose program fails costs nobody a figure."""
    peers = bench("peers")
    monkeypatch.setattr(peers, "LISTS", tmp_path)
    monkeypatch.setattr(peers, "_python", lambda name: sys.executable)
    answers = (
        "import sys\nprint('able 1.0', flush=True)\nfor _ in sys.stdin: print(10, 500, flush=True)"
    )
    (tmp_path / "able.py").write_text(answers)
    (tmp_path / "unable.py").write_text("raise SystemExit(3)")
    programs = {name: (f"{name}.py", name) for name in ("unable", "able")}
    monkeypatch.setattr(peers, "PEERS", programs)
    costs, versions = peers.measure(list(programs), rounds=2)
    assert versions == ["able 1.0"] and costs["able"] == [50.0, 50.0]
    assert list(costs) == [peers.OURS, "able"] and len(costs[peers.OURS]) == 2
    assert "unable IS NOT MEASURED: its process ended with 3" in capsys.readouterr().out
    assert len(peers.figures(costs)) == 2


@pytest.mark.parametrize("name", ["whylogs", "evidently"])
def test_peers_are_pinned(bench, name):
    """Every package of a peer's environment, so that its figure can be repeated."""
    peers = bench("peers")
    lines = (peers.LISTS / f"{name}.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert any(line.startswith(f"{name}==") for line in lines)
    assert (peers.LISTS / peers.PEERS[name][0]).is_file()


def test_every_drift_method_is_told_for_some_traffic(bench, capsys):
    """A line a method, each with its alarms and as many changes as there are."""
    drift = bench("drift")
    drift.main(["--models", "1", "--weeks", "1", "--traffic", "2,000 rows an hour"])
    lines = capsys.readouterr().out.splitlines()[-len(drift.METHODS) :]
    assert [line[:16].strip() for line in lines] == list(drift.METHODS)
    assert all(len(line.split(" · ")) == len(drift.CHANGES) for line in lines)


def test_every_benchmark_is_run_and_explained(bench):
    """`make bench` leaves none out, and the README says how to repeat each alone."""
    run = bench("run")
    page = (ROOT / "benchmarks" / "README.md").read_text()
    commands = {name: bench(name).COMMAND for name in run.BENCHMARKS}
    assert commands == {name: f"python benchmarks/{name}.py" for name in run.BENCHMARKS}
    assert all(command in page for command in commands.values())
