"""CUSUM decides as the tabular form of the textbook, learnt or given."""

import numpy as np
import pytest

from inferwatch.detectors import make
from inferwatch.errors import ConfigError
from inferwatch.testing.error_streams import BLOCKS, fed_in_blocks


def textbook(values, target=None, sd=None, min_instances=100, k=0.5, h=5.0):
    """Montgomery's table, a row a value; after an alarm the next table, learnt anew."""
    found, start = [], 0
    while start < len(values):
        known = target is not None and sd is not None
        first = values[start : start if known else start + min_instances]
        centre = first.mean() if target is None else target
        scale = first.std(ddof=1) if sd is None else sd
        above, below = 0.0, 0.0
        for row in range(start + len(first), len(values)):
            above = max(0.0, values[row] - (centre + k * scale) + above)
            below = max(0.0, (centre - k * scale) - values[row] + below)
            if above > h * scale or below > h * scale:
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
    """Textbook's defaults, or others; level and spread learnt, given, or one of them."""
    generator = np.random.default_rng(seed)
    named = {}
    if seed >= 20:
        named["k"] = float(generator.choice([0.0, 0.25, 0.5, 1.0]))
        named["h"] = float(generator.choice([3.0, 5.0, 10.0]))
        named["min_instances"] = int(generator.choice([2, 30, 500]))
    if seed % 4 in (1, 3):
        named["target"] = float(values[:300].mean())
    if seed % 4 in (2, 3):
        named["sd"] = float(values[:300].std())
    return named


@pytest.mark.parametrize("seed", range(60))
def test_decisions_are_the_textbooks(seed):
    """Any stream, unit, parameters and blocks: the same alarms."""
    values = stream(seed)
    named = params(seed, values)
    made = make("cusum", **named)
    found = fed_in_blocks(made.update_many, values, BLOCKS[seed % len(BLOCKS)])
    assert found == textbook(values, **named)


def test_a_table_worked_by_hand():
    """Target 10, sd 1, k ½, h 2: 11, 11.5 and 12 add up to .5, 1.5 and 3; then down likewise."""
    made = make("cusum", target=10, sd=1, k=0.5, h=2)
    assert made.update_many(np.array([11, 11.5, 12, 9, 8.5, 8, 10])) == [2, 5]


def test_equal_values_teach_no_scale():
    """A constant stretch never alarms; learning goes on until two values differ."""
    values = np.concatenate([np.full(5_000, 3.0), np.random.default_rng(1).normal(3, 1, 2_000)])
    made = make("cusum", h=12.0)
    assert made.update_many(values[:5_000]) == []
    assert make("cusum", target=3.0, sd=1.0, h=12.0).update_many(values) == []


def test_what_overflows_while_learning_is_forgotten():
    """Two huge values in the warm-up do not make a detector that never speaks again."""
    generator = np.random.default_rng(1)
    values = np.concatenate([[1.7e308, -1.7e308], generator.normal(size=300) + 0.0])
    values = np.concatenate([values, generator.normal(size=100) + 5])
    assert make("cusum", h=8).update_many(values)[0] in range(302, 306)


@pytest.mark.parametrize(
    ("key", "value"),
    [("target", 1e308), ("sd", 0), ("sd", -1), ("min_instances", 1), ("k", -1), ("h", 0)],
)
def test_a_parameter_out_of_range_is_named(key, value):
    """Key and fix are in the error."""
    with pytest.raises(ConfigError) as caught:
        make("cusum", **{key: value})
    assert caught.value.key == key and caught.value.fix
