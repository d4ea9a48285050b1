"""Limits that some figure can pass and another can miss; figures lie where their ranges say."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.config import checks, document, limits, ranges
from inferwatch.core import anomaly
from inferwatch.core.anomaly import SERIES_METHODS
from inferwatch.core.fold import Partition
from inferwatch.core.rules import Reading, passed
from inferwatch.errors import ConfigError
from inferwatch.records.definition import Limit, ModelFacts, Window
from inferwatch.testing import streams
from inferwatch.testing.folding import fold, window_records

ENDS = [(0.0, 1.0), (-1.0, 1.0), (0.0, 2.0)]
WINDOWS = {"w": Window(name="w", rows=200)}
STEPS = 20


@given(
    direction=st.sampled_from(limits.DIRECTIONS),
    steps=st.integers(-3 * STEPS, 3 * STEPS),
    ends=st.sampled_from(ENDS),
    relative=st.booleans(),
)
def test_never_and_always_are_what_the_rules_make_of_every_figure(direction, steps, ends, relative):
    """Each twentieth between the ends, against each of them as the reference of a change."""
    change = direction in ("drop", "rise")
    if change and steps <= 0:
        return  # a change is a positive amount
    low, high = ends
    value, relative = steps / STEPS, relative and change
    limit = Limit(direction=direction, value=value, relative=relative, clear=value)
    grid = [low + at / STEPS for at in range(round((high - low) * STEPS) + 1)]
    fires = {
        passed(limit, Reading(figure, reference), firing=False)
        for figure in grid
        for reference in (grid if change else [None])
        if not (relative and reference == 0)
    }
    found = ranges.effect(direction, value, ends, relative=relative)
    if relative:  # how far a figure may rise from a small one is not bounded by these ends
        assert found != "always" and not (found == "never" and True in fires)
    else:
        assert found == ("never" if True not in fires else "always" if False not in fires else "")


@pytest.mark.parametrize(
    ("metric", "method", "limit", "why"),
    [
        ("features", "lof", "above: 2", "never"),
        ("features", "lof", "above: 1", "never"),
        ("figures", "lof", "above: 150%", "never"),
        ("features", "lof", "above: -0.1", "always"),
        ("features", "lof", "below: 0.5", "grows"),
        ("accuracy", "value", "below: 150%", "always"),
        ("accuracy", "value", "below: 0", "never"),
        ("accuracy", "value", "drop: 100pp", "never"),
        ("accuracy", "value", "drop: 100%", "never"),
        ("feature.x.missing", "value", "above: 100%", "never"),
        ("class.a.recall", "value", "below: 101%", "always"),
        ("mcc", "value", "below: -1", "never"),
        ("score", "ks", "above: 1.5", "never"),
        ("score", "psi", "below: 0", "never"),
        ("drift_share", "psi", "above: 120%", "never"),
        ("mae", "value", "drop: 100%", "never"),
        ("mape", "value", "below: 0", "never"),
        ("r2", "value", "above: 1", "never"),
        ("r2", "value", "below: 90", "always"),
        ("rows", "auto", "above: -1", "always"),
        ("rows", "value", "below: 1", "never"),
        ("rows", "value", "drop: 100%", "never"),
        ("rows", "value", "above: 0", "always"),
        ("throughput", "value", "below: 0", "never"),
        ("latency.p99", "value", "below: 0", "never"),
        ("latency.mean", "value", "drop: 100%", "never"),
        ("latency.p50", "value", "above: -1", "always"),
        ("freshness", "value", "below: 0", "never"),
        ("uptime", "value", "below: 0", "never"),
        ("input_tokens.mean", "value", "below: 0", "never"),
        ("score.sd", "value", "drop: 150%", "never"),
        ("feature.x.sd", "value", "below: 0", "never"),
        ("feature.x.distinct", "value", "below: 0", "never"),
        ("class.a.support", "value", "below: 0", "never"),
        ("accuracy", "value", "below: 1", ""),
        ("accuracy", "value", "drop: 99%", ""),
        ("error_rate", "value", "rise: 300%", ""),
        ("error_rate", "value", "above: 0", ""),
        ("error_rate", "zscore", "above: 5", ""),
        ("mcc", "value", "below: 0", ""),
        ("brier", "value", "above: 1.2", ""),
        ("score", "psi", "above: 3", ""),
        ("feature.f1", "psi", "above: 3", ""),
        ("class.a.support", "value", "below: 10", ""),
        ("r2", "value", "drop: 500%", ""),
        ("bias", "value", "below: -3", ""),
        ("rows", "value", "below: 2", ""),
        ("rows", "value", "drop: 99%", ""),
        ("latency.p99", "value", "above: 0", ""),
        ("score.mean", "value", "below: -3", ""),
        ("prediction.mean", "value", "drop: 150%", ""),
        ("feature.x.mean", "value", "below: 0", ""),
        ("label_delay.p50", "value", "below: -1", ""),
    ],
)
def test_a_limit_that_watches_nothing_or_tells_nothing_is_refused(metric, method, limit, why):
    """Shares, distances with an end, and what inspectors find."""
    text = f"alert: A\nmetric: {metric}\nmethod: {method}\nwarn: {{{limit}}}\n"
    root = document.parse(text, "m.yaml")
    if not why:
        assert checks.parse(root, ModelFacts(), WINDOWS).warn is not None
        return
    with pytest.raises(
        ConfigError, match=rf"m.yaml:4: warn.{limit.split(':')[0]}: .*{why}"
    ) as told:
        checks.parse(root, ModelFacts(), WINDOWS)
    assert told.value.fix


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_figures_lie_where_limits_expect_them(seed):
    """Those of every window of streams with all that makes life hard."""
    outputs = fold(Partition(0), streams.placed(streams.stream(seed)), streams.definition)
    seen = set()
    for window in window_records(outputs):
        for name, value in window.metrics.items():
            low, high = ranges.of(name, "value", share=limits.is_share(name))
            assert low <= value <= high, name
            seen |= {name} if high < math.inf else set()
    assert len(seen) > 20


@pytest.mark.parametrize("method", SERIES_METHODS)
@given(seed=st.integers(0, 1 << 32), figure=st.floats(-1e6, 1e6))
def test_scores_of_figures_are_distances(method, seed, figure):
    """Whatever the past was like: 0 or more, so that `above` a negative number is no limit."""
    past = np.random.default_rng(seed).normal(0, 100, 200)
    params = {"period": 24.0} if anomaly.by_hour(method) else {}
    low, high = ranges.of("rows", method, share=False)
    score = anomaly.score(method, params, past, figure)
    assert score.value is not None and low <= score.value <= high


@pytest.mark.parametrize(
    ("metric", "method", "limit", "fix"),
    [
        ("accuracy", "value", "drop: 5", "write `drop: 5%` or `drop: 5pp`"),
        ("error_rate", "value", "rise: 2", "write `rise: 2%` or `rise: 2pp`"),
        ("recall", "value", "below: 90", "write `below: 90%` or `below: 0.9`"),
        ("score", "ks", "above: 25", "write `above: 0.25`"),
        ("score", "total_variation", "above: 1.5", "write a smaller one"),
        ("cpu", "value", "above: 100", "write a smaller one"),
        ("score", "psi", "above: -0.1", "write a larger one"),
        ("score", "psi", "below: 0", "write a larger one"),
        ("latency.p99", "value", "below: 0", "write a larger one"),
    ],
)
def test_the_fix_is_a_limit_that_is_taken(metric, method, limit, fix):
    """A percentage without its sign is the likely slip; what the error says to write is read."""
    text = f"alert: A\nmetric: {metric}\nmethod: {method}\nwarn: {{{{{{}}}}}}\n"
    with pytest.raises(ConfigError) as told:
        checks.parse(document.parse(text.format(limit), "m.yaml"), ModelFacts(), WINDOWS)
    assert told.value.fix == fix
    for written in fix.split("`")[1::2]:
        checks.parse(document.parse(text.format(written), "m.yaml"), ModelFacts(), WINDOWS)


@pytest.mark.parametrize("limit", ["below: 1", "drop: 100%"])
def test_whoever_waits_for_no_rows_is_told_how(limit):
    """A window opens with its first row: only a check on silence hears that there is none."""
    text = f"alert: A\nmetric: rows\nwarn: {{{limit}}}\n"
    with pytest.raises(ConfigError, match="'rows' is 1 or more") as told:
        checks.parse(document.parse(text, "m.yaml"), ModelFacts(), WINDOWS)
    metric, method, after = told.value.fix.split("`")[1::2]
    silence = document.parse(f"alert: A\n{metric}\n{method}\n{after}\n", "m.yaml")
    assert checks.parse(silence, ModelFacts(), WINDOWS).for_ms == 600_000
