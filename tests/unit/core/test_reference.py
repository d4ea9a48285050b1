"""What a version is compared with: a profile, or its own first rows, learnt once and frozen."""

import msgspec
import numpy as np
import pytest
from scipy.stats import ks_2samp

from inferwatch.core import columns, reference, vocabulary
from inferwatch.core.columns import OTHER, Columns
from inferwatch.core.reference import FINE_BINS, Learning, category_profile, numeric_profile
from inferwatch.core.sketches import binned
from inferwatch.errors import ConfigError
from inferwatch.records.decode import decode
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Profile,
    Reference,
    Window,
)
from inferwatch.records.rows import Words
from inferwatch.testing.builders import raw_inference
from inferwatch.testing.folding import Log

MINUTE = 60_000


def above(value):
    """Past the value."""
    return Limit(direction="above", value=value, clear=value)


def log_of(*checks, min_rows=10, profile=None, values=None, exact=False, **facts):
    """Windows of five rows."""
    model = ModelFacts(**{"task": "binary"} | facts)
    return Log(
        Definition(
            model=model,
            reference=Reference(min_rows=min_rows, profile=profile),
            windows=[Window(name="five", rows=5, exact=exact)],
            checks=list(checks),
        ),
        values=values,
    )


def test_a_numeric_profile_says_what_numpy_says():
    """Mean, spread, range and the outer quantiles of the finite values; missing counted last."""
    draw = np.random.default_rng(1)
    values = np.append(draw.normal(5.0, 2.0, 3_000), [np.nan, np.inf])
    profile, finite = numeric_profile(values), values[:-2]
    assert profile.mean == pytest.approx(finite.mean())
    assert profile.sd == pytest.approx(finite.std(ddof=1))
    assert (profile.least, profile.most) == (finite.min(), finite.max())
    assert [profile.low, profile.high] == pytest.approx(np.quantile(finite, [0.001, 0.999]))
    assert (sum(profile.counts), profile.counts[-1]) == (3_002, 2)
    assert len(profile.edges) >= FINE_BINS - 1 and set(profile.psi_edges) <= set(profile.edges)
    counts = np.histogram(finite, [-np.inf, *np.nextafter(profile.edges, np.inf), np.inf])[0]
    np.testing.assert_array_equal(counts, profile.counts[:-1])


def test_a_column_without_a_number_has_no_profile():
    """It is left out of a learnt reference, and refused where it was asked for."""
    with pytest.raises(ValueError, match="finite"):
        numeric_profile(np.array([np.nan]))
    log = log_of(min_rows=5)
    log.rows(5, 0, numeric={"a": [1.0] * 5, "gone": [float("nan")] * 5})
    profile = log.partition.models["team/model"].reference("1").profile
    assert list(profile.numeric) == ["a"]


def test_a_category_profile_is_sorted():
    """Positions do not depend on which word came first."""
    assert category_profile({"b": 1, "a": 2}, 3).words == ["a", "b"]
    assert category_profile({"b": 1, "a": 2}, 3).counts == [2, 1]


def test_a_learnt_reference_holds_the_first_rows_exactly():
    """Min_rows rows and no more, wherever a batch ends; frozen from then on."""
    log = log_of(min_rows=10)
    log.rows(7, 0, numeric={"a": [1.0] * 7}, categories={"k": ["x"] * 7}, prediction=["u"] * 7)
    model = log.partition.models["team/model"]
    assert model.reference("1").profile is None
    log.rows(7, 5, numeric={"a": [2.0] * 7}, categories={"k": ["y"] * 7}, prediction=["v"] * 7)
    profile = model.reference("1").profile
    assert (profile.rows, profile.numeric["a"].mean) == (10, pytest.approx(1.3))
    assert profile.categories["k"] == category_profile({"x": 7, "y": 3}, 0)
    assert profile.prediction == category_profile({"u": 7, "v": 3}, 0)
    assert (profile.from_ms, profile.to_ms) == (log.start_ms, log.start_ms + 6)
    log.rows(50, 10, numeric={"a": [9.0] * 50})
    assert model.reference("1").profile == profile


@pytest.mark.parametrize("min_rows", [0, -1])
def test_a_reference_of_no_rows_is_refused(min_rows):
    """One made in code, which no monitor file could ask for, is told and not learnt for ever."""
    windows = [Window(name="five", rows=5)]
    log = Log(Definition(reference=Reference(min_rows=min_rows), windows=windows))
    with pytest.raises(ConfigError, match=r"min_rows -?[01] is not in 1 to"):
        log.rows(1, 0, numeric={"x": [1.0]})


def test_each_version_learns_its_own():
    """A new version is `learning` while the old one is compared."""
    log = log_of(min_rows=5)
    log.rows(5, 0, version="1", score=[0.5] * 5)
    log.rows(4, 1, version="2", score=[0.5] * 4)
    model = log.partition.models["team/model"]
    assert model.reference("1").profile is not None
    assert model.reference("2").profile is None


def test_while_it_learns_a_check_says_so():
    """Windows of the learning span say `learning` of their drift, and so does the alert."""
    drift = Check(alert="D", metric="feature.a", method="psi", window="five", fail=above(0.2))
    log = log_of(drift, min_rows=10)
    for value in (1.0, 2.0, 3.0, 2.0):
        log.rows(5, 0, numeric={"a": [value] * 5})
        (instance,) = log.partition.models["team/model"].state.instances.values()
        if len(log.windows()) <= 2:
            assert log.windows()[-1].unknown["drift"] == "learning"
            assert instance.condition == "learning"
    third = log.windows()[2]
    assert "drift" not in third.unknown and third.features["a"].psi > 0.25
    assert instance.condition == "firing"
    assert [alert.previous for alert in log.alerts()] == ["learning"]
    assert log.alerts()[0].reference_span.startswith("10 rows of ")


def test_a_figure_is_compared_with_the_learning_spans_own():
    """The baseline are the figures of the first rows; labels that come later complete it."""
    rise = Limit(direction="rise", value=0.1, clear=0.1)
    drop = Limit(direction="drop", value=0.1, clear=0.1)
    errors = Check(alert="E", metric="error_rate", window="five", fail=rise)
    accuracy = Check(alert="A", metric="accuracy", window="five", fail=drop)
    log = log_of(errors, accuracy, min_rows=10, label_wait_ms=10 * MINUTE)
    good = {"prediction": [1.0] * 5}
    log.rows(5, 0, error=["x"] + [None] * 4, **good)
    log.rows(5, 1, error=[None] * 5, **good)
    log.rows(5, 2, error=["x"] + [None] * 4, **good)
    assert log.alerts() == []
    log.rows(5, 3, error=["x"] * 2 + [None] * 3, **good)
    (alert,) = log.alerts()
    assert (alert.alert, alert.value, alert.reference) == ("E", 0.4, 0.1)
    log.labels([str(row) for row in range(10)], [1.0] * 9 + [0.0], 10)
    log.labels([str(row) for row in range(10, 20)], [1.0] * 9 + [0.0], 11)
    assert log.alerts()[1:] == []
    log.rows(5, 4, **good)
    log.labels([str(row) for row in range(20, 25)], [0.0] * 2 + [1.0] * 3, 12)
    alert = log.alerts("A")[-1]
    assert (alert.condition, alert.value, alert.reference) == ("firing", 0.6, 0.9)
    assert alert.limit == pytest.approx(0.8)


def test_a_profile_brings_its_own_figures_and_nothing_is_learnt():
    """Quality by segment comes out of the file; the first window is compared already."""
    profile = Profile(
        name="training",
        rows=1_000,
        from_ms=1_500_000_000_000,
        to_ms=1_500_000_000_001,
        numeric={"a": numeric_profile(np.arange(100.0))},
        quality={"": {"error_rate": 0.0}},
    )
    rise = Limit(direction="rise", value=0.1, clear=0.1)
    log = log_of(
        Check(alert="E", metric="error_rate", window="five", fail=rise),
        Check(alert="D", metric="feature.*", method="ks", window="five", fail=above(0.5)),
        profile=profile,
    )
    log.rows(5, 0, numeric={"a": [500.0] * 5}, error=["x"] * 5)
    assert sorted((a.alert, a.feature, a.reference) for a in log.alerts()) == [
        ("D", "a", None),
        ("E", "", 0.0),
    ]
    assert log.alerts()[0].reference_span == "1,000 rows of 2017-07-14"
    assert log.partition.models["team/model"].state.learnt == {}


def test_exact_windows_compare_with_the_values_themselves():
    """KS of an exact window is scipy's on the rows; a learnt reference keeps them sorted."""
    draw = np.random.default_rng(2)
    first, then = draw.normal(size=40), draw.normal(0.5, 1.0, 40)
    drift = Check(alert="D", metric="feature.a", method="ks", window="five", fail=above(2.0))
    log = log_of(drift, min_rows=40, exact=True)
    for values in (first, then):
        for at in range(0, 40, 5):
            log.rows(5, at, numeric={"a": values[at : at + 5].tolist()})
    last = log.windows()[-1]
    narrow = [part.astype(np.float32) for part in (first, then[-5:])]
    expected = ks_2samp(*narrow)
    assert last.features["a"].ks == pytest.approx(expected.statistic)


def test_features_may_be_called_as_the_models_own_columns():
    """Each has its own rows to be compared with: the model's score, a feature `score`, and one that
    is called as that one is kept.
    """
    names = ["score", "feature.score", "prediction"]
    draw = np.random.default_rng(3)
    log, rows = log_of(min_rows=40, exact=True), {}
    for part, centre in (("first", 0.0), ("then", 0.1)):
        rows[part] = draw.normal(centre, 1.0, (4, 40)).astype(np.float32)
        for at in range(0, 40, 5):
            score, *columns_ = rows[part][:, at : at + 5].astype(float).tolist()
            log.rows(5, at, score=score, numeric=dict(zip(names, columns_, strict=True)))
    last = log.windows()[-1]
    of_score, *expected = (
        ks_2samp(first, then[-5:]).statistic
        for first, then in zip(rows["first"], rows["then"], strict=True)
    )
    assert [last.features[name].ks for name in names] == pytest.approx(expected)
    assert len({of_score, *expected}) == 4
    kept = log.partition.models["team/model"].state.learnt["1"].values
    np.testing.assert_array_equal(kept["score"], np.sort(rows["first"][0].astype(np.float64)))


def test_columns_that_a_version_never_sends_are_missing():
    """A feature of the reference without a column counts as missing in every row."""
    bound = reference.bind(
        Profile(
            name="p", rows=1, from_ms=0, to_ms=1, numeric={"a": numeric_profile(np.arange(9.0))}
        ),
        {},
        Columns(numeric=["b"]),
    )
    assert bound.grid is not None
    counts = binned.empty(bound.grid)
    binned.update(counts, bound.grid, np.ones((1, 3), np.float32), bound.columns())
    assert counts.tolist() == [0] * (len(counts) - 1) + [3]


@pytest.mark.parametrize("size", [1, 3])
def test_the_words_that_are_learnt_do_not_depend_on_the_batch(monkeypatch, size):
    """Beyond the bound the first to come are kept, whatever the order of a dictionary."""
    monkeypatch.setattr(vocabulary, "WORDS_MAX", 2)
    rows = decode(raw_inference(n=5, categories={"k": ["d", "b", "a", "d", "c"]})).record
    column = Words(("a", "b", "c", "d"), np.array([3, 1, 0, 3, 2], np.int32))
    rows = msgspec.structs.replace(rows, categories={"k": column})
    block = columns.align(
        Columns(), ModelFacts(), rows, rows.time_ms, rows.time_ms, 0, np.zeros(5, np.int64)
    )
    learning = Learning()
    for at in range(0, 5, size):
        reference.learn(learning, block.take(slice(at, at + size)), 100)
    assert learning.words == {"k": {"d": 2, "b": 1, OTHER: 2}}
