"""A sender's columns in the model's own order, whatever order they came in."""

from random import Random

import numpy as np
import pytest

from inferwatch.core import columns
from inferwatch.core.columns import FEATURES_MAX, OTHER, Columns, score_of
from inferwatch.records.decode import decode
from inferwatch.records.definition import ModelFacts
from inferwatch.records.rows import Words
from inferwatch.testing.builders import raw_inference

UNKNOWN = ModelFacts()


def align(state, facts=UNKNOWN, **options):
    """A batch in the model's order."""
    rows = decode(raw_inference(**options)).record
    return columns.align(
        state, facts, rows, rows.time_ms, rows.time_ms, 0, np.zeros(rows.n, np.int64)
    )


def words_of(state, codes):
    """Classes that codes stand for, None for missing."""
    return [state.classes[code] if code >= 0 else None for code in codes.tolist()]


def test_features_keep_the_position_of_their_first_appearance():
    """Reordered, dropped and added columns: what is not there is missing."""
    state = Columns()
    align(state, numeric={"a": [1.0], "b": [2.0]})
    block = align(state, numeric={"b": [3.0], "c": [4.0]})
    assert state.numeric == ["a", "b", "c"]
    np.testing.assert_array_equal(block.numeric[:, 0], np.array([np.nan, 3, 4], np.float32))
    assert block.numeric.dtype == np.float32


def test_categories_of_a_batch_that_lacks_them_are_missing():
    """Every known column is there, with a code of −1 for each row."""
    state = Columns()
    align(state, categories={"k": ["x"]})
    block = align(state, n=2, categories={"l": ["y", None]})
    assert block.categories["k"].codes.tolist() == [-1, -1]
    assert block.categories["l"].codes.tolist() == [0, -1]


def test_features_beyond_the_cap_are_counted():
    """They find no place; those that have one keep it."""
    state = Columns(numeric=[f"f{number}" for number in range(FEATURES_MAX)])
    block = align(state, numeric={"new": [1.0], "f0": [2.0]})
    assert len(block.numeric) == FEATURES_MAX and block.numeric[0, 0] == 2.0
    assert state.capped == {"features": 1}


@pytest.mark.parametrize(
    ("answer", "classes"),
    [
        ([1.0, 0.0, 1.0], ["1", "0", "1"]),
        ([1.5, 2.0, float("nan")], ["1.5", "2", None]),
        (["1", "x", None], ["1", "x", None]),
    ],
)
def test_classes_that_come_as_numbers_and_as_words_are_the_same(answer, classes):
    """1, 1.0 and "1" are one class, and codes follow the first appearance in the log."""
    state = Columns(task="multiclass")
    block = align(state, n=3, prediction=answer)
    assert words_of(state, block.predicted) == classes
    seen = [name for name in dict.fromkeys(classes) if name is not None]
    assert state.classes == seen
    assert np.isnan(block.value).all()


def test_codes_do_not_depend_on_how_a_dictionary_was_ordered():
    """Two senders with their words in another order, and one with words it never uses."""
    known: list[str] = []
    one = columns.recode(known, Words(("b", "a"), np.array([1, 0], np.int32)), 10)
    other = columns.recode(known, Words(("z", "a", "b"), np.array([1, 2], np.int32)), 10)
    assert (one.tolist(), other.tolist(), known) == ([0, 1], [0, 1], ["a", "b"])


def test_codes_beyond_the_cap_are_other():
    """The first values stay exact, missing stays missing, and a batch without rows is one."""
    known: list[str] = []
    column = Words(("a", "b", "c", "d"), np.array([0, 1, 2, 3, -1, 0], np.int32))
    assert columns.recode(known, column, 2).tolist() == [0, 1, 2, 2, -1, 0]
    assert known == ["a", "b", OTHER]
    assert columns.recode(known, Words(("e",), np.array([0], np.int32)), 2).tolist() == [2]
    assert columns.recode(known, Words((), np.empty(0, np.int32)), 2).tolist() == []


def test_the_way_rows_were_batched_does_not_change_a_code():
    """Codes follow rows, not batches: any split gives the same names in the same order."""
    draw = Random(4)
    values = [draw.choice("abcdefgh") for _ in range(60)]
    whole, split = Columns(task="multiclass"), Columns(task="multiclass")
    expected = align(whole, n=60, prediction=values).predicted.tolist()
    found = []
    for at in range(0, 60, 7):
        part = values[at : at + 7]
        found += align(split, n=len(part), prediction=part).predicted.tolist()
    assert (split, found) == (whole, expected)


def test_a_regression_keeps_values_and_no_classes():
    """Infinite answers are missing; words are no values."""
    state = Columns(task="regression")
    codes, values = columns.answers(state, np.array([1.5, np.inf, np.nan]), 3)
    np.testing.assert_array_equal(values, [1.5, np.nan, np.nan])
    assert codes.tolist() == [-1, -1, -1] and state.classes == []
    _, values = columns.answers(state, Words(("x",), np.array([0], np.int32)), 1)
    assert np.isnan(values).all()


@pytest.mark.parametrize(
    ("options", "task"),
    [
        ({"prediction": [0.7]}, "regression"),
        ({"prediction": [1.0], "score": [0.7]}, "binary"),
        ({"prediction": ["cat"]}, "multiclass"),
        ({"score": [0.7]}, "binary"),
        ({}, "unknown"),
    ],
)
def test_a_model_without_a_file_is_what_its_first_answers_look_like(options, task):
    """Words are classes, numbers with a score a binary model, numbers alone a regression."""
    state = Columns()
    align(state, **options)
    assert state.task == task


def test_what_the_file_says_rules():
    """A declared task is not guessed, and one that was found is not changed by later answers."""
    state = Columns()
    align(state, ModelFacts(task="multiclass"), prediction=[1.0])
    assert (state.task, state.classes) == ("multiclass", ["1"])
    state = Columns()
    align(state, prediction=[0.7])
    align(state, prediction=["x"])
    assert state.task == "regression"


def test_segments_come_from_their_column_or_from_the_feature_of_that_name():
    """A declared segment that a batch lacks is missing in all its rows."""
    facts, state = ModelFacts(segments=["country", "plan"]), Columns()
    block = align(
        state, facts, n=2, segments={"country": ["DE", None]}, categories={"plan": ["a", "b"]}
    )
    assert block.segments["country"].tolist() == [0, -1]
    assert block.segments["plan"].tolist() == [0, 1]
    assert align(state, facts, n=1).segments["plan"].tolist() == [-1]


def test_the_score_is_that_of_the_positive_class_or_the_highest():
    """One score is the score; of several the positive class's, else how sure the model was."""
    scores = np.array([[0.2, 0.9], [0.8, np.inf]])
    for facts, names, expected in (
        (ModelFacts(positive="no"), ("no", "yes"), [0.2, 0.9]),
        (ModelFacts(positive="yes"), ("no", "yes"), [0.8, np.nan]),
        (ModelFacts(positive="1"), ("no", "yes"), [0.8, np.nan]),
    ):
        np.testing.assert_array_equal(score_of(facts, names, scores, 2), expected)
    np.testing.assert_array_equal(score_of(UNKNOWN, (), scores[:0], 2), [np.nan, np.nan])


def test_a_block_taken_apart_is_the_block():
    """By mask or by slice: every column follows."""
    state, facts = Columns(), ModelFacts(segments=["country"])
    block = align(
        state,
        facts,
        n=4,
        ids=list("abcd"),
        numeric={"x": [1.0, 2.0, 3.0, 4.0]},
        categories={"k": ["p", "q", None, "p"]},
        prediction=[1.0, 0.0, 1.0, 0.0],
        latency_ms=[1.0, 2.0, 3.0, 4.0],
        error=[None, "x", None, "y"],
        segments={"country": ["DE", "FR", "DE", None]},
    )
    mask = block.take(np.array([False, True, False, True]))
    piece = block.take(slice(1, 4)).take(slice(0, 3, 2))
    for part in (mask, piece):
        assert part.ids == ["b", "d"]
        assert part.numeric.tolist() == [[2.0, 4.0]]
        assert part.categories["k"].codes.tolist() == [1, 0]
        assert part.failed.tolist() == [True, True]
        assert part.segments["country"].tolist() == [1, -1]
        assert part.row.tolist() == [1, 3]
