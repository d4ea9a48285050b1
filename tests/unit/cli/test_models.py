"""`inferwatch models`: the newest window of each version speaks for it."""

import json

import msgspec
import pytest

from inferwatch.cli import models, windows
from inferwatch.cli.main import main
from inferwatch.errors import Exit
from inferwatch.records.outputs import ComparedWith, SchemaRecord, Span, WindowRecord, canonical
from inferwatch.records.raw import RawRecord

HOUR_MS = 3_600_000
T0 = 472_222 * HOUR_MS


def window(start: int = 0, length: int = 1, **more) -> WindowRecord:
    """A window of whole hours after T0."""
    given = {"id": "1", "model": "team/a", "version": "1", "rows": 7_200}
    first = T0 + start * HOUR_MS
    given["window"] = Span(name=f"w{length}", start=first, end=first + length * HOUR_MS)
    return WindowRecord(**(given | more))


def test_the_newest_window_speaks():
    """Of windows that end together the shortest, of its revisions the last; segments do not."""
    records = [
        window(0),
        window(2, revision=1, labels=5),
        window(2),
        window(0, 3),
        window(9, segment="country=DE"),
        window(1, version="2"),
        window(4, model="team/b"),
    ]
    for order in (records, records[::-1]):
        found = models.models(order)
        assert [(one.model, one.version, one.window, one.labels) for one in found] == [
            ("team/a", "1", "w1", 5),
            ("team/a", "2", "w1", 0),
            ("team/b", "1", "w1", 0),
        ]
    assert found[0].ended_ms == T0 + 3 * HOUR_MS


def test_rates_and_labels_are_those_of_the_window():
    """Rows a second over the window's length; coverage and what is unknown as published."""
    [one] = models.models([window(labels=50, coverage=0.5, unknown={"drift": "learning"})])
    assert one.rows_per_s == 2.0
    assert (one.learning, one.labels, one.coverage) == (True, 50, 0.5)
    assert (one.labels_window, one.labels_ended_ms) == ("w1", T0 + HOUR_MS)
    held = ComparedWith(kind="rolling", held_ms=T0)
    assert [one.held for one in models.models([window(reference=held)])] == [True]
    rows = Span(name="batch", start=0, end=100, rows=100)
    [one] = models.models([window(window=rows, rows=100, from_ms=T0, to_ms=T0 + 50_000)])
    assert one.rows_per_s == 2.0
    [one] = models.models([window(window=rows, rows=1, from_ms=T0, to_ms=T0)])
    assert one.rows_per_s is None


def test_labels_are_those_of_the_newest_window_that_had_some():
    """Not of the newest window: minutes read no labels, and those of the last hour are not in."""
    records = [
        window(0, coverage=1.0, labels=9),
        window(1, coverage=0.5, labels=7),
        window(2, coverage=0.0),
        window(3),
        window(3, version="2"),
        window(2, version="2", coverage=0.0),
        window(3, version="3"),
    ]
    for order in (records, records[::-1]):
        first, second, third = models.models(order)
        assert first.ended_ms == T0 + 4 * HOUR_MS
        assert (first.labels, first.coverage, first.labels_ended_ms) == (7, 0.5, T0 + 2 * HOUR_MS)
        assert (second.labels, second.coverage, second.labels_ended_ms) == (
            0,
            0.0,
            T0 + 3 * HOUR_MS,
        )
        assert (third.labels, third.coverage, third.labels_ended_ms) == (0, None, None)


class Topic:
    """Records in the place of a topic with two partitions."""

    def __init__(self, *values: bytes | None, run: bytes = b"live") -> None:
        self.values, self.run = values, run

    def __call__(self, connection, name):
        assert name == "windows.v1"
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Nothing is open."""

    def partitions(self):
        return [0, 1]

    def ends(self, partition):
        return 0, len(self.values) if partition else 0

    def read(self, partition, start, end):
        for offset in range(start, end):
            value = self.values[offset]
            headers = {"run": self.run}
            if value and b'"changes"' in value:
                headers["ce_type"] = b"io.inferwatch.schema.v1"
            yield RawRecord("windows.v1", partition, offset, 0, b"k", value, headers)


@pytest.fixture
def show(monkeypatch, capsys):
    """What the command prints about a topic."""

    def shown(*values: bytes | None, options: tuple[str, ...] = (), run: bytes = b"live"):
        monkeypatch.setattr(windows, "LogReader", Topic(*values, run=run))
        assert main(["models", "--bootstrap-server", "kafka:9092", *options]) == Exit.DONE
        return capsys.readouterr()

    return shown


def test_a_table_for_people_and_lines_for_programs(show):
    """One line a model and version, both ways."""
    values = [canonical(window(labels=50, coverage=0.996)), canonical(window(version="2"))]
    head, first, second = show(*values).out.splitlines()
    assert head.split() == [
        "MODEL",
        "VERSION",
        "ROWS/S",
        "REFERENCE",
        "LABELS",
        "LAST",
        "WINDOW",
        "ENDED",
    ]
    assert first.split()[:4] == ["team/a", "1", "2", "known"] and "50, coverage 99 %" in first
    assert "(w1 to 2023-11-14 23:00 UTC)" in first
    assert "no window that reads them has closed" in second and second.endswith(" UTC")
    assert "none yet (w1)" in show(canonical(window(coverage=0.0))).out
    found = [
        json.loads(line) for line in show(*values, options=("--format", "json")).out.splitlines()
    ]
    assert [one["version"] for one in found] == ["1", "2"]
    assert set(found[0]) == set(models.Model.__struct_fields__)


def test_a_change_of_columns_is_no_window(show):
    """It stands among windows, and is neither a line of its own nor an error."""
    change = SchemaRecord(
        id="1",
        model="team/a",
        version="1",
        window=Span(name="w1", start=0, end=1),
        from_ms=0,
        to_ms=0,
        reference=ComparedWith(kind="learnt"),
        counts={},
        changes=[],
    )
    said = show(canonical(change), canonical(window()))
    assert len(said.out.splitlines()) == 2 and not said.err


def test_what_is_no_live_window_is_passed_over(show):
    """A backtest is not shown; what cannot be read is told and does not end the command."""
    assert show(canonical(window()), run=b"backtest").out.startswith("no window has closed yet")
    said = show(b"\xff", None, msgspec.json.encode({}), canonical(window()))
    assert len(said.out.splitlines()) == 2
    assert said.err.count("is no window: ") == 3 and "windows.v1-1-0 is no window" in said.err


def test_only_the_newest_records_are_read(show, monkeypatch):
    """A topic of months is not read from its beginning, and the command says so."""
    monkeypatch.setattr(windows, "RECORDS_MAX", 2)
    values = [canonical(window(hour, model=f"team/{hour}")) for hour in range(4)]
    said = show(*values)
    assert [line.split()[0] for line in said.out.splitlines()[1:]] == ["team/2", "team/3"]
    assert said.err == "only the last 2 windows of partition 1 are read\n"
