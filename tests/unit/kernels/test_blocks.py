"""The sums of a block are those of its finite values, to the bit the same wherever calls cut it."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.kernels import blocks

LOW, HIGH, CENTRE, SCALE = -1.0, 2.0, 0.5, 1.5


def sums(values, size, cuts=()):
    """Sum and sum of squares of each full block, and what the last one holds."""
    parts, held, found = np.zeros(blocks.PARTS), 0, []
    for piece in np.split(values, sorted(cuts)):
        at = 0
        while at < len(piece):
            at, held = blocks.fill(piece, at, held, size, LOW, HIGH, CENTRE, SCALE, parts)
            if held == size:
                found.append((blocks.total(parts, 0), blocks.total(parts, blocks.SQUARES)))
                assert not parts.any()
                held = 0
    return found, held, parts.tobytes()


def stream(seed, kind=np.float32):
    """Rows of which some lie out of bounds and one in ten is not finite."""
    chance = np.random.default_rng(seed)
    values = chance.normal(size=600).astype(kind)
    values[chance.random(600) < 0.1] = chance.choice([np.nan, np.inf, -np.inf])
    return values


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 3, 16, 20, 64, 300])
def test_sums_are_numpys(kind, size):
    """Each block of so many finite values, clipped and scaled."""
    values = stream(size, kind)
    finite = values[np.isfinite(values)].astype(np.float64)
    scaled = (np.clip(finite, LOW, HIGH) - CENTRE) / SCALE
    full = scaled[: len(scaled) // size * size].reshape(-1, size)
    found, held, _ = sums(values, size)
    assert held == len(scaled) % size
    expected = [(math.fsum(block), math.fsum(block**2)) for block in full]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@given(
    seed=st.integers(0, 99),
    size=st.sampled_from([2, 16, 13, 64, 300]),
    cuts=st.lists(st.integers(0, 600), max_size=9),
)
def test_calls_do_not_show(seed, size, cuts):
    """One value at a time, at once, or in pieces."""
    values = stream(seed)
    assert sums(values, size, cuts) == sums(values, size) == sums(values, size, range(600))
