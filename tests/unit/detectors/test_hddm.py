"""HDDM_A and HDDM_W by name decide as river's, whatever the parameters and the blocks."""

import numpy as np
import pytest
from river.drift.binary import HDDMA, HDDMW

from inferwatch.detectors import make
from inferwatch.errors import ConfigError
from inferwatch.testing.error_streams import BLOCKS, errors, fed_in_blocks, losses, rivers

RIVERS = {"hddm_a": HDDMA, "hddm_w": HDDMW}
each = pytest.mark.parametrize("name", RIVERS)


def params(name, seed):
    """River's defaults, its other side, or others."""
    generator = np.random.default_rng(seed)
    if seed < 30:
        return {"two_sided_test": True} if seed % 2 else {}
    weight = {"lambda_val": float(generator.choice([0.01, 0.05, 0.3]))} if name == "hddm_w" else {}
    return weight | {
        "drift_confidence": float(generator.choice([0.3, 0.01, 0.001, 1e-6])),
        "two_sided_test": bool(generator.integers(2)),
    }


@each
@pytest.mark.parametrize("kind", [errors, losses])
@pytest.mark.parametrize("seed", range(60))
def test_decisions_are_rivers(name, seed, kind):
    """Errors and losses, any parameters, any blocks: the same indices."""
    values, named = kind(seed), params(name, seed)
    made = make(name, **named)
    found = fed_in_blocks(made.update_many, values, BLOCKS[seed % len(BLOCKS)])
    assert found == rivers(RIVERS[name](**named), values)


@each
def test_there_was_something_to_decide(name):
    """On the streams above there are drifts, in many of them, and more with both sides."""
    streams = [errors(seed) for seed in range(60)]
    one = [len(make(name).update_many(values)) for values in streams]
    both = [len(make(name, two_sided_test=True).update_many(values)) for values in streams]
    assert sum(n > 0 for n in one) > 15 and sum(both) > sum(one)


@each
def test_one_sided_is_half_blind(name):
    """A rate that falls from 60 % to 5 % is found at once, but not by default."""
    generator = np.random.default_rng(3)
    values = np.concatenate([generator.random(2_000) < 0.6, generator.random(2_000) < 0.05])
    values, fall = values.astype(np.float64), range(2_000, 2_200)
    assert not set(make(name).update_many(values)) & set(fall)
    assert set(make(name, two_sided_test=True).update_many(values)) & set(fall)


@each
def test_values_outside_are_clipped(name):
    """The bound holds for [0, 1]: 2 counts as 1, −1 as 0."""
    values = errors(2)
    wild = np.where(values == 1.0, 2.0, -1.0)
    assert make(name).update_many(wild) == make(name).update_many(values) != []


@each
def test_switches_are_taken_as_they_come(name):
    """1 from a file is True; half is an error, and so is a confidence of 1."""
    values = errors(1)
    expected = make(name, two_sided_test=True).update_many(values)
    assert make(name, two_sided_test=1).update_many(values) == expected
    for key, value in [("two_sided_test", 0.5), ("drift_confidence", 1), ("drift_confidence", 0)]:
        with pytest.raises(ConfigError) as caught:
            make(name, **{key: value})
        assert caught.value.key == key and caught.value.fix
