"""Numbers that would do harm are refused at the command line."""

import argparse

import pytest

from inferwatch.cli.amounts import count, duration_ms, offset, seconds
from inferwatch.cli.main import main


def test_usable_numbers_are_taken():
    """As they are written."""
    assert (count("1"), count("24"), seconds("0.5"), seconds("30")) == (1, 24, 0.5, 30.0)


@pytest.mark.parametrize("text", ["0", "-3", "1.5", "many", "", "1e3", "²", "9" * 30])
def test_what_is_no_count_is_refused(text):
    """Partitions and copies are whole, and there is at least one."""
    with pytest.raises(argparse.ArgumentTypeError, match="no whole number above 0"):
        count(text)


def test_an_offset_is_a_whole_number_from_zero_on():
    """A partition has no place before its first, and none between two."""
    assert (offset("0"), offset("88213")) == (0, 88213)
    for text in ("-1", "1.5", "", "²", "9" * 19, "events.v1/7@88213"):
        with pytest.raises(argparse.ArgumentTypeError, match="is no offset"):
            offset(text)


def test_a_duration_is_one_of_monitor_files():
    """With its unit, above nothing, within ten years."""
    assert (duration_ms("2h"), duration_ms("1h30m")) == (7_200_000, 5_400_000)
    for text in ("", "0s", "2", "soon", "9000w"):
        with pytest.raises(argparse.ArgumentTypeError, match="is no duration"):
            duration_ms(text)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "soon", ""])
def test_what_is_no_time_is_refused(text):
    """A timer of zero seconds would never rest; one of infinity would never fire."""
    with pytest.raises(argparse.ArgumentTypeError, match="no positive number of seconds"):
        seconds(text)


@pytest.mark.parametrize(
    "arguments",
    [
        ["worker", "--checkpoint-every", "0"],
        ["worker", "--tick-every", "nan"],
        ["worker", "--session-timeout", "-1"],
        ["notifier", "--session-timeout", "0"],
        ["topics", "apply", "--partitions", "-3"],
        ["topics", "plan", "--replication-factor", "0"],
        ["simulate", "--seeds", "0"],
        ["simulate", "--first", "-1"],
        ["simulate", "--jobs", "0"],
    ],
)
def test_every_option_that_takes_one_refuses_it(arguments, capsys):
    """Exit 2, naming the option."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert arguments[-2] in capsys.readouterr().err
