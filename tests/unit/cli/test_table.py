"""Columns of text: aligned, and safe for a terminal."""

from inferwatch.cli.table import table


def test_columns_are_as_wide_as_they_need_to_be():
    """Two spaces between, none at the end of a line."""
    assert table(["A", "LONG"], [["x", "y"], ["wide one", ""]]) == (
        "A         LONG\nx         y\nwide one"
    )
    assert table(None, [["a", "b"]]) == "a  b"


def test_what_a_terminal_would_obey_is_escaped():
    """A model's name cannot move the cursor or break the line."""
    text = table(None, [["a\x1b[2Jb", "c\nd"]])
    assert "\x1b" not in text and "\n" not in text
