"""Times and spans of tables: short, and right to the digit shown."""

import pytest

from inferwatch.cli.written import moment, rate, span, utc


@pytest.mark.parametrize(
    ("span_ms", "text"),
    [
        (None, ""),
        (0, "0s"),
        (250, "250ms"),
        (61_499, "1m1s"),
        (3_599_999, "1h"),
        (4_000_000, "1h7m"),
        (216_000_000 - 1, "2d12h"),
        (2_615_236_848, "4w2d6h"),
        (-90_000, "-1m30s"),
    ],
)
def test_delays_are_short_to_read(span_ms, text):
    """As monitor files write durations, rounded where the small does not matter."""
    assert span(span_ms) == text


def test_moments_and_rates_are_short():
    """UTC to the minute, two digits; nothing of nothing."""
    assert moment(1_700_000_000_000) == "2023-11-14 22:13"
    assert (rate(None), rate(0.0), rate(0.1234), rate(12.7)) == ("", "0", "0.12", "13")
    assert (rate(123.0), rate(3_149.0)) == ("120", "3,100")


def test_a_moment_of_a_damaged_record_is_its_number():
    """No calendar has it, and the table that shows it is whole all the same."""
    assert utc(1_700_000_000_000) == "2023-11-14 22:13 UTC"
    assert utc(1_700_000_000_000, seconds=True) == "2023-11-14 22:13:20 UTC"
    assert (utc(None), utc(10**18)) == ("", f"{10**18} ms UTC")
