"""The EWMA chart decides as its definition says, learnt or given."""

import numpy as np
import pytest

from inferwatch.detectors import make
from inferwatch.errors import ConfigError
from inferwatch.testing.error_streams import BLOCKS, fed_in_blocks


def textbook(values, target=None, sd=None, min_instances=100, lambda_val=0.2, limit=2.962):
    """The average on the scale of the values, limits by the formula; after an alarm anew."""
    found, start = [], 0
    while start < len(values):
        known = target is not None and sd is not None
        first = values[start : start if known else start + min_instances]
        centre = first.mean() if target is None else target
        scale = first.std(ddof=1) if sd is None else sd
        average, begin = centre, start + len(first)
        for row in range(begin, len(values)):
            average = lambda_val * values[row] + (1 - lambda_val) * average
            faded = (1 - lambda_val) ** (2 * (row - begin + 1))
            width = limit * scale * np.sqrt(lambda_val / (2 - lambda_val) * (1 - faded))
            if not centre - width <= average <= centre + width:
                found.append(row)
                start = row + 1
                break
        else:
            break
    return found


def stream(seed):
    """5,000 values about some level in some unit, with shifts in both directions, or none."""
    generator, row = np.random.default_rng(seed), np.arange(5_000)
    values = generator.normal(size=5_000) if seed % 3 else generator.exponential(size=5_000)
    shift = generator.choice([0.0, 0.5, 1.0, -2.0])
    return generator.choice([0.0, 50.0, -1e4]) + generator.choice([1e-3, 1.0, 40.0]) * (
        values + shift * (row // 1_200 % 2)
    )


def params(seed, values):
    """The defaults, or others; level and spread learnt, given, or one of them."""
    generator = np.random.default_rng(seed)
    named = {}
    if seed >= 20:
        named["lambda_val"] = float(generator.choice([0.01, 0.1, 0.4, 1.0]))
        named["limit"] = float(generator.choice([2.0, 3.0, 4.5]))
        named["min_instances"] = int(generator.choice([5, 30, 500]))
    if seed % 4 in (1, 3):
        named["target"] = float(values[:300].mean())
    if seed % 4 in (2, 3):
        named["sd"] = float(values[:300].std())
    return named


@pytest.mark.parametrize("seed", range(60))
def test_decisions_are_those_of_the_definition(seed):
    """Any stream, unit, parameters and blocks: the same alarms."""
    values = stream(seed)
    named = params(seed, values)
    made = make("ewma", **named)
    found = fed_in_blocks(made.update_many, values, BLOCKS[seed % len(BLOCKS)])
    assert found == textbook(values, **named)


def test_the_first_limit_is_the_narrow_one():
    """At the first value the limit is L·λ, not that of a long run: 3.1 sd alarm at once."""
    assert make("ewma", target=0, sd=1, limit=3).update_many(np.array([2.9])) == []
    assert make("ewma", target=0, sd=1, limit=3).update_many(np.array([-3.1])) == [0]


def test_equal_values_teach_no_scale():
    """A constant stretch never alarms, however long."""
    assert make("ewma").update_many(np.full(5_000, 3.0)) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("target", 1e308), ("sd", 0), ("min_instances", 1), ("lambda_val", 0), ("limit", 0)],
)
def test_a_parameter_out_of_range_is_named(key, value):
    """Key and fix are in the error."""
    with pytest.raises(ConfigError) as caught:
        make("ewma", **{key: value})
    assert caught.value.key == key and caught.value.fix
