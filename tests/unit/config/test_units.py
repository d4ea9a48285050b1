"""Durations, sizes and amounts: what is written is what is meant, and nothing else is taken."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inferwatch.config import units
from inferwatch.config.units import Amount, amount, duration_ms, size_bytes
from inferwatch.core import soundness

SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 7 * 86_400}


@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(sorted(SECONDS))), min_size=1))
@example([(1, "h"), (30, "m")])
def test_a_duration_is_the_sum_of_its_parts(parts):
    """`1h30m` is ninety minutes, whatever parts in whatever order."""
    text = "".join(f"{number}{unit}" for number, unit in parts)
    expected = sum(number * SECONDS[unit] for number, unit in parts) * 1_000
    assert duration_ms(text) == pytest.approx(expected)


@given(st.integers(1, units.DURATION_MAX_MS))
@example(5_400_000)
def test_a_written_duration_is_read_as_itself(span_ms):
    """In the units of a monitor file, none of them more than fits the next."""
    assert duration_ms(units.written(span_ms)) == span_ms
    assert units.written(5_400_000) == "1h30m"


def test_parts_of_units_are_taken():
    """A duration need not be whole in its unit."""
    assert duration_ms("1.5s") == 1_500
    assert duration_ms("0.5d") == 43_200_000
    assert duration_ms("250ms") == 250


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "m",
        "5 m",
        "5M",
        "1h 30m",
        "1h30",
        "-5m",
        "5m,",
        "5min",
        "1e3s",
        "٣m",
        "9" * 400 + "w",
    ],
)
def test_what_is_no_duration_is_none(text):
    """A number without a unit above all: seconds and minutes cannot be told apart."""
    assert duration_ms(text) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1024B", 1_024),
        ("512KiB", 512 << 10),
        ("64MiB", 64 << 20),
        ("1GiB", 1 << 30),
        ("500kB", 500_000),
        ("10MB", 10_000_000),
        ("10 MB", 10_000_000),
    ],
)
def test_sizes_are_in_their_unit(text, value):
    """Binary units are powers of 1,024, decimal ones of 1,000."""
    assert size_bytes(text) == value


@pytest.mark.parametrize(
    "text", ["", "64", "64mb", "64M", "1.5MiB", "-1B", "MiB", "9" * 5_000 + "B"]
)
def test_what_is_no_size_is_none(text):
    """A size without a unit, or with one that is spelt otherwise."""
    assert size_bytes(text) is None


def test_percent_and_points_are_different():
    """`5%` is a share of something, `5pp` an absolute distance."""
    assert amount("5%") == Amount(0.05, "%")
    assert amount("5pp") == Amount(0.05, "pp")
    assert amount("5") == Amount(5.0, "")
    assert amount("0.05") == Amount(0.05, "")


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("250ms", 250),
        ("1.5s", 1_500),
        ("2 m", 120_000),
        ("1h", 3_600_000),
        ("3d", 259_200_000),
        ("1h30m", 5_400_000),
    ],
)
def test_an_amount_of_time_is_in_milliseconds(text, milliseconds):
    """Latencies are compared in milliseconds, whatever the unit written."""
    assert amount(text) == Amount(milliseconds, "ms")


@pytest.mark.parametrize(
    "text", ["", "five", "5 %%", "%", "5PP", "5M", "5MS", "5y", "1h5", "1e999", "nan", "inf"]
)
def test_what_is_no_amount_is_none(text):
    """Unknown or misspelt units and numbers that are not finite."""
    assert amount(text) is None


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_that_python_writes_is_an_amount(value):
    """Plain numbers survive, signs and exponents too."""
    assert amount(repr(value)) == Amount(value, "")


@given(st.text(max_size=12))
def test_any_text_is_a_unit_or_none(text):
    """No text ends in an exception."""
    for found in (duration_ms(text), size_bytes(text)):
        assert found is None or found >= 0
    assert amount(text) is None or isinstance(amount(text), Amount)


def test_bounds_are_those_of_the_fold():
    """What a file may ask for is what the fold accepts out of the log."""
    assert units.DURATION_MAX_MS == soundness.LONGEST_MS
    assert units.SIZE_MAX_BYTES == soundness.PENDING_MAX_BYTES
