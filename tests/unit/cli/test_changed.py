"""Changes of columns as people read them."""

from inferwatch.cli import changed
from inferwatch.records.outputs import ColumnChange, ComparedWith, SchemaRecord, Span

HOUR_MS = 3_600_000


def record(hour, version="1", versus="", **changes):
    """Columns of the hour, by what became of them."""
    at_ms = 1_767_225_600_000 + hour * HOUR_MS
    return SchemaRecord(
        id=f"{hour} {version}",
        model="team/a",
        version=version,
        versus=versus,
        window=Span(name="minute", start=at_ms, end=at_ms + 60_000),
        from_ms=at_ms,
        to_ms=at_ms,
        reference=ComparedWith(kind="learnt"),
        counts={},
        changes=[
            ColumnChange(column=name, change=change, since_ms=at_ms)
            for name, change in changes.items()
        ],
    )


def test_a_line_a_record_in_the_order_of_time():
    """When, of which version, what, and against which other version; a repeat once."""
    later = record(3, "2", "1", c="new", d="new", a="gone")
    said = changed.lines([later, record(1, b="back"), later])
    assert said.splitlines() == [
        "columns that changed:",
        "  2026-01-01 01:00 UTC  version 1  back: b",
        "  2026-01-01 03:00 UTC  version 2  gone: a; new: c, d  against version 1",
    ]


def test_the_newest_ten_and_five_names_of_each():
    """However many there are, they fit a screen; without any nothing is said."""
    said = changed.lines(
        record(hour, **{f"x{at}": "gone" for at in range(9)}) for hour in range(12)
    )
    assert len(said.splitlines()) == 11 and "2026-01-01 11:00" in said
    assert said.endswith("gone: x0, x1, x2, x3, x4 …")
    assert changed.lines([]) == ""
