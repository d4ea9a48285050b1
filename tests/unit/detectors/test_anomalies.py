"""Detectors of anomalies score by their definitions; a finding is the highest of its stretch."""

import numpy as np
import pytest
from scipy import stats

from inferwatch.detectors import make
from inferwatch.errors import ConfigError


def stream(seed):
    """1,500 values: noise, a level that moves, ties, a few far out, some missing."""
    generator = np.random.default_rng(seed)
    values = generator.normal(size=1_500) + np.where(np.arange(1_500) > 700, 3, 0)
    values[generator.integers(0, 1_500, 8)] += generator.choice([-30, 30], 8)
    values = np.round(values, 1) if seed % 2 else values
    values[generator.integers(0, 1_500, 20)] = np.nan
    return values


def z(past, value, floor):
    """Mean and deviation by scipy."""
    return abs(value - past.mean()), max(stats.tstd(past), floor * np.ptp(past))


def robust(past, value, floor):
    """Median and MAD by scipy."""
    spread = max(stats.median_abs_deviation(past), floor * np.ptp(past))
    return 0.6745 * abs(value - np.median(past)), spread


def fences(past, value, floor):
    """Quartiles by numpy."""
    low, high = np.quantile(past, [0.25, 0.75])
    return max(low - value, value - high, 0.0), max(high - low, floor * np.ptp(past))


def expected(values, window, past_min, floor, definition):
    """The score of each value against those before it, one by one."""
    known, scores = [], []
    for value in values.tolist():
        past = np.array(known[-window:])
        score = np.nan
        if np.isfinite(value) and len(past) >= past_min:
            distance, scale = definition(past, value, floor)
            score = distance / scale if scale else 0.0 if not distance else np.nan
        scores.append(score)
        known += [value] if np.isfinite(value) else []
    return np.array(scores)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("name", "definition"), [("zscore", z), ("mad", robust), ("iqr", fences)])
def test_scores_are_those_of_the_definition(name, definition, seed):
    """Value by value against numpy and scipy on the window before it, to 1e-9."""
    values, window, floor = stream(seed), (40, 200)[seed % 2], (0.0, 0.05)[seed // 3]
    made = make(name, window=window, past_min=20, floor=floor)
    scores = np.concatenate([made.score_many(part) for part in np.array_split(values, 7)])
    wanted = expected(values, window, 20, floor, definition)
    np.testing.assert_allclose(scores, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_default_is_the_larger_of_two(seed):
    """`auto` scores as `mad` on the values and on the mean of the last five known ones."""
    values = stream(seed)
    kept = values[np.isfinite(values)]
    means = np.array([kept[max(0, at - 4) : at + 1].mean() for at in range(len(kept))])
    wanted = np.full(len(values), np.nan)
    wanted[np.isfinite(values)] = np.fmax(
        *(expected(part, 1_000, 30, 0.1, robust) for part in (kept, means))
    )
    made = make("auto")
    scores = np.concatenate([made.score_many(part) for part in np.array_split(values, 9)])
    np.testing.assert_allclose(scores, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_default_finds_only_what_leaves_the_range(seed):
    """A value above 6.745 is outside the 1,000 before it, or its average outside theirs; noon's
    value at midnight is neither.
    """
    generator = np.random.default_rng(seed)
    values = np.sin(np.arange(3_000) / 24 * 2 * np.pi) + 0.02 * generator.normal(size=3_000)
    values[1_000] = values[1_006]
    assert make("auto").update_many(values[:2_000]) == []
    values[2_000::200] = 40.0 * 3.0 ** np.arange(5) * generator.choice([-1, 1], 5)
    values[2_100::200] = 0.95 * values[2_000::200]  # far out, yet not the farthest
    means = np.array([values[max(0, at - 4) : at + 1].mean() for at in range(len(values))])
    high = np.flatnonzero(make("auto").score_many(values) > 6.746)
    assert set(range(2_000, 3_000, 200)) <= set(high.tolist())
    for at in high.tolist():
        before = slice(at - 1_000, at)
        assert any(
            not part[before].min() <= part[at] <= part[before].max() for part in (values, means)
        )


def test_the_default_for_errors_is_adwin():
    """`auto-drift` is another name."""
    values = np.concatenate([np.zeros(300), np.ones(300)])
    assert make("auto-drift").update_many(values) == make("adwin").update_many(values) != []


@pytest.mark.parametrize("seed", range(4))
def test_a_slot_is_compared_with_itself(seed):
    """Seasonal scores are those of the same slot's values in the cycles before."""
    period, cycles = 12, 5
    generator = np.random.default_rng(seed)
    values = np.tile(np.arange(12) * 10.0, 30) + generator.normal(size=360)
    values[generator.integers(0, 360, 10)] = np.nan
    made = make("seasonal", period=period, cycles=cycles, floor=0.0)
    scores = made.score_many(values)
    for at, value in enumerate(values.tolist()):
        past = values[at % period : at : period]
        past = past[np.isfinite(past)][-cycles:]
        if not np.isfinite(value) or len(past) < 3:
            assert np.isnan(scores[at])
            continue
        distance, scale = robust(past, value, 0.0)
        assert scores[at] == pytest.approx(distance / scale, rel=1e-9)


def test_a_cycle_is_no_anomaly_and_a_value_in_the_wrong_slot_is():
    """A daily swing is nothing to `seasonal`; noon's value at midnight is, and to `mad` is not."""
    hours = np.arange(24 * 40)
    values = 100 * np.sin(hours / 24 * 2 * np.pi) + np.random.default_rng(1).normal(size=len(hours))
    values[900] = values[906]
    assert make("seasonal", period=24, threshold=8.0).update_many(values) == [900]
    assert make("mad", window=500).update_many(values) == []


@pytest.mark.parametrize("name", ["zscore", "mad", "iqr"])
def test_one_event_is_one_finding(name):
    """Of a stretch of scores above the threshold the first that is the highest counts; debounce 1
    tells each.
    """
    values = np.random.default_rng(2).normal(size=1_000)
    values[500:505] = [40, 60, 50, 45, 42]
    # to `zscore` the second is the lesser: the first has widened the deviation
    expected = [500] if name == "zscore" else [500, 501]
    assert make(name, floor=0.01).update_many(values) == expected
    assert len(make(name, floor=0.01, debounce=1).update_many(values)) >= 5
    values[500:505] = [60, 50, 45, 42, 41]
    assert make(name).update_many(values) == [500]


def test_robust_z_as_it_ships_finds_only_what_leaves_the_range():
    """Neighbours that correlate have a small MAD; the floor of a tenth of the range holds."""
    hours = np.arange(3_000)
    values = np.sin(hours / 24 * 2 * np.pi) ** 31  # next to nothing for most of the day
    values[2_000] = 9.0
    assert make("mad", debounce=1).update_many(values) == [2_000]
    assert len(make("mad", debounce=1, floor=0.01, threshold=6.0).update_many(values)) > 100


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("mad", "window"), ("iqr", "past_min"), ("zscore", "debounce"), ("seasonal", "period")],
)
def test_a_parameter_out_of_range_is_told(name, wrong):
    """The error names it."""
    with pytest.raises(ConfigError) as told:
        make(name, **{wrong: 0})
    assert told.value.key == wrong


@pytest.mark.parametrize("seed", range(3))
def test_the_noise_of_a_season_is_its_least_scale(seed):
    """A share of the range of the changes from cycle to cycle over √2, or of the slot's level."""
    generator, period = np.random.default_rng(seed), 6
    values = np.tile(np.arange(6) * 100.0, 12) + generator.normal(size=72)
    for floor, level_floor in ((0.5, 0.0), (0.0, 0.5)):
        made = make("seasonal", period=period, floor=floor, level_floor=level_floor)
        scores = made.score_many(values)
        for at in range(3 * period, 72):
            kept = values[: at // period * period].reshape(-1, period)[-8:]
            own = values[at % period : at : period][-8:]
            least = max(
                floor * np.ptp(np.diff(kept, axis=0)) / np.sqrt(2),
                level_floor * abs(np.median(own)),
            )
            scale = max(stats.median_abs_deviation(own), least)
            expected = 0.6745 * abs(values[at] - np.median(own)) / scale
            assert scores[at] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_a_residual_is_that_of_the_level_before(seed):
    """`ewma_residual` value by value: the level and the scale as they were before it."""
    values = stream(seed)
    made = make("ewma_residual", lambda_val=0.3, alpha=0.05, past_min=10, level_floor=0.02)
    scores = np.concatenate([made.score_many(part) for part in np.array_split(values, 7)])
    mean, square, n = 0.0, 0.0, 0
    for at, value in enumerate(values.tolist()):
        if not np.isfinite(value):
            assert np.isnan(scores[at])
            continue
        away, n = value - mean, n + 1
        if n > 10:
            scale = max(np.sqrt(square), 0.02 * abs(mean))
            assert scores[at] == pytest.approx(abs(away) / scale, rel=1e-9)
        if n > 1:
            square += max(0.05, 1 / (n - 1)) * (away**2 - square)
        mean += max(0.3, 1 / n) * away
