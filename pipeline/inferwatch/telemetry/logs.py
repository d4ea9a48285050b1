"""Log lines that say the same again and again, thinned: a few, then how many more there were.

While a broker is away aiokafka logs about 80 errors a second; a log that nobody can read hides the
one line that matters. What inferwatch itself says is never left out.
"""

import logging
import threading
import time
from collections.abc import Callable

SPAN_S = 10.0
LINES_MAX = 3
KINDS_MAX = 1_000
TEMPLATE_CHARS = 200
OURS = "inferwatch"


class Thinned(logging.Filter):
    """Lets three lines of a kind pass in ten seconds, and then tells how many it held back.

    A kind is a logger and the template of its message, not the message: ids and addresses differ.
    What was held back is told with the first line of any kind after the span, because nobody else
    wakes a filter. Cost: a look-up a line, and memory for at most 1,000 kinds; beyond them lines
    pass.

    :param tell: gets the line about what was held back; a handler's `emit`, which asks no filter.
    :param clock_s: seconds that only move forward.
    """

    def __init__(
        self,
        tell: Callable[[logging.LogRecord], object],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._tell, self._clock_s = tell, clock_s
        self._lock = threading.Lock()  # lines come from the event loop and from threads
        self._seen: dict[tuple[str, str], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        now_s = self._clock_s()
        with self._lock:
            over = [self._seen.pop(key) for key, kind in [*self._seen.items()] if kind.over(now_s)]
            passes = self._passes(record, now_s)
        for kind in over:
            if kind.lines > LINES_MAX:
                self._tell(kind.summary())
        return passes

    def _passes(self, record: logging.LogRecord, now_s: float) -> bool:
        if record.name.split(".")[0] == OURS:
            return True
        key = record.name, str(record.msg).partition("\n")[0][:TEMPLATE_CHARS]
        kind = self._seen.get(key)
        if kind is None:
            if len(self._seen) >= KINDS_MAX:
                return True
            kind = self._seen[key] = _Kind(record, now_s)
        kind.lines += 1
        return kind.lines <= LINES_MAX


class _Kind:
    """Lines of one kind since its span began with `first`."""

    def __init__(self, first: logging.LogRecord, now_s: float) -> None:
        self.lines, self._since_s = 0, now_s
        self._name, self._level, self._text = first.name, first.levelno, first.getMessage()

    def over(self, now_s: float) -> bool:
        """Whether the span has ended."""
        return now_s - self._since_s >= SPAN_S

    def summary(self) -> logging.LogRecord:
        """The line in place of those that were held back, at their level."""
        text = self._text.partition("\n")[0][:TEMPLATE_CHARS]
        said = "%d more lines like this within %.0f s were left out: %s"
        facts = (self.lines - LINES_MAX, SPAN_S, text)
        return logging.LogRecord(self._name, self._level, __file__, 0, said, facts, None)
