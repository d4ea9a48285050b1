"""Many detectors in one call: each column's findings and state are those of its detector alone."""

import numpy as np
import pytest

from inferwatch.core.drift import ROW_METHODS
from inferwatch.core.drift.bank import BANKED, Bank
from inferwatch.core.drift.scale import Scale

SCALE = Scale(-4.0, 4.0, 0.0, 1.0)
FLAT = Scale(1.0, 1.0, 1.0, 0.0)


def blocks(columns, seed):
    """Uneven blocks of normal columns that jump at times of their own, with gaps."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(columns, 6_000)).astype(np.float32)
    for column in range(columns):
        values[column, 500 * column + 700 :] += 1.5
        values[column, 500 * column + 1_400 :] -= 1.5
    values[draw.random(values.shape) < 0.01] = np.nan
    return np.split(values, np.cumsum([1, 7, 333, 500, 1, 2_000]), axis=1)


@pytest.mark.parametrize("method", sorted(BANKED))
@pytest.mark.parametrize("block", [1.0, 100.0])
def test_together_as_alone(method, block):
    """Same findings in the same blocks, same dumps after each; a column that no detector reads and
    one whose reference is constant are passed over.
    """
    kind = ROW_METHODS[method]
    params = kind.PARAMS | {"block": block}
    scales = {0: SCALE, 2: SCALE, 3: FLAT, 4: SCALE}
    alone = {column: kind.make(scale, params) for column, scale in scales.items()}
    together = {column: kind.make(scale, params) for column, scale in scales.items()}
    bank, told = Bank({**together, 1: None}, 5), 0
    for values in blocks(5, 3):
        found = dict(bank.update(values))
        wanted = {column: one.update_many(values[column]) for column, one in alone.items()}
        assert found == {column: rows for column, rows in wanted.items() if rows}
        assert [one.dump() for one in together.values()] == [one.dump() for one in alone.values()]
        told += sum(map(len, found.values()))
    assert told >= 3


def test_a_piece_of_a_block_is_fed_as_it_stands():
    """Rows that a cut takes out of the middle of a block lie apart in memory."""
    kind = ROW_METHODS["adwin"]
    one, other = (kind.make(SCALE, kind.PARAMS) for _ in range(2))
    values = np.concatenate(blocks(2, 5), axis=1)
    bank = Bank({1: one}, 2)
    found = [bank.update(values[:, first : first + 500]) for first in range(0, 6_000, 500)]
    wanted = [other.update_many(values[1, first : first + 500]) for first in range(0, 6_000, 500)]
    assert [dict(part).get(1, []) for part in found] == wanted
    assert one.dump() == other.dump()


def test_no_detector_finds_nothing():
    """Before there is a reference no column has one."""
    assert Bank({0: None}, 1).update(np.zeros((1, 3), np.float32)) == []
