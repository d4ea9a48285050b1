"""Thinned logs: a flood becomes a few lines and a count, and what inferwatch says is all there."""

import logging

import pytest

from inferwatch.runtime import app
from inferwatch.telemetry import logs
from inferwatch.telemetry.logs import LINES_MAX, SPAN_S, Thinned


class Written(logging.Handler):
    """Keeps the lines that pass, under a clock that moves when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 100.0
        self.lines: list[str] = []
        self.addFilter(Thinned(self.emit, lambda: self.now_s))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")

    def log(self, name: str, text: str, *facts: object, level: int = logging.ERROR) -> None:
        self.handle(logging.LogRecord(name, level, "x.py", 1, text, facts, None))


@pytest.fixture
def written():
    """A handler with nothing written yet."""
    return Written()


def test_a_flood_becomes_a_few_lines_and_a_count(written):
    """80 errors a second for a minute: three in each ten seconds, and every other one counted."""
    for tick in range(80 * 60):
        written.now_s = 100.0 + tick / 80
        written.log("aiokafka.conn", "Unable to connect to %s: %s", f"b{tick % 3}:9092", tick)
    written.now_s += SPAN_S
    written.log("inferwatch.worker", "took over", level=logging.INFO)
    whole = [line for line in written.lines if line.startswith("ERROR aiokafka.conn: Unable")]
    told = [line for line in written.lines if "left out" in line]
    assert len(whole) == 6 * LINES_MAX
    assert len(told) == 6
    held_back = sum(int(line.split(": ")[1].split()[0]) for line in told)
    assert held_back + len(whole) == 80 * 60
    assert told[0].endswith("within 10 s were left out: Unable to connect to b0:9092: 0")
    assert written.lines[-1] == "INFO inferwatch.worker: took over"


def test_kinds_are_told_apart_by_logger_and_template(written):
    """Another logger, another text: each has its own few lines; facts and addresses do not count,
    nor what follows the first line.
    """
    for turn in range(10):
        written.log("aiokafka.conn", "no answer from %s", turn)
        written.log("aiokafka.cluster", "no answer from %s", turn)
        written.log("aiokafka.conn", "closed %s", turn)
        written.log("asyncio", f"never retrieved\nfuture: <Task at 0x{turn:x}>")
    assert len(written.lines) == 4 * LINES_MAX


def test_what_inferwatch_says_is_never_left_out(written):
    """At any level, however often, from any of its loggers; a name that only begins alike is
    another's.
    """
    for turn in range(50):
        written.log("inferwatch.worker", "partition %d", 1)
        written.log("inferwatch", "a word", level=logging.INFO)
        written.log("inferwatchful", "partition %d", turn)
    assert sum(" inferwatch.worker:" in line for line in written.lines) == 50
    assert sum(" inferwatch:" in line for line in written.lines) == 50
    assert sum(" inferwatchful:" in line for line in written.lines) == LINES_MAX


def test_few_lines_pass_untouched(written):
    """Nothing is counted where nothing was held back."""
    for _ in range(5):
        for _ in range(LINES_MAX):
            written.log("aiokafka.conn", "closed")
        written.now_s += SPAN_S
    assert written.lines == ["ERROR aiokafka.conn: closed"] * 5 * LINES_MAX


def test_memory_is_bounded(written, monkeypatch):
    """Texts that are all different pass, and are not all remembered."""
    monkeypatch.setattr(logs, "KINDS_MAX", 10)
    for turn in range(100):
        written.log("library", f"text {turn}")
    assert len(written.lines) == 100
    assert len(written.filters[0]._seen) == 10
    written.now_s += SPAN_S
    written.log("library", "after a while")
    assert len(written.filters[0]._seen) == 1


def test_a_process_has_it_on_its_handlers_once(monkeypatch):
    """Configured twice, as by the command line and by Faust, it counts each line once."""
    handler = logging.NullHandler()
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    app.configure_logging()
    app.configure_logging()
    assert [type(one) for one in handler.filters] == [Thinned]
