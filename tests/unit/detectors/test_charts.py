"""CUSUM and the EWMA chart decide as the textbook's forms, learnt or given."""

import numpy as np
import pytest

from inferwatch.detectors import make
from inferwatch.errors import ConfigError
from inferwatch.testing.error_streams import BLOCKS, fed_in_blocks


def table(values, centre, scale, k=0.5, h=5.0):
    """Montgomery's table, a row a value; the index of the first alarm."""
    above, below = 0.0, 0.0
    for row, value in enumerate(values):
        above = max(0.0, value - (centre + k * scale) + above)
        below = max(0.0, (centre - k * scale) - value + below)
        if above > h * scale or below > h * scale:
            return row
    return None


def average(values, centre, scale, lambda_val=0.2, limit=2.962):
    """The average on the scale of the values, limits by the formula; the first alarm."""
    mean = centre
    for row, value in enumerate(values):
        mean = lambda_val * value + (1 - lambda_val) * mean
        faded = (1 - lambda_val) ** (2 * (row + 1))
        width = limit * scale * np.sqrt(lambda_val / (2 - lambda_val) * (1 - faded))
        if not centre - width <= mean <= centre + width:
            return row
    return None


def charted(chart, values, target=None, sd=None, min_instances=100, **limits):
    """Alarms of charts one after the other, each learnt anew where level or sd is not given."""
    found, start = [], 0
    while start < len(values):
        known = target is not None and sd is not None
        first = values[start : start if known else start + min_instances]
        centre = first.mean() if target is None else target
        scale = first.std(ddof=1) if sd is None else sd
        row = chart(values[start + len(first) :], centre, scale, **limits)
        if row is None:
            break
        start += len(first) + row + 1
        found.append(start - 1)
    return found


CHARTS = {"cusum": table, "ewma": average}
OTHERS = {
    "cusum": {"k": [0.0, 0.25, 0.5, 1.0], "h": [3.0, 5.0, 10.0], "min_instances": [2, 30, 500]},
    "ewma": {
        "lambda_val": [0.01, 0.1, 0.4, 1.0],
        "limit": [2.0, 3.0, 4.5],
        "min_instances": [5, 30, 500],
    },
}
each = pytest.mark.parametrize("name", CHARTS)


def stream(seed):
    """5,000 values about some level in some unit, with shifts in both directions, or none."""
    generator, row = np.random.default_rng(seed), np.arange(5_000)
    values = generator.normal(size=5_000) if seed % 3 else generator.exponential(size=5_000)
    shift = generator.choice([0.0, 0.5, 1.0, -2.0])
    return generator.choice([0.0, 50.0, -1e4]) + generator.choice([1e-3, 1.0, 40.0]) * (
        values + shift * (row // 1_200 % 2)
    )


def params(name, seed, values):
    """The defaults, or others; level and spread learnt, given, or one of them."""
    generator = np.random.default_rng(seed)
    named = {}
    if seed >= 20:
        named = {key: generator.choice(tries).item() for key, tries in OTHERS[name].items()}
    if seed % 4 in (1, 3):
        named["target"] = float(values[:300].mean())
    if seed % 4 in (2, 3):
        named["sd"] = float(values[:300].std())
    return named


@each
@pytest.mark.parametrize("seed", range(60))
def test_decisions_are_the_textbooks(name, seed):
    """Any stream, unit, parameters and blocks: the same alarms."""
    values = stream(seed)
    named = params(name, seed, values)
    made = make(name, **named)
    found = fed_in_blocks(made.update_many, values, BLOCKS[seed % len(BLOCKS)])
    assert found == charted(CHARTS[name], values, **named)


def test_a_table_worked_by_hand():
    """Target 10, sd 1, k ½, h 2: 11, 11.5 and 12 add up to .5, 1.5 and 3; then down likewise."""
    made = make("cusum", target=10, sd=1, k=0.5, h=2)
    assert made.update_many(np.array([11, 11.5, 12, 9, 8.5, 8, 10])) == [2, 5]


def test_the_first_limit_is_the_narrow_one():
    """At the first value the limit is L·λ, not that of a long run: 3.1 sd alarm at once."""
    assert make("ewma", target=0, sd=1, limit=3).update_many(np.array([2.9])) == []
    assert make("ewma", target=0, sd=1, limit=3).update_many(np.array([-3.1])) == [0]


@each
def test_equal_values_teach_no_scale(name):
    """A constant stretch never alarms, however long, whether the level is learnt or given."""
    values = np.full(5_000, 3.0)
    assert make(name).update_many(values) == []
    assert make(name, target=3.0, sd=1.0).update_many(values) == []


def test_what_overflows_while_learning_is_forgotten():
    """Two huge values in the warm-up do not make a detector that never speaks again."""
    generator = np.random.default_rng(1)
    values = np.concatenate([[1.7e308, -1.7e308], generator.normal(size=300) + 0.0])
    values = np.concatenate([values, generator.normal(size=100) + 5])
    assert make("cusum", h=8).update_many(values)[0] in range(302, 306)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        *((name, "target", 1e308) for name in CHARTS),
        *((name, "sd", 0) for name in CHARTS),
        *((name, "min_instances", 1) for name in CHARTS),
        *[("cusum", "sd", -1), ("cusum", "k", -1), ("cusum", "h", 0)],
        *[("ewma", "lambda_val", 0), ("ewma", "limit", 0)],
    ],
)
def test_a_parameter_out_of_range_is_named(name, key, value):
    """Key and fix are in the error."""
    with pytest.raises(ConfigError) as caught:
        make(name, **{key: value})
    assert caught.value.key == key and caught.value.fix
