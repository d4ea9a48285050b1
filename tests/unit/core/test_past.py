"""Figures of past windows: kept whole, bounded, and set beside a new window by a stated rule."""

import numpy as np
import pytest

from inferwatch.core import past
from inferwatch.core.past import Past


def kept(windows):
    """The past after these windows."""
    found = Past()
    for figures in windows:
        past.add(found, figures)
    return found


def drawn(n, seed=0):
    """n windows: one figure that all know, one that most, one that half, one that few of them."""
    draw, shares = np.random.default_rng(seed), {"all": 1.0, "most": 0.95, "half": 0.5, "few": 0.1}
    return [
        {name: float(draw.normal()) for name, share in shares.items() if draw.random() < share}
        for _ in range(n)
    ]


def plainly(windows, figures):
    """The rule by name, without arrays."""
    before = windows[-past.KEPT_MAX - past.APART : -past.APART]
    names = sorted(
        name
        for name in figures
        if sum(name in one for one in before) >= past.KNOWN_MIN * len(before)
    )
    whole = [one for one in before if all(name in one for name in names)]
    return names, [[figures[name] for name in names], *[[one[n] for n in names] for one in whole]]


@pytest.mark.parametrize("n", [100, 150, 700])
@pytest.mark.parametrize("left_out", [[], ["most"], ["all"]])
def test_windows_are_beside_as_the_rule_says(n, left_out):
    """Figures that the window and nine in ten past windows know, of windows that know all these."""
    windows = drawn(n)
    figures = dict.fromkeys(["all", "most", "half", "few", "new"], 0.5)
    for name in left_out:
        del figures[name]
    names, columns = past.beside(kept(windows), figures)
    wanted, rows = plainly(windows, figures)
    assert names == wanted and columns.dtype == np.float32
    np.testing.assert_array_equal(columns.T, np.float32(rows))


def test_the_newest_stand_apart():
    """What is held against a window is older than the twenty before it."""
    found = kept([{"rows": float(at)} for at in range(130)])
    assert past.settled(found) == 110
    _, columns = past.beside(found, {"rows": -1.0})
    assert columns[0].tolist() == [-1.0, *map(float, range(110))]
    assert past.settled(kept([{"rows": 1.0}] * 5)) == 0


def test_the_past_is_bounded():
    """However many windows, so many are kept: the newest."""
    found = kept([{"rows": float(at)} for at in range(600)])
    assert found.figures.shape == (past.KEPT_MAX + past.APART, 1)
    assert found.figures[-1, 0] == 599.0 and past.settled(found) == past.KEPT_MAX


def test_figures_beyond_float32_are_its_largest():
    """A squared error of 1e300 is kept, and compared, as a number."""
    found = kept([{"mse": 1e300, "low": -1e300}] * 130)
    _, columns = past.beside(found, {"mse": 1.7e308, "low": -3.5e38})
    most = np.finfo(np.float32).max
    assert np.unique(columns).tolist() == [-most, most]
