"""EDDM by name decides as river's, whatever the parameters and the blocks."""

import numpy as np
import pytest
from river.drift.binary import EDDM

from inferwatch.detectors import make
from inferwatch.errors import ConfigError
from inferwatch.testing.error_streams import BLOCKS, errors, fed_in_blocks, losses, rivers


def params(seed):
    """River's defaults, or others."""
    generator = np.random.default_rng(seed)
    if seed < 30:
        return {}
    return {
        "warm_start": int(generator.choice([1, 10, 30, 200])),
        "beta": float(generator.choice([0.3, 0.75, 0.9, 0.95])),
    }


@pytest.mark.parametrize("seed", range(80))
def test_decisions_are_rivers(seed):
    """Any errors, any parameters, any blocks: the same indices."""
    values, named = errors(seed), params(seed)
    made = make("eddm", **named)
    found = fed_in_blocks(made.update_many, values, BLOCKS[seed % len(BLOCKS)])
    assert found == rivers(EDDM(alpha=1.0, **named), values)


def test_there_was_something_to_decide():
    """On the streams above there are drifts, in most of them, and in some many."""
    found = [len(make("eddm", **params(seed)).update_many(errors(seed))) for seed in range(60)]
    assert sum(n > 0 for n in found) > 30 and max(found) > 5


def test_only_one_is_an_error():
    """As in river a loss just under 1 is none: of losses nothing is found, rounded much."""
    values = losses(2)
    almost = np.where(values > 0.5, 0.999, values)
    assert make("eddm").update_many(almost) == [] == rivers(EDDM(alpha=1.0), almost)
    rounded = np.round(almost)
    assert make("eddm").update_many(rounded) == rivers(EDDM(alpha=1.0), rounded) != []


@pytest.mark.parametrize(("key", "value"), [("warm_start", 0), ("beta", 0), ("beta", 1)])
def test_a_parameter_out_of_range_is_named(key, value):
    """Key and fix are in the error."""
    with pytest.raises(ConfigError) as caught:
        make("eddm", **{key: value})
    assert caught.value.key == key and caught.value.fix
