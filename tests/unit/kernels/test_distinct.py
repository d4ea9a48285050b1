"""The distinct numbers of a column are numpy's, or it is said that they are not small."""

import numpy as np
import pytest

from inferwatch.kernels import distinct


@pytest.mark.parametrize("seed", range(50))
def test_small_whole_numbers_are_what_numpy_finds(seed):
    """Values ascending, each row's position among them, -1 for what is not finite."""
    chance = np.random.default_rng(seed)
    values = chance.integers(0, chance.integers(1, 257), chance.integers(0, 300)).astype(np.float64)
    values[chance.random(len(values)) < 0.1] = chance.choice([np.nan, np.inf, -np.inf])
    finite = np.isfinite(values)
    wanted, positions = np.unique(values[finite], return_inverse=True)
    found, got = distinct.small(values)
    assert found.tolist() == wanted.tolist()
    assert got[finite].tolist() == positions.tolist()
    assert (got[~finite] == -1).all()


@pytest.mark.parametrize("other", [-1.0, 0.5, 256.0, 1e300, -0.25, 255.00001])
def test_any_other_number_is_left_to_numpy(other):
    """Fractions, negative and large numbers give no positions."""
    found, positions = distinct.small(np.array([1.0, other, 2.0]))
    assert len(found) == len(positions) == 0


def test_zero_has_no_sign():
    """-0.0 is the class 0, as in numpy."""
    found, positions = distinct.small(np.array([-0.0, 0.0, 3.0]))
    assert found.tolist() == [0.0, 3.0]
    assert positions.tolist() == [0, 0, 1]
