"""A feature that comes as numbers and as words: described and compared by one of the two."""

import pytest

from inferwatch.records.definition import Check, Definition, Limit, Reference, Window
from inferwatch.testing.folding import Log

MINUTE_MS = 60_000
NUMBERS, WORDS = [1.0, 2.0] * 50, ["x", "y"] * 50


def log_of(*checks: Check) -> Log:
    """A model that learns its reference from 100 rows, and is judged by the minute."""
    return Log(
        Definition(
            reference=Reference(min_rows=100),
            windows=[Window(name="w", size_ms=MINUTE_MS, step_ms=MINUTE_MS, grace_ms=0)],
            checks=list(checks),
        )
    )


def check(metric: str, method: str = "value", **more) -> Check:
    """One that fires above 0.1."""
    limit = Limit(direction="above", value=0.1, clear=0.1)
    return Check(alert="A", metric=metric, method=method, window="w", fail=limit, **more)


def minutes(log: Log, first: int, end: int, **columns) -> None:
    """Minutes of 100 rows each, of which the last closes when later rows come."""
    for minute in range(first, end):
        log.rows(100, minute * MINUTE_MS, **columns)


def test_one_word_hides_no_column_of_numbers():
    """It counts as a row without a number in its window, and in no window after it."""
    log = log_of(check("feature.a.missing"))
    minutes(log, 0, 2, numeric={"a": NUMBERS})
    log.rows(1, 2 * MINUTE_MS, categories={"a": ["n/a"]})
    log.rows(99, 2 * MINUTE_MS, numeric={"a": NUMBERS[:99]})
    minutes(log, 3, 6, numeric={"a": NUMBERS})
    seen = [record.features["a"] for record in log.windows("w")]
    assert [(one.rows, one.missing, one.mean is None) for one in seen] == [
        *[(100, 0, False)] * 2,
        (99, 1, False),
        *[(100, 0, False)] * 2,
    ]
    assert log.alerts("A") == []


def test_a_column_that_became_words_is_described_by_them():
    """As before: its words are counted, and none of its rows lacks one."""
    log = log_of()
    minutes(log, 0, 2, numeric={"a": NUMBERS})
    minutes(log, 2, 4, categories={"a": WORDS})
    last = log.windows("w")[-1].features["a"]
    assert (last.rows, last.missing, last.distinct) == (100, 0, 2)


def mixed_reference(log: Log, numbers: int) -> None:
    """The first 100 rows have so many numbers, and words in the others."""
    if numbers:
        log.rows(numbers, 0, numeric={"a": NUMBERS[:numbers]})
    log.rows(100 - numbers, 0, categories={"a": WORDS[numbers:]})


@pytest.mark.parametrize(
    ("numbers", "moved"),
    [(99, {"numeric": {"a": [9.0] * 100}}), (1, {"categories": {"a": ["z"] * 100}})],
)
def test_it_is_compared_by_the_kind_of_most_rows_of_the_reference(numbers, moved):
    """A slip in the rows that were learnt does not hide what drifts later."""
    log = log_of(check("feature.a", "psi"))
    mixed_reference(log, numbers)
    minutes(log, 1, 3, **moved)
    last = log.windows("w")[-1].features["a"]
    assert last.psi is not None and last.psi > 1.0
    assert (last.ks is None) == (numbers == 1)


def test_a_window_counts_once_for_it():
    """Two of two windows are asked for: the first that is bad is not both."""
    log = log_of(check("feature.*.missing", times=(2, 2)))
    mixed_reference(log, 99)
    minutes(log, 1, 2, numeric={"a": NUMBERS})
    minutes(log, 2, 4, numeric={"b": NUMBERS})
    assert len(log.windows("w")) == 3 and log.alerts("A") == []
    minutes(log, 4, 5, numeric={"b": NUMBERS})
    assert [alert.condition for alert in log.alerts("A")] == ["firing"]


def test_what_is_missing_is_compared_with_the_same_kind_of_the_reference():
    """A rise of missing words is one from the words' own gaps, not from those of a stray number."""
    rise = Limit(direction="rise", value=0.1, clear=0.1)
    watch = Check(alert="A", metric="feature.a.missing", window="w", fail=rise)
    log = log_of(watch)
    mixed_reference(log, 1)
    minutes(log, 1, 3, categories={"a": [*WORDS[:50], *[None] * 50]})
    (fired,) = log.alerts("A")
    assert fired.reference == pytest.approx(0.01) and fired.value == 0.5
