"""A parser made for the first row reads what a parser for any names reads, or leaves it to that."""

import json
import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.ingest import features

numbers = st.integers(-(2**62), 2**62) | st.floats(-9e18, 9e18) | st.sampled_from([0, -0.0])
letters = st.characters(exclude_categories=["Cs"], exclude_characters='"\\', min_codepoint=32)
names = st.text(letters, max_size=4)
kinds = st.sampled_from([numbers, names, st.booleans()])


def raws(*texts):
    """As they stand in events."""
    return [msgspec.Raw(text.encode("utf-8", "surrogatepass")) for text in texts]


@st.composite
def alike(draw):
    """Rows with the names of the first and values of its kinds, some missing, in any order."""
    kind_of = draw(st.dictionaries(names, kinds, max_size=5))
    first = {name: draw(kind) for name, kind in kind_of.items()}
    some = st.fixed_dictionaries(
        {}, optional={name: kind | st.none() for name, kind in kind_of.items()}
    )
    return [first, *draw(st.lists(some, max_size=4))]


def value_of(column, row):
    """What a row has, None where it is missing; numbers by their bits, for -0 is not 0."""
    value = column[row]
    if isinstance(column, np.ndarray):
        value = None if math.isnan(value) else float(value)
    elif value is msgspec.UNSET:
        value = None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value).hex() if number else value


@given(alike())
def test_rows_that_are_alike_are_read_as_by_any_parser(rows):
    """Every value of every row, missing ones too, and how many names there are."""
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    found = features.read(raws(*texts))
    assert found is not None
    assert list(found.values) == list(rows[0])
    assert found.names == sum(map(len, rows))
    for place, row in enumerate(map(json.loads, texts)):
        told = {name: value_of(column, place) for name, column in found.values.items()}
        assert told == {name: value_of([row.get(name)], 0) for name in rows[0]}


def test_an_integer_keeps_no_sign_of_zero():
    """-0 is 0 to who reads integers as such."""
    found = features.read(raws('{"a":-0}', '{"a":-0.0}'))
    assert [math.copysign(1, value) for value in found.values["a"]] == [1, -1]


def test_a_name_that_is_there_twice_counts_once():
    """So that the quotes of its event give it away."""
    assert features.read(raws('{"a":1,"b":2}', '{"a":1,"a":2,"b":3}')).names == 4


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ('{"a":1}', '{"a":1,"b":2}'),
        ('{"a":1}', '{"a":"x"}'),
        ('{"a":1}', '{"a":true}'),
        ('{"a":1}', '{"a":9223372036854775808}'),
        ('{"a":1}', '{"a":null,"a":9223372036854775808}'),
        ('{"a":1}', '{"a":1' + "0" * 400 + "}"),
        ('{"a":1,"b":2}', '{"a":null,"b":1' + "0" * 400 + "}"),
        ('{"a":1}', '{"a":[1]}'),
        ('{"a":1}', "[]"),
        ('{"a":1}', "null"),
        ("null", '{"a":1}'),
        ('{"a\\"":1}', '{"a\\"":1}'),
        ('{"a":"\ud800"}', '{"a":"x"}'),
    ],
)
def test_rows_that_differ_are_left_to_the_parser_of_any_names(first, then):
    """Other names or kinds, integers beyond 64 bits, names that no parser is made for, no JSON."""
    assert features.read(raws(first, then)) is None
