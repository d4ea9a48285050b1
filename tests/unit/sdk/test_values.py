"""Values as callers have them become plain ones, or are refused without being quoted."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.sdk.values import UnfitError, number, plain, text, time_ms


class Colour(str, Enum):  # noqa: UP042
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array(3.5), 3.5),
        (Decimal("1.5"), 1.5),
        (Colour.RED, "red"),
        (pd.NA, None),
        (pd.NaT, None),
    ],
)
def test_scalars_of_other_libraries_become_the_value_they_stand_for(value, expected):
    """numpy, pandas, decimal and enum scalars turn into exactly float, int, str, bool or None."""
    assert plain(value) == expected
    assert type(plain(value)) is type(expected)


@pytest.mark.parametrize(
    "value", [[1], {}, object(), np.zeros(3), np.datetime64("2024-01-01"), b"SECRET", 1j, Colour]
)
def test_what_is_no_scalar_is_refused_and_not_quoted(value):
    """Lists, objects, arrays, times and bytes are refused by type, their content stays unsaid."""
    with pytest.raises(UnfitError) as refusal:
        plain(value)
    assert "SECRET" not in str(refusal.value)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2969, 1, 1), timezones=st.just(UTC)))
def test_a_datetime_and_its_integer_milliseconds_are_one_time(moment):
    """Aware datetimes agree with integer arithmetic on the epoch, without rounding up."""
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert time_ms(moment) == time_ms(milliseconds) == milliseconds
    assert time_ms(moment.replace(tzinfo=None)) == milliseconds
    assert time_ms(moment.astimezone(timezone(timedelta(hours=5)))) == milliseconds


@pytest.mark.parametrize(
    "value", [1.7e9, 1_700_000_000, "2024-01-01", True, -1, 10**15, 10**18, [], datetime]
)
def test_times_that_could_mean_two_things_are_refused(value):
    """Seconds, texts, micro- and nanoseconds and negatives are no timestamps."""
    with pytest.raises(UnfitError):
        time_ms(value)


def test_a_class_has_one_word_whatever_type_it_came_in():
    """1, 1.0 and numpy's 1 are one class; truth values are words; missing stays missing."""
    assert text(1) == text(1.0) == text(plain(np.int8(1))) == "1"
    assert text(True) == "true"
    assert text(None) is text(math.nan) is None
    assert text("\ud800x") == "?x"


def test_integers_beyond_float64_become_infinite_and_words_become_nan():
    """`number` never raises for a plain value."""
    assert number(10**400) == math.inf
    assert number(-(10**400)) == -math.inf
    assert math.isnan(number("7"))
    assert math.isnan(number(None))
