"""Progress is for people at a terminal: once a second, gone at the end, and nowhere else."""

import io

from inferwatch.cli import progress
from inferwatch.records.decode import decode
from inferwatch.testing.builders import raw_inference


class Terminal(io.StringIO):
    """A terminal that remembers."""

    def isatty(self):
        return True


def records(n):
    """n batches of 600 rows."""
    for offset in range(n):
        raw = raw_inference(n=600, offset=offset)
        yield raw, decode(raw)


def test_rows_are_counted_once_a_second():
    """Ten batches, half a second each: five lines, the last is wiped; the records are the same."""
    clock = iter(range(1_000))
    screen, found = Terminal(), []
    for raw, _ in progress.shown(records(10), screen, lambda: next(clock) / 3):
        found.append(raw.offset)
    lines = screen.getvalue().split(progress.CLEAR)
    assert found == list(range(10))
    assert lines[0] == lines[-1] == "" and 2 <= len(lines[1:-1]) < 10
    counts = [int(line.split(" ")[0].replace(",", "")) for line in lines[1:-1]]
    assert counts == sorted(set(counts)) and all(count % 600 == 0 for count in counts)
    assert lines[1].endswith(" s") and "rows read · " in lines[1]


def test_a_file_gets_nothing():
    """What a pipeline reads has no control characters."""
    file = io.StringIO()
    assert len(list(progress.shown(records(3), file))) == 3 and file.getvalue() == ""


def test_an_end_in_an_error_leaves_no_line():
    """The sentence that follows begins at the margin."""
    screen = Terminal()
    shown = progress.shown(records(3), screen)
    next(shown)
    shown.close()
    assert screen.getvalue() == progress.CLEAR
