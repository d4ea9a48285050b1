"""Directions are fixed and well spread; a row lies along them as its exact scalar products say."""

import hashlib
import math
from fractions import Fraction

import numpy as np
import pytest

from inferwatch.core import directions
from inferwatch.core.directions import DIRECTIONS

SIZES = (1, 7, 333, 500)


def vectors(n, dim, seed=0):
    """Vectors whose numbers differ widely in size, every tenth of them missing."""
    draw = np.random.default_rng(seed)
    found = draw.normal(size=(n, dim)) * 10.0 ** draw.integers(-6, 7, (n, dim))
    found[::10] = np.nan
    return found.astype(np.float32)


def known(dim):
    """Directions for vectors of `dim` numbers."""
    return directions.read(directions.make(dim), dim)


@pytest.mark.parametrize("dim", [1, 2, 64, 768])
def test_a_row_lies_where_its_exact_scalar_product_says(dim):
    """Within one rounding to float32 of the sum in fractions, over the direction's length."""
    rows, found = vectors(11, dim), known(dim)
    lie = directions.along(found, rows).lie
    for row, vector in enumerate(rows.tolist()):
        for direction, weights in enumerate(found.weights.T.astype(int).tolist()):
            if math.isnan(vector[0]):
                assert math.isnan(lie[direction, row])
                continue
            exact = sum(Fraction(x) * w for x, w in zip(vector, weights, strict=True))
            length = math.sqrt(sum(w * w for w in weights))
            size = sum(abs(x * w) for x, w in zip(vector, weights, strict=True)) / length
            assert lie[direction, row] == pytest.approx(
                float(exact) / length, rel=2**-23, abs=size * 2**-40
            )


@pytest.mark.parametrize("dim", [3, 768, 4096])
def test_how_rows_are_cut_does_not_show(dim):
    """Blocks of 1, 7, 333 and 500 rows, whole and strided, give the bits of all rows at once."""
    rows, found = vectors(700, dim), known(dim)
    whole = directions.along(found, rows).lie
    for size in SIZES:
        parts = [directions.along(found, rows[at : at + size]).lie for at in range(0, 700, size)]
        assert np.concatenate(parts, axis=1).tobytes() == whole.tobytes()
    assert directions.along(found, rows[::2]).lie.tobytes() == whole[:, ::2].tobytes()


def test_directions_never_change():
    """A release that drew others would learn references that no window of the last one fits."""
    found = hashlib.blake2b(directions.make(768), digest_size=8).hexdigest()
    assert found == "344aca684f86c1a4"


@pytest.mark.parametrize("dim", [16, 64, 768, 4096])
def test_directions_are_spread_like_random_ones(dim):
    """Their cosines are as small as those of uniform directions, 1/√d, and no place weighs more
    than its share.
    """
    found = known(dim)
    units = found.weights / found.norms
    assert units.shape == (dim, DIRECTIONS) and (found.weights != 0).all()
    cosines = (units.T @ units)[np.triu_indices(DIRECTIONS, 1)]
    assert np.sqrt((cosines**2).mean()) < 1.3 / math.sqrt(dim)
    assert (units**2).max() < 18.0 / dim
    assert abs(units.mean()) < 4 / math.sqrt(dim * DIRECTIONS) / math.sqrt(dim)


def test_other_sizes_have_no_place():
    """Vectors of another size are counted as given, and lie nowhere."""
    found = directions.along(known(4), vectors(20, 5))
    assert found.lie is None and found.given.sum() == 18
    assert directions.along(None, vectors(20, 5)).lie is None
