"""Columns that came, went or changed their kind: told of sets, published, and in alerts."""

import math

import pytest

from inferwatch.core import schema
from inferwatch.records.definition import Check, Definition, Limit, Reference, Window
from inferwatch.testing.folding import Log

MINUTE_MS = 60_000
BEFORE = {"numeric": {"a": [1.0, 2.0] * 50}, "categories": {"k": ["x", "y"] * 50}}


def log_of(**reference):
    """A model that has learnt these columns, watched for schema changes."""
    check = Check(
        alert="Schema",
        metric="schema_changes",
        window="w",
        fail=Limit(direction="above", value=0, clear=0),
    )
    log = Log(
        Definition(
            reference=Reference(min_rows=100),
            windows=[Window(name="w", size_ms=MINUTE_MS)],
            checks=[check],
        )
    )
    log.rows(100, 0, **(BEFORE | reference))
    return log


def changed(log, n, **columns):
    """What the window of these rows says of the schema, and how many changes it counts."""
    log.rows(n, MINUTE_MS, **columns)
    log.tick(10 * MINUTE_MS)
    record = log.windows("w")[-1]
    assert record.rows == n
    return record.schema_changes, record.metrics["schema_changes"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"numeric": {"a": [1.0]}, "categories": {"k": ["z"]}}, {}),
        ({"numeric": {"a": [1.0]}}, {"k": "gone"}),
        ({"categories": {"k": ["x"]}}, {"a": "gone"}),
        ({"numeric": {"a": [math.nan]}, "categories": {"k": ["x"]}}, {"a": "gone"}),
        ({"categories": {"a": ["1"], "k": ["x"]}}, {"a": "retyped"}),
        ({"numeric": {"a": [1.0], "k": [1.0]}}, {"k": "retyped"}),
        ({"numeric": {"a": [1.0], "b": [1.0]}, "categories": {"k": ["x"]}}, {"b": "new"}),
        ({"numeric": {"a": [1.0], "b": [math.nan]}, "categories": {"k": ["x"]}}, {}),
        ({}, {"a": "gone", "k": "gone"}),
    ],
)
def test_the_set_of_names_and_kinds_is_compared(columns, expected):
    """New, gone, retyped; a column without a value is not there."""
    rows = {
        kind: {name: values * 10 for name, values in of.items()} for kind, of in columns.items()
    }
    assert changed(log_of(), 10, **rows) == (expected, len(expected))


def test_a_column_with_gaps_is_gone_only_beyond_chance():
    """Rows without a value are an accident up to a chance of 1e-9, by the gaps of the reference and
    one more: 30 of half empty rows are not, and 5 where there was no gap in 100.
    """
    half = {"numeric": {"a": [1.0, math.nan] * 50}}
    for n, expected in ((30, {}), (31, {"a": "gone"})):
        columns = {"categories": {"k": ["x"] * n}}
        assert changed(log_of(**half), n, **columns)[0] == expected
    for n, expected in ((4, {}), (5, {"a": "gone"})):
        assert changed(log_of(), n, categories={"k": ["x"] * n})[0] == expected
    never = {"numeric": {"a": [math.nan] * 100}}
    assert changed(log_of(**never), 50, categories={"k": ["x"] * 50})[0] == {}


def test_it_fires_names_the_columns_and_resolves():
    """The alert says which columns, and ends when they are back."""
    log = log_of()
    log.rows(9, MINUTE_MS, numeric={"b": [1.0] * 9}, categories={"k": ["x"] * 9})
    log.rows(1, 2 * MINUTE_MS, numeric={"a": [1.0]}, categories={"k": ["x"]})
    log.tick(10 * MINUTE_MS)
    assert [record.metrics["schema_changes"] for record in log.windows("w")] == [0, 2, 0]
    *_, fired, resolved = log.alerts("Schema")
    assert (fired.condition, fired.value, resolved.condition) == ("firing", 2.0, "ok")
    assert {"columns gone: a", "columns new: b"} <= set(fired.context)


def test_without_a_reference_nothing_is_known():
    """While it learns."""
    log = log_of(categories={"k": ["x"] * 100})
    log.rows(1, MINUTE_MS, version="2", numeric={"b": [1.0]})
    log.tick(10 * MINUTE_MS)
    assert log.windows("w")[-1].unknown["schema_changes"] == "learning"


def test_many_changes_are_counted_and_fifty_named():
    """The record stays small, the count is whole, words say that there are more."""
    names = {f"f{at:03}": [1.0] for at in range(60)}
    found, count = changed(log_of(), 1, numeric={"a": [1.0], **names}, categories={"k": ["x"]})
    assert (count, list(found)) == (60, [f"f{at:03}" for at in range(50)])
    assert schema.told(found, 3) == ["columns new: f000, f001, f002 …"]
