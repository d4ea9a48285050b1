"""A figure against past windows: the detectors' definitions, hours by the model's clock, peaks."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from inferwatch.config.timezones import utc_offsets
from inferwatch.core import anomaly
from inferwatch.core.anomaly import HOUR_MS, SERIES_METHODS, score
from inferwatch.detectors import make
from inferwatch.records.definition import Check

values = st.integers(-(10**6), 10**6).map(lambda thousandths: thousandths / 1000)
pasts = st.lists(values, min_size=12, max_size=60)
BY_WINDOW = [name for name in SERIES_METHODS if not anomaly.by_hour(name)]
LINEAR = [float(k) for k in range(30)]


def z(past, value):
    """By scipy: mean and sample deviation."""
    scale = max(stats.tstd(past), 0.01 * np.ptp(past), 0.01 * abs(np.mean(past)))
    return abs(value - np.mean(past)), scale


def robust(past, value):
    """By scipy: median and MAD."""
    middle = np.median(past)
    scale = max(stats.median_abs_deviation(past), 0.1 * np.ptp(past), 0.01 * abs(middle))
    return 0.6745 * abs(value - middle), scale


def fences(past, value):
    """By numpy and scipy: outside the quartiles, in their distance."""
    low, high = np.percentile(past, [25, 75])
    scale = max(stats.iqr(past), 0.01 * np.ptp(past), 0.01 * abs(np.median(past)))
    return max(low - value, value - high, 0.0), scale


def residual(past, value):
    """By the definition, one figure at a time."""
    mean = square = 0.0
    for n, each in enumerate(past, 1):
        away = each - mean
        square += max(0.005, 1 / max(n - 1, 1)) * (away**2 - square) if n > 1 else 0.0
        mean += max(0.2, 1 / n) * away
    return abs(value - mean), max(math.sqrt(square), 0.01 * abs(mean))


@pytest.mark.parametrize(
    ("method", "definition"), [("zscore", z), ("mad", robust), ("iqr", fences), ("ewma", residual)]
)
@settings(deadline=None)
@given(pasts, values)
def test_a_score_is_that_of_the_definition(method, definition, past, value):
    """Any past: the distance in scales, each with its floors."""
    distance, scale = definition(past, value)
    found = score(method, {}, past, value)
    if scale > 1e-9:
        assert found.value == pytest.approx(distance / scale, rel=1e-6, abs=1e-6)


@settings(deadline=None)
@given(st.lists(values, min_size=30, max_size=60), values)
def test_the_default_is_the_larger_of_two(past, value):
    """`auto`: robust z of the figure, or of the mean of the last five."""
    means = [np.mean([*past, value][max(0, at - 4) : at + 1]) for at in range(len(past) + 1)]
    pairs = [robust(past, value), robust(means[:-1], means[-1])]
    if min(scale for _, scale in pairs) > 1e-6:
        expected = max(distance / scale for distance, scale in pairs)
        assert score("auto", {}, past, value).value == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("method", BY_WINDOW)
def test_the_figure_itself_is_left_out(method):
    """A flat past and one figure far off: inside its own sample z would be √12 at most."""
    past = [10.0] * 40
    assert score(method, {}, past, 10.0).value == 0
    assert score(method, {}, past, 20.0).value > 60


@pytest.mark.parametrize("method", BY_WINDOW)
def test_only_so_many_windows_are_looked_at(method):
    """Figures beyond `window` change nothing."""
    generator = np.random.default_rng(1)
    past, before = generator.normal(5, 1, 40), generator.normal(900, 99, 70)
    params = {"window": 40.0, "past_min": 12.0}
    long = score(method, params, [*before, *past], 9.0)
    assert long == score(method, params, past, 9.0)
    assert long.value != score(method, {"past_min": 12.0}, [*before, *past], 9.0).value


@pytest.mark.parametrize("method", BY_WINDOW)
def test_a_short_past_is_unknown(method):
    """Under `past_min` windows it says how many there are."""
    need = int(SERIES_METHODS[method].PARAMS["past_min"])
    for n in range(need):
        found = score(method, {}, LINEAR[:n], 1e9)
        assert (found.value, found.unknown) == (None, f"{n} of {need} windows")
    assert score(method, {}, LINEAR[:need], 1e9).value > 100


@pytest.mark.parametrize("method", BY_WINDOW)
@pytest.mark.parametrize("wild", [math.nan, math.inf, -math.inf, 1e308])
def test_no_score_is_nan_or_infinite(method, wild):
    """What overflows, in the past or now, is unknown or a number."""
    found = [
        score(method, {}, LINEAR, wild),
        score(method, {}, [*LINEAR, 1e308, -1e308] * 3, 1.0),
        score(method, {}, [1e-300] * 30, wild),
    ]
    assert all(one.value is None or math.isfinite(one.value) for one in found)
    assert math.isfinite(wild) or (found[0].value, found[0].unknown) == (None, "not finite")


@pytest.mark.parametrize("method", BY_WINDOW)
def test_a_past_of_zeros_has_no_spread_yet(method):
    """Nothing but zeros: zero is 0, anything else is unknown, not infinite."""
    assert score(method, {}, [0.0] * 30, 0.0).value == 0.0
    found = score(method, {}, [0.0] * 30, 1e-9)
    assert (found.value, found.unknown) == (None, "no spread yet")


@pytest.mark.parametrize("method", BY_WINDOW)
@settings(deadline=None)
@given(pasts, values)
def test_both_directions_are_the_same(method, past, value):
    """Mirrored figures give the same score."""
    params = {"past_min": 12.0}
    one = score(method, params, past, value)
    other = score(method, params, [-each for each in past], -value)
    assert (one.unknown, one.peak) == (other.unknown, other.peak)
    if one.value is not None:
        assert one.value == pytest.approx(other.value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("method", BY_WINDOW)
def test_a_peak_is_the_highest_of_the_last_scores(method):
    """As the detector itself debounces: of equal scores the first."""
    generator = np.random.default_rng(4)
    series = generator.normal(50, 1, 80)
    series[[40, 44, 60]] = [80, 70, 65]
    params = {"past_min": 12.0, "debounce": 10.0}
    peaks = [at for at in range(12, 80) if score(method, params, series[:at], series[at]).peak]
    one = SERIES_METHODS[method]
    given = {k: v for k, v in (one.PARAMS | params).items() if k != "window"}
    detector = one.detector(**given | {"threshold": 0.0})
    found = [at for at in detector.update_many(series) if at >= 12]
    assert {40, 60} <= set(peaks) and 44 not in peaks
    scores = [score(method, params, series[:at], series[at]).value for at in peaks]
    assert [at for at, value in zip(peaks, scores, strict=True) if value > 0] == found


def test_a_spike_hides_the_next_from_z_only():
    """With one wild window in the past z of the next is under 1; the median does not mind."""
    calm = np.linspace(10, 13, 100).tolist()
    spiked = [*calm, 40.0]
    assert score("zscore", {}, calm, 20.0).value > 6 > score("zscore", {}, spiked, 20.0).value
    for method in ("mad", "iqr"):
        assert score(method, {"floor": 0.01}, spiked, 20.0).value == pytest.approx(
            score(method, {"floor": 0.01}, calm, 20.0).value, rel=0.05
        )


def test_a_level_that_moves_is_an_anomaly_while_it_is_new():
    """`ewma` follows: a shift is told at its first windows, then it is the level."""
    series = np.concatenate([np.random.default_rng(3).normal(50, 1, 60), np.full(40, 80.0)])
    scores = [score("ewma", {}, series[:at], series[at]).value for at in range(60, 100)]
    assert scores[0] > 20 and max(scores[20:]) < 1


# ── by the hour ────────────────────────────────────────────────────────────────────


def at(text, zone="UTC"):
    """A time of a clock, in ms."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def told(first_ms, n, figure, most):
    """What is kept after n hours of windows whose figure follows from the time."""
    hours = {}
    for step in range(n):
        time_ms = first_ms + step * HOUR_MS
        anomaly.keep_hour(hours, time_ms, figure(time_ms), most)
    return hours


def test_seasonal_scores_are_the_detectors():
    """In UTC the past is the hours in a row, and the score is that of `make("seasonal")`."""
    figures = np.random.default_rng(2).normal(10, 1, 24 * 9) + np.tile(np.arange(24) * 5.0, 9)
    start = at("2026-03-02")
    params = {"period": 24.0, "cycles": 8.0}
    for n in (24 * 3, 24 * 5 + 7, 24 * 8):
        hours = told(start, n, lambda time_ms: figures[(time_ms - start) // HOUR_MS], 24 * 8)
        past = anomaly.hourly(hours, start + n * HOUR_MS, (), 24 * 8)
        aligned = np.concatenate([np.full(24 * 9 - n, np.nan), figures[:n], [130.0]])[-24 * 8 - 1 :]
        detector = make("seasonal", period=24, level_floor=0.01)
        expected = detector.score_many(aligned)[-1]
        assert score("seasonal", params, past, 130.0).value == expected > 3


def test_an_hour_that_was_there_too_seldom_is_unknown():
    """Three cycles are asked for; it says how many there were."""
    hours = told(at("2026-03-02T10:00"), 24 * 2, lambda _: 1.0, 24 * 8)
    past = anomaly.hourly(hours, at("2026-03-04T10:00"), (), 24 * 8)
    found = score("seasonal", {"period": 24.0}, past, 1.0)
    assert (found.value, found.unknown) == (None, "2 of 3 cycles")
    assert score("seasonal", {}, np.full(168 * 8, np.nan), 1.0).unknown == "0 of 3 cycles"


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/Los_Angeles"])
def test_slots_are_hours_of_the_local_clock(zone):
    """Over a change of summer time: figures that follow the clock are as before, to the hour."""
    clock = ZoneInfo(zone)

    def figure(time_ms):
        return 100.0 * datetime.fromtimestamp(time_ms / 1000, clock).hour

    offsets, start = utc_offsets(zone), at("2026-03-20", zone) // HOUR_MS * HOUR_MS
    for days in (8, 9, 11):
        for hour in (1, 9, 23):
            now_ms = at((datetime(2026, 3, 20, hour) + timedelta(days=days)).isoformat(), zone)
            hours = told(start, (now_ms - start) // HOUR_MS, figure, 24 * 8)
            past = anomaly.hourly(hours, now_ms, offsets, 24 * 8)
            params = {"period": 24.0}
            assert score("seasonal", params, past, figure(now_ms)).value == 0
            assert score("seasonal", params, past, figure(now_ms) + 2_000).value > 5
    if zone == "Europe/Berlin":
        utc = anomaly.hourly(hours, now_ms, (), 24 * 8)
        assert score("seasonal", {"period": 24.0}, utc, figure(now_ms)).value > 0


def test_the_rules_of_a_zone_are_those_of_its_clock():
    """At any time of 2000 to 2049, and next to each change, the offsets are zoneinfo's."""
    generator = np.random.default_rng(1)
    for zone in ("Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kolkata"):
        offsets = utc_offsets(zone)
        edges = [since + step for since, _ in offsets[1:] for step in (-1, 0)]
        times = generator.integers(at("2000-01-01"), at("2050-01-01"), 300).tolist()
        for time_ms in [*edges, *times]:
            clock = datetime.fromtimestamp(time_ms / 1000, ZoneInfo(zone)).utcoffset()
            since = [ahead for first, ahead in offsets if first <= time_ms]
            assert clock == timedelta(milliseconds=since[-1])
    assert utc_offsets("UTC") == utc_offsets("Etc/UTC") == ()


def test_the_first_window_of_an_hour_stands_for_it():
    """Others of the same hour change nothing; what is older than the hours that are read goes."""
    hours, start = {}, at("2026-03-02")
    for minute in range(60 * 24 * 40):
        anomaly.keep_hour(hours, start + minute * 60_000, float(minute), 24 * 8)
    assert set(np.array(list(hours.values())) % 60) == {0.0}
    assert 24 * 8 <= len(hours) <= 24 * 8 + anomaly.CLOCK_MOVES + 1
    now_ms = start + 60_000 * 60 * 24 * 40
    assert not np.isnan(anomaly.hourly(hours, now_ms, (), 24 * 8)).any()
    assert datetime.fromtimestamp(max(hours) * 3600, UTC) == datetime(2026, 4, 10, 23, tzinfo=UTC)


# ── parameters ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "params", "wrong"),
    [
        ("zscore", {"window": 2.5}, "window is 2.5"),
        ("mad", {"window": 5_000.0}, "window is 5000"),
        ("mad", {"window": 10.0}, "past_min is 12: at most the window, 10"),
        ("iqr", {"floor": 2.0}, "floor is 2"),
        ("ewma", {"lambda_val": 1.5}, "lambda_val is 1.5"),
        ("seasonal", {"period": 23.0}, "period is 23: 24"),
        ("seasonal", {"cycles": 9.0}, "at most 1,344 hours"),
        ("seasonal", {"period": 24.0, "cycles": 57.0}, "at most 1,344 hours"),
        ("seasonal", {"cycles": 2.0}, "cycles is 2"),
        ("auto", {"smooth": 1.0}, "smooth is 1"),
        ("auto", {"debounce": 0.5}, "debounce is 0.5"),
    ],
)
def test_what_a_method_cannot_work_with_is_told(method, params, wrong):
    """The parameter, its value and its range."""
    assert wrong in anomaly.params_problem(method, params)


@pytest.mark.parametrize("method", SERIES_METHODS)
def test_the_defaults_are_sound(method):
    """As shipped, and for a window as short as they ask for."""
    assert anomaly.params_problem(method, {}) == ""
    check = Check(alert="A", metric="rows", method=method)
    assert 200 <= anomaly.kept(check) <= anomaly.HOURS_MAX
