"""DDM by name decides as river's, whatever the parameters and the blocks."""

import numpy as np
import pytest
from river.drift.binary import DDM

from inferwatch.detectors import make
from inferwatch.errors import ConfigError
from inferwatch.testing.error_streams import (
    BLOCKS,
    errors,
    fed_in_blocks,
    losses,
    river_streams,
    rivers,
)


def params(seed):
    """River's defaults, or others."""
    generator = np.random.default_rng(seed)
    if seed < 30:
        return {}
    return {
        "warm_start": int(generator.choice([1, 10, 30, 200])),
        "drift_threshold": float(generator.choice([1.0, 2.0, 3.0, 5.0])),
    }


@pytest.mark.parametrize("kind", [errors, losses])
@pytest.mark.parametrize("seed", range(60))
def test_decisions_are_rivers(seed, kind):
    """Errors and losses, any parameters, any blocks: the same indices."""
    values, named = kind(seed), params(seed)
    made = make("ddm", **named, errors_min=0)
    found = fed_in_blocks(made.update_many, values, BLOCKS[seed % len(BLOCKS)])
    assert found == rivers(DDM(**named), values)


@pytest.mark.parametrize(("stream", "rows"), [(1, [1049]), (2, [542, 1619])])
def test_published_indices_are_found(stream, rows):
    """On the streams of river's tests every published row, no other; as it ships too, for 30 errors
    come before them.
    """
    values = river_streams()[stream].astype(np.float64)
    assert make("ddm", errors_min=0).update_many(values) == rows
    assert make("ddm").update_many(values) == rows


def test_there_was_something_to_decide():
    """On the streams above there are drifts, in most of them, and in some many."""
    found = [
        len(make("ddm", **params(seed), errors_min=0).update_many(errors(seed)))
        for seed in range(60)
    ]
    assert sum(n > 0 for n in found) > 30 and max(found) > 5


def test_the_first_error_after_a_perfect_start_is_none_by_default():
    """River alarms at the first wrong answer after 1,000 right ones; here 30 are waited for."""
    values = np.zeros(1_200)
    values[1_000] = 1.0
    assert make("ddm", errors_min=0).update_many(values) == [1_000] == rivers(DDM(), values)
    assert make("ddm").update_many(values) == []
    worse = np.concatenate([values, np.random.default_rng(1).random(4_000) < 0.02, np.ones(100)])
    assert make("ddm").update_many(worse.astype(np.float64))[-1] > 5_200


@pytest.mark.parametrize("seed", range(20))
def test_after_so_many_errors_the_look_begins(seed):
    """The decisions are those of the definition with a look from the 30th error on."""
    values, found, n, mean = errors(seed), [], 0, 0.0
    least, least_sd = np.inf, 0.0
    for row, value in enumerate(values.tolist()):
        n += 1
        mean += (value - mean) / n
        if n <= 30 or n * mean < 30:
            continue
        sd = np.sqrt(mean * (1 - mean) / n)
        if mean + sd <= least + least_sd:
            least, least_sd = mean, sd
        if mean + sd > least + 3 * least_sd:
            found.append(row)
            n, mean, least, least_sd = 0, 0.0, np.inf, 0.0
    assert make("ddm").update_many(values) == found


def test_a_falling_rate_is_no_drift():
    """One direction only, as documented."""
    generator = np.random.default_rng(3)
    values = np.concatenate([generator.random(2_000) < 0.4, generator.random(2_000) < 0.05])
    assert make("ddm").update_many(values.astype(np.float64)) == []


def test_values_outside_are_clipped():
    """2 is an error as 1 is, −1 none, so a square root is never taken of less than nothing."""
    values = errors(10)
    wild = np.where(values == 1.0, 2.0, -1.0)
    assert make("ddm").update_many(wild) == make("ddm").update_many(values) != []


@pytest.mark.parametrize(
    ("key", "value"),
    [("warm_start", 0), ("warm_start", 2.5), ("errors_min", -1), ("drift_threshold", 0)],
)
def test_a_parameter_out_of_range_is_named(key, value):
    """Key and fix are in the error."""
    with pytest.raises(ConfigError) as caught:
        make("ddm", **{key: value})
    assert caught.value.key == key and caught.value.fix
