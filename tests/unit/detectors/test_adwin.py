"""ADWIN by name decides as river's, whatever the parameters and the blocks."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from river.drift import ADWIN

from inferwatch.detectors import make
from inferwatch.errors import ConfigError
from inferwatch.testing.error_streams import BLOCKS, fed_in_blocks, rivers

DATA = Path(os.environ.get("INFERWATCH_DATA", Path(__file__).parents[4] / "shared" / "data"))


def stream(seed):
    """6,000 values of one of eight kinds: rates, levels, walks, heavy tails, waves, constants."""
    generator, n = np.random.default_rng(seed), 6_000
    row = np.arange(n)
    match seed % 8:
        case 0:
            return (generator.random(n) < np.where(row < 3_000, 0.2, 0.4)).astype(np.float64)
        case 1:
            return generator.normal(size=n) + (row > 2_500)
        case 2:
            return generator.normal(size=n) + 1e6
        case 3:
            return np.cumsum(generator.normal(size=n))
        case 4:
            return generator.lognormal(size=n)
        case 5:
            return generator.normal(size=n) * np.where(row // 1_000 % 2, 5, 1)
        case 6:
            return (row // 700 % 2).astype(np.float64)
        case _:
            return np.full(n, generator.normal())


def params(seed):
    """River's defaults, or others."""
    generator = np.random.default_rng(seed)
    if seed < 24:
        return {}
    return {
        "delta": float(generator.choice([0.002, 0.05, 0.3, 1e-5])),
        "clock": int(generator.choice([1, 7, 32, 100])),
        "min_window_length": int(generator.choice([1, 5, 20])),
        "grace_period": int(generator.choice([0, 10, 50])),
    }


@pytest.mark.parametrize("seed", range(72))
def test_decisions_are_rivers(seed):
    """Any stream, any parameters, any blocks: the same indices, and the same window afterwards."""
    values, named = stream(seed), params(seed)
    ours, river = make("adwin", **named), ADWIN(**named)
    found = fed_in_blocks(ours.update_many, values, BLOCKS[seed % len(BLOCKS)])
    assert found == rivers(river, values)
    if not river.drift_detected:  # river counts a window as dropped at once, we when it goes on
        width, total, spread = ours._window[:3].tolist()
        assert (width, total, spread) == (river.width, river.total, river.variance)


@pytest.mark.skipif(not DATA.is_dir(), reason="set INFERWATCH_DATA to the folder of open data")
@pytest.mark.parametrize("name", ["river_test_1", "river_test_2", "river_test_3"])
def test_published_indices_are_found(name):
    """On the frozen streams of river's tests every published row, no other."""
    published = json.loads((DATA / "streams" / "drift_indices.json").read_text())
    values = np.loadtxt(DATA / "streams" / f"{name}.csv.gz", skiprows=1)
    calls = {
        call: rows
        for call, rows in published["streams"][name]["detections"].items()
        if call.startswith("ADWIN(")
    }
    assert calls
    for call, rows in calls.items():
        named = dict(part.split("=") for part in call[6:-1].split(", ") if part)
        made = make("adwin", **{key: float(value) for key, value in named.items()})
        assert made.update_many(values) == rows


def test_the_canonical_change_is_found_where_it_is():
    """1023, not the 1055 of implementations that skip each row's last bucket."""
    made = np.random.RandomState(12345)
    values = np.concatenate([made.randint(2, size=1_000), made.randint(8, size=1_000)])
    assert make("adwin").update_many(values.astype(np.float64)) == [1023]


@pytest.mark.parametrize(
    "wrong", [{"delta": 0}, {"delta": 1}, {"clock": 0}, {"max_buckets": 4}, {"size": 3}]
)
def test_a_parameter_out_of_range_is_told(wrong):
    """The error names the parameter and what it may be."""
    with pytest.raises(ConfigError) as told:
        make("adwin", **wrong)
    assert next(iter(wrong)) in str(told.value)


@pytest.mark.parametrize("seed", range(8))
def test_a_restored_window_leaves_the_same_bytes(seed):
    """Of two detectors of one stream one was restored on the way: equal snapshots ever after, for
    what lies in places out of use does not show.
    """
    values, ours = stream(seed), make("adwin", delta=0.05)
    for at in range(0, len(values), 500):
        again = make("adwin", delta=0.05)
        again.restore(ours.snapshot())
        for later in range(at, len(values), 500):
            again.update_many(values[later : later + 500])
        ours.update_many(values[at : at + 500])
        if at == 2_000:
            kept = again.snapshot()
    assert ours.snapshot() == kept == again.snapshot()
