"""Half-space trees score as river's on the same trees, and tell rows that stand alone."""

import numpy as np
import pytest
from river.anomaly import HalfSpaceTrees

from inferwatch.detectors import make
from inferwatch.detectors.hst import PADDING, trees
from inferwatch.errors import ConfigError
from inferwatch.kernels import half_space_trees as kernel


def planted(river, height):
    """River's trees as the kernel has them: nodes in the order of their numbers."""
    inner = 2**height - 1
    features = np.zeros((len(river.trees), inner), np.int32)
    splits = np.zeros((len(river.trees), inner))
    for tree, root in enumerate(river.trees):
        nodes = [root]
        for node in range(inner):
            here = nodes[node]
            features[tree, node], splits[tree, node] = here.feature, here.threshold
            nodes += here.children
    return features, splits


@pytest.mark.parametrize("seed", range(6))
def test_scores_are_rivers(seed):
    """On river's own trees, asked before it learns, each row's score is the same number."""
    n_trees, height, window = (10, 8, 250), (3, 4, 50), (25, 6, 100)
    n_trees, height, window = (n_trees, height, window)[seed % 3]
    rows = np.random.default_rng(seed).beta(2, 5, (700, 1 + 3 * (seed % 2)))
    rows[[300, 500]] = 0.99
    river = HalfSpaceTrees(n_trees=n_trees, height=height, window_size=window, seed=seed)
    expected = []
    for row in rows.tolist():
        named = dict(enumerate(row))
        expected.append(river.score_one(named) if river.trees else 0)
        river.learn_one(named)
    masses = np.zeros((2, n_trees, 2 ** (height + 1) - 1), np.int32)
    counts, scores = np.zeros(2, np.int64), np.empty(len(rows))
    paths = np.zeros((n_trees, 2**height))
    for part in np.array_split(np.arange(len(rows)), 5):
        found = np.empty(len(part))
        kernel.score(rows[part], window, *planted(river, height), masses, paths, counts, found)
        scores[part] = found
    assert np.isnan(scores[:window]).all()
    assert scores[window:].tolist() == expected[window:]


def test_rows_that_are_not_finite_are_passed_over():
    """They have no score, count in no window, and the rows between them score as without them."""
    generator = np.random.default_rng(5)
    rows = generator.random((900, 4))
    odd = np.insert(rows, np.sort(generator.integers(0, 900, 90)), np.nan, axis=0)
    whole = np.isfinite(odd).all(axis=1)
    odd[~whole] = rows[:90]
    odd[~whole, generator.integers(0, 4, 90)] = generator.choice([np.nan, np.inf, -np.inf], 90)
    scores = make("hst").score_many(odd)
    assert np.isnan(scores[~whole]).all()
    assert np.array_equal(scores[whole], make("hst").score_many(rows), equal_nan=True)


@pytest.mark.parametrize("columns", [1, 2, 7])
def test_a_split_lies_within_what_its_branch_holds(columns):
    """Each in the middle 70 % of the range that the splits above have left to its column."""
    features, splits = trees(5, 6, columns, 1)
    for tree in range(5):
        for node in range(splits.shape[1]):
            low, high, at = 0.0, 1.0, node
            while at:
                parent, right = (at - 1) // 2, at % 2 == 0
                if features[tree, parent] == features[tree, node]:
                    low = max(low, splits[tree, parent]) if right else low
                    high = high if right else min(high, splits[tree, parent])
                at = parent
            share = (splits[tree, node] - low) / (high - low)
            assert PADDING - 1e-9 <= share <= 1 - PADDING + 1e-9
    assert set(features.ravel().tolist()) == set(range(columns))


def test_rows_that_stand_alone_are_found():
    """Among rows that vary together, one with a common value in each column, in no common pair."""
    generator = np.random.default_rng(1)
    level = generator.random(2_000)
    rows = np.stack([level, level, level], axis=1) * 0.4 + generator.random((2_000, 3)) * 0.1
    rows[1_500] = [0.05, 0.45, 0.05]
    scores = make("hst", height=6).score_many(rows)
    assert int(np.nanargmax(scores)) == 1_500


def test_the_same_seed_plants_the_same_trees_after_a_restart():
    """A restored detector goes on with equal scores; another seed gives others."""
    rows = np.random.default_rng(2).random((900, 4))
    first, again, other = make("hst", seed=3), make("hst", seed=3), make("hst", seed=4)
    first.score_many(rows[:600])
    again.restore(first.snapshot())
    other.score_many(rows[:600])
    scores = first.score_many(rows[600:])
    assert np.array_equal(again.score_many(rows[600:]), scores)
    assert not np.array_equal(other.score_many(rows[600:]), scores)


def test_rows_of_another_width_are_refused():
    """The error says both widths."""
    detector = make("hst")
    detector.update_many(np.zeros((3, 4)))
    with pytest.raises(ConfigError, match="rows of 5 columns after rows of 4"):
        detector.update_many(np.zeros((3, 5)))


def test_a_state_that_counted_every_node_goes_on():
    """Release 0.1.0 counted inner nodes too; what it left in them is not read."""
    rows = np.random.default_rng(2).random((900, 4))
    detector, older = make("hst"), make("hst")
    detector.update_many(rows[:600])
    older.restore(detector.snapshot())
    older._masses[1, :, :255] = 77
    assert np.array_equal(older.score_many(rows[600:]), detector.score_many(rows[600:]))


def test_a_state_with_more_rows_than_a_window_has_goes_on():
    """The window turns at the next row, and rows score again."""
    detector = make("hst")
    detector.update_many(np.random.default_rng(2).random((600, 4)))
    detector._counts[0] = 1_000
    assert np.isfinite(detector.score_many(np.full((3, 4), 0.5))).all()
    assert detector._counts.tolist() == [2, 3]
