"""Where windows close and what is late: the kernels beside the definitions, row by row in numpy."""

import numpy as np
import pytest

from inferwatch.kernels import panes

UNSET = -(1 << 62)


def last_end(now, size, step, grace):
    """End of the last window that is over at a watermark."""
    return (now - grace - size) // step * step + size


def first_end(start, pane, size, step):
    """End of the first window that holds the pane."""
    return -((size - pane - start) // step) * step + size


def draws(seed):
    """Windows of some kind and the times of a block: in order, out of order, or hours apart."""
    chance = np.random.default_rng(seed)
    pane = int(chance.choice([1_000, 5_000, 60_000]))
    step = pane * int(chance.integers(1, 4))
    size = step * int(chance.integers(1, 4))
    if chance.random() < 0.3:
        size = pane * int(chance.integers(1, 7))
        step = min(step, size)
    grace = int(chance.choice([0, 700, 30_000]))
    n = int(chance.integers(1, 400))
    steps = chance.choice([0, 10, 900, -3_000, 4_000_000], n, p=[0.3, 0.4, 0.2, 0.09, 0.01])
    time = 1_700_000_000_000 + np.cumsum(steps).astype(np.int64)
    reached = np.maximum.accumulate(time)
    before = np.concatenate(([UNSET if chance.random() < 0.3 else reached[0] - 50], reached[:-1]))
    passed = np.where(np.arange(n + 1) <= chance.integers(0, n + 1), 40_000, 0)
    now = np.concatenate((before[:1], reached)) + np.where(chance.random() < 0.5, passed, 0)
    boundary = UNSET if chance.random() < 0.3 else int(time[0] // step * step - step)
    return (pane, size, step, grace), time, before, now, boundary


@pytest.mark.parametrize("seed", range(200))
def test_a_piece_ends_where_the_definition_says(seed):
    """A window is over after a row and was not before it, or the row opens one that is over."""
    (pane, size, step, grace), time, before, now, boundary = draws(seed)
    starts = time // pane * pane
    over = last_end(now, size, step, grace)
    passed = np.maximum(boundary, last_end(before, size, step, grace))
    opened = np.maximum(first_end(starts, pane, size, step), passed + step)
    at_once = opened <= np.minimum(over[1:], starts // step * step + size)
    closing = (over[1:] > over[:-1]) | at_once
    for first in {0, len(time) // 2, len(time) - 1}:
        found = np.flatnonzero(closing[first:])
        wanted = first + int(found[0]) + 1 if len(found) else len(time)
        assert panes.next_cut(time, before, now, first, pane, size, step, grace, boundary) == wanted


@pytest.mark.parametrize("seed", range(200))
def test_rows_are_late_where_the_definition_says(seed):
    """Lost is a row of whose windows the last is over, late one of whose windows the first is."""
    (pane, size, step, grace), time, before, _, boundary = draws(seed)
    starts = time // pane * pane
    passed = np.maximum(boundary, last_end(before, size, step, grace))
    lost = starts // step * step + size <= passed
    found = panes.place(time, before, pane, size, step, grace, boundary)
    assert found[0].tolist() == starts.tolist()
    assert found[1].tolist() == lost.tolist()
    assert found[2] == int((first_end(starts, pane, size, step) <= passed).sum())
    assert found[3] == (not lost.any() and len(set(starts.tolist())) == 1)
