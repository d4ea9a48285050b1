"""A detector of rises, run both ways, finds what it finds alone, and falls as it finds rises."""

import msgspec
import numpy as np
import pytest

from inferwatch import detectors
from inferwatch.core import drift
from inferwatch.core.drift import ROW_METHODS
from inferwatch.core.drift.both_ways import BothWays
from inferwatch.core.drift.checksum import checksum
from inferwatch.core.drift.scale import ERRORS

each = pytest.mark.parametrize("name", ["ddm", "eddm"])


def made(name):
    """As checks have it."""
    return detectors.make(name, **ROW_METHODS[name].PARAMS)


def errors(seed, *rates, rows=4_000):
    """0 and 1, so many of each rate."""
    draw = np.random.default_rng(seed)
    return np.concatenate([draw.random(rows) < rate for rate in rates]).astype(np.float64)


def plain(name, values):
    """The definition: both fed until the first change of either, then two new ones."""
    found, first = [], 0
    while True:
        rises = made(name).update_many(values[first:])
        falls = made(name).update_many(1 - values[first:])
        firsts = [(rows[0], rise) for rows, rise in ((rises, True), (falls, False)) if rows]
        if not firsts:
            return found
        row, rise = min(firsts, key=lambda one: one[0])
        found.append((first + row, rise))
        first += row + 1


@each
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("block", [1, 7, 333, 500, 100_000])
def test_it_is_both_detectors_up_to_the_next_change_of_either(name, seed, block):
    """Rates that rise and fall, in blocks of any size."""
    values = errors(seed, 0.1, 0.6, 0.05, 0.5)
    both, found = BothWays(lambda: made(name)), []
    for at in range(0, len(values), block):
        part = both.update_many(values[at : at + block])
        found += [(at + row, rise) for row, rise in part]
    assert found == plain(name, values)
    assert {rise for _, rise in found} == {True, False}


@each
def test_what_is_found_says_which_way_it_went(name):
    """Of a fall the finding says so whatever the newest rows are."""
    check = ROW_METHODS[name].make(ERRORS, ROW_METHODS[name].PARAMS)
    found = check.update_many(errors(3, 0.6, 0.05))
    assert found and {one.direction for one in found if one.row >= 4_000} == {"down"}


@each
def test_a_state_from_before_falls_were_looked_for_goes_on(name):
    """Rises as if nothing had happened; falls are looked for from there on."""
    values = errors(4, 0.1, 0.6, 0.05, rows=6_000)
    check = ROW_METHODS[name].make(ERRORS, ROW_METHODS[name].PARAMS)
    check.update_many(values[:5_000])
    old = check.dump()
    old.falls, old.falls_rows = b"", 0
    old.checksum = checksum(old)
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=drift.DetectorState)
    found = drift.load(kept).update_many(values[5_000:])
    expected = check.update_many(values[5_000:])
    assert found[0].row == expected[0].row and found[0].direction == "up"
    assert "down" in {one.direction for one in found}
