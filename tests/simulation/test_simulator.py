"""Delivery under faults that a seed draws: nothing lost, nothing doubled, the same every time.

`inferwatch simulate --seeds 1000` runs many; here are enough to keep a change honest.
"""

import asyncio
import subprocess
import sys
from random import Random

import pytest

from inferwatch.core import engine, error_rows, inspections, past
from inferwatch.errors import Exit
from inferwatch.runtime.attempts import Attempts
from inferwatch.testing.simulation import POINTS, run
from inferwatch.testing.simulation.run import FULL, INSPECTED, RANKED

SEEDS = range(16)


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_leave_no_trace(seed):
    """Outputs, states and rows are those of the undisturbed fold over the same log."""
    result = run(seed)
    assert result.failures == []
    assert result.rows > 2_000
    assert sum(result.faults.values()) >= 5


@pytest.mark.parametrize("seed", range(6))
def test_workers_and_replay_agree_on_which_models_are_taken(seed):
    """Partitions that take one model, of five: whatever restarts and moves, the first in the log
    are folded, and the records of all others are dead letters.
    """
    result = run(seed, (FULL,))
    assert result.failures == []
    assert result.faults[FULL] >= 1
    assert sum(result.exits.values()) >= 1


@pytest.mark.parametrize("seed", [2002, 3904, 6499, 8721, 11159])
def test_faults_that_once_left_a_trace(seed):
    """A rebalance is no death of the record that was being tried (3904, 6499), a hand-over that is
    cut off leaves nothing that a later checkpoint would vouch for (11159), and a member that was
    too slow to let go joins again (2002, 8721).
    """
    assert run(seed).failures == []


@pytest.mark.parametrize("seed", range(12))
def test_what_a_bug_half_folded_is_never_saved(seed, monkeypatch):
    """A fold that fails, some batches done and others not, ends the process; no checkpoint that
    comes while it notes so may take what it left.
    """
    whole, draw = engine.fold_batches, Random(seed)

    def failing(model, batches):
        found = whole(model, batches)
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return found  # the replay that the run is compared with
        if draw.random() < 0.1:
            raise RuntimeError("a bug")
        return found

    async def slow(self, owned, run):
        await asyncio.sleep(2.0)  # a checkpoint is due meanwhile
        await note(self, owned, run)

    note = Attempts.failed
    monkeypatch.setattr(Attempts, "failed", slow)
    monkeypatch.setattr(engine, "fold_batches", failing)
    result = run(seed)
    assert result.failures == []
    assert result.exits[Exit.BUG] >= 1


def test_a_seed_repeats_itself():
    """A failing seed can be repeated: every run of it is the same, under any hash seed."""
    code = "from inferwatch.testing.simulation import run;print(run(5))"
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for hash_seed in ("0", "1", "random")
    }
    assert len(told) == 1


def test_every_crash_point_is_visited():
    """No place that the protocol names is out of the simulator's reach."""
    visited = {point for seed in SEEDS for point in run(seed).visits}
    assert visited == set(POINTS)


@pytest.mark.parametrize("seed", range(6, 9))
def test_inspections_of_figures_leave_no_trace(seed, monkeypatch):
    """The same of a window's own figures, once three past windows are enough to ask about them, and
    of errors, once twenty rows are.
    """
    monkeypatch.setattr(past, "WINDOWS_MIN", 3)
    monkeypatch.setattr(past, "APART", 1)
    monkeypatch.setattr(error_rows, "ROWS_NEEDED", 20)
    asked = []
    told = inspections.request_output
    monkeypatch.setattr(
        inspections, "request_output", lambda one: asked.append(one.metric) or told(one)
    )
    assert run(seed, (INSPECTED,)).failures == []
    assert {"figures", "errors"} <= {*asked}


@pytest.mark.parametrize("seed", range(6))
def test_faults_leave_no_trace_in_queries(seed):
    """Items over several batches, labels late and corrected, owners that die while queries are
    open: workers and replay count the same queries in the same windows.
    """
    result = run(seed, (RANKED,))
    assert result.failures == []
    assert sum(result.faults.values()) >= 5


@pytest.mark.parametrize("seed", range(6))
def test_inspections_leave_no_trace(seed):
    """Answers come late, twice, too late or from a stalled owner, and owners die while they wait:
    workers and replay judge the same windows by the same answers.
    """
    result = run(seed, (INSPECTED,))
    assert result.failures == []
