"""What a pane keeps of a segment: counts and sketches that add up to those of all its rows."""

from random import Random

import msgspec
import numpy as np
import pytest

from inferwatch.core import cell as cells
from inferwatch.core import columns, figures, reference, vocabulary
from inferwatch.core.columns import OTHER, Columns
from inferwatch.core.reference import category_profile, numeric_profile
from inferwatch.core.resources import Gauge
from inferwatch.core.vocabulary import WORDS_MAX
from inferwatch.records.decode import decode
from inferwatch.records.definition import ModelFacts, Profile
from inferwatch.records.rows import Words
from inferwatch.testing.builders import raw_inference

PROFILE = Profile(
    name="p",
    rows=100,
    from_ms=0,
    to_ms=1,
    numeric={"a": numeric_profile(np.linspace(-2, 2, 100))},
    categories={"k": category_profile({"x": 60, "y": 40}, 0)},
    score=numeric_profile(np.linspace(0, 1, 100)),
    prediction=category_profile({"0": 50, "1": 50}, 0),
)


def block_of(state, draw, n, *, features=("a",)):
    """n random rows; the second feature, where asked for, is one that appeared later."""
    rows = decode(
        raw_inference(
            n=n,
            numeric={
                name: [draw.choice([draw.gauss(0, 1), float("nan")]) for _ in range(n)]
                for name in features
            },
            categories={"k": [draw.choice(["x", "y", "z", None]) for _ in range(n)]},
            prediction=[float(draw.random() > 0.5) for _ in range(n)],
            score=[draw.random() for _ in range(n)],
            latency_ms=[draw.lognormvariate(3, 1) for _ in range(n)],
            error=[draw.choice([None, None, "x"]) for _ in range(n)],
        )
    ).record
    return columns.align(
        state,
        ModelFacts(task="binary"),
        rows,
        rows.time_ms,
        rows.time_ms,
        0,
        np.zeros(rows.n, np.int64),
    )


def filled(parts, bound, *, features=1):
    """A cell of these blocks."""
    found = cells.empty(bound, features=features, exact=False)
    for part in parts:
        cells.add(found, part, cells.tally(part, bound, features=True))
    return found


def described(cell, state, bound):
    """Every figure that is published of a cell, as plain values."""
    drifts = figures.drifts(cell, state, bound)
    return msgspec.to_builtins(
        [
            figures.service(cell, state, "1", 0, 60_000),
            figures.features(cell, state, bound, drifts),
            drifts,
        ]
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_cell_is_the_same_however_its_rows_were_batched(seed):
    """Bit for bit: one batch, batches of one row, or batches between."""
    draw, state = Random(seed), Columns()
    bound = reference.bind(PROFILE, {}, state)
    block = block_of(state, draw, 40)
    whole = filled([block], bound)
    for size in (1, 7):
        parts = [block.take(slice(at, at + size)) for at in range(0, 40, size)]
        assert described(filled(parts, bound), state, bound) == described(whole, state, bound)


@pytest.mark.parametrize("seed", range(5))
def test_merged_panes_are_the_window_of_all_their_rows(seed):
    """Counts exactly, moments to the last digits: also where a feature appeared in between."""
    draw, state = Random(seed), Columns()
    bound = reference.bind(PROFILE, {}, state)
    blocks = [block_of(state, draw, 20), block_of(state, draw, 20, features=("a", "late"))]
    parts = [filled([block], bound, features=len(block.numeric)) for block in blocks]
    merged = cells.empty(bound, features=1, exact=False)
    for part in parts:
        cells.merge(merged, part)
    one, other = (described(cell, state, bound) for cell in (merged, filled(blocks, bound)))
    assert flat(one) == pytest.approx(flat(other), rel=1e-9)


def flat(value, path=""):
    """Numbers and words of a tree by their path."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {
            key: found for at, item in items for key, found in flat(item, f"{path}/{at}").items()
        }
    return {path: value} if isinstance(value, int | float) else {}


def test_figures_of_a_cell_are_those_of_its_rows():
    """Against numpy: rows, failures, missing values, means, spreads, ranges, words."""
    draw, state = Random(1), Columns()
    bound = reference.bind(PROFILE, {}, state)
    block = block_of(state, draw, 200)
    cell = filled([block], bound)
    service = figures.service(cell, state, "1", 0, 60_000)
    finite = block.numeric[0][np.isfinite(block.numeric[0])].astype(np.float64)
    feature = figures.features(cell, state, bound, {})["a"]
    assert service["rows"].value == 200
    assert service["error_rate"].value == block.failed.mean()
    assert service["positive_rate"].value == (block.predicted == state.classes.index("1")).mean()
    assert service["latency.mean"].value == pytest.approx(block.latency_ms.mean())
    assert service["score.sd"].value == pytest.approx(block.score.std(ddof=1))
    assert service["latency.p90"].value == pytest.approx(
        np.quantile(block.latency_ms, 0.9, method="inverted_cdf"), rel=0.016
    )
    assert (feature.rows, feature.missing) == (len(finite), 200 - len(finite))
    assert (feature.mean, feature.sd) == pytest.approx((finite.mean(), finite.std(ddof=1)))
    assert (feature.least, feature.most) == (finite.min(), finite.max())
    codes = block.categories["k"].codes
    words = figures.features(cell, state, bound, {})["k"]
    assert (words.rows, words.missing) == ((codes >= 0).sum(), (codes < 0).sum())
    unseen = block.categories["k"].words.index("z")
    assert words.unseen == (codes == unseen).sum()


@pytest.mark.parametrize("size", [1, 2, 5])
def test_which_words_find_room_does_not_depend_on_the_batch(monkeypatch, size):
    """Beyond the bound the first to come have kept it, whatever the order of a dictionary."""
    monkeypatch.setattr(vocabulary, "WORDS_MAX", 2)
    state, given = Columns(), ["d", "b", "a", "d", "c"]
    rows = decode(raw_inference(n=5, categories={"k": sorted(given)})).record
    order = [sorted(given).index(word) for word in given]
    codes = rows.categories["k"].codes[order]
    column = Words(rows.categories["k"].words, codes)
    rows = msgspec.structs.replace(rows, categories={"k": column})
    bound = reference.bind(None, {}, state)
    block = columns.align(
        state, ModelFacts(), rows, rows.time_ms, rows.time_ms, 0, np.zeros(rows.n, np.int64)
    )
    assert column.words == ("a", "b", "c", "d")
    found = filled([block.take(slice(at, at + size)) for at in range(0, 5, size)], bound)
    assert found.words["k"] == {"d": 2, "b": 1, OTHER: 2}


def test_gauges_keep_mean_and_peak():
    """Samples of panes add up."""
    bound = reference.bind(None, {}, Columns())
    one, other = (cells.empty(bound, features=0, exact=False) for _ in range(2))
    one.gauges["cpu"] = Gauge(2, 1.0, 0.7, "a")
    other.gauges["cpu"] = Gauge(1, 0.8, 0.8, "b")
    cells.merge(one, other)
    found = figures.service(one, Columns(), "1", 0, 60_000)
    assert (found["cpu"].value, found["cpu.max"].value) == (pytest.approx(0.6), 0.8)
    assert one.gauges["cpu"].where == "b"


def test_without_rows_nothing_is_known_and_nothing_is_zero():
    """Every figure that divides says why it cannot."""
    bound = reference.bind(PROFILE, {}, Columns())
    cell = cells.empty(bound, features=1, exact=False)
    found = figures.service(cell, Columns(), "1", 0, 60_000)
    assert found["error_rate"].unknown == "no rows"
    assert found["captured"].unknown == "no counters"
    assert "latency.p99" not in found and "score.mean" not in found


def test_drift_is_against_the_reference_and_silent_without_one():
    """Rows like the reference drift little, moved ones much; what is not kept says nothing."""
    draw, state = Random(3), Columns()
    bound = reference.bind(PROFILE, {}, state)
    block = block_of(state, draw, 400)
    moved = msgspec.structs.replace(block, numeric=block.numeric + 5)
    near, far = (figures.drifts(filled([b], bound), state, bound) for b in (block, moved))
    assert far["feature.a"].psi.value > 1 > near["score"].psi.value
    assert far["feature.a"].effect.value > 0.9
    assert set(near) == {"feature.a", "feature.k", "score", "prediction"}
    bare = filled([block], bound, features=None)
    assert set(figures.drifts(bare, state, bound)) == {"score", "prediction"}
    learning = reference.bind(None, {}, state)
    assert figures.drifts(filled([block], learning), state, learning) == {}


def test_the_share_of_what_drifted_counts_features_only():
    """One of two features beyond 0.25."""
    draw, state = Random(3), Columns()
    bound = reference.bind(PROFILE, {}, state)
    block = block_of(state, draw, 400)
    moved = msgspec.structs.replace(block, numeric=block.numeric + 5)
    found = figures.drifts(filled([moved], bound), state, bound)
    expected = [d.psi.value > 0.25 for name, d in found.items() if name.startswith("feature.")]
    assert figures.drift_share(found).value == sum(expected) / 2


@pytest.mark.parametrize("n", [WORDS_MAX - 1, WORDS_MAX, WORDS_MAX + 1, 5_000])
def test_words_are_counted_exactly_while_there_is_room_and_about_right_beyond(n):
    """However they were batched and whether in one pane or two; within four standard errors."""
    bound = reference.bind(None, {}, Columns())
    columns_ = [f"w{word}" for word in range(n)]
    panes = []
    for part in (columns_[: n // 2] + columns_[:7], columns_[n // 3 :]):
        pane = cells.empty(bound, features=0, exact=False)
        for at in range(0, len(part), 400):
            rows = decode(
                raw_inference(n=len(part[at : at + 400]), categories={"k": part[at : at + 400]})
            )
            state = Columns()
            time_ms, offset = rows.record.time_ms, np.zeros(rows.record.n, np.int64)
            block = columns.align(state, ModelFacts(), rows.record, time_ms, time_ms, 0, offset)
            cells.add(pane, block, cells.tally(block, bound, features=True))
        panes.append(pane)
    merged = cells.empty(bound, features=0, exact=False)
    for pane in panes:
        cells.merge(merged, pane)
    found = cells.distinct(merged, "k")
    assert found == n if n <= WORDS_MAX else abs(found / n - 1) < 4 * 0.023
    assert cells.distinct(merged, "never sent") == 0
