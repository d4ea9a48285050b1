"""A failure is a timeout by the word or the status code that names it."""

import numpy as np
import pytest

from inferwatch.core.timeouts import timed_out
from inferwatch.records.rows import Words

ARE = [
    *("Timeout", "TimeoutError", "ReadTimeout", "timed out", "TIMED_OUT", "time-out", "TimedOut"),
    *("DeadlineExceeded", "DEADLINE_EXCEEDED", "deadline exceeded"),
    *("504", "408", "HTTP 504", "HTTP_408", "504 Gateway Time-out"),
]
ARE_NOT = ["", "500", "ValueError", "5040", "1408", "time", "outage", "runtime error", "exceeded"]


@pytest.mark.parametrize(("words", "expected"), [(ARE, True), (ARE_NOT, False)])
def test_words_that_servers_and_libraries_use(words, expected):
    """Exceptions of Python, requests and gRPC, and the status codes of HTTP."""
    for word in words:
        found = timed_out(Words((word,), np.zeros(1, np.int32)))
        assert (found is not None and bool(found[0])) is expected, word


def test_rows_follow_their_codes():
    """A row without an error, coded -1, is no timeout, whatever the last word means."""
    codes = np.array([-1, 0, 1, 0, -1], np.int32)
    assert timed_out(Words(("Timeout", "KeyError"), codes)).tolist() == [0, 1, 0, 1, 0]
    assert timed_out(Words(("KeyError", "Timeout"), codes)).tolist() == [0, 0, 1, 0, 0]


def test_a_batch_without_timeouts_costs_no_column():
    """None stands for no timeout at all."""
    assert timed_out(None) is None
    assert timed_out(Words((), np.full(3, -1, np.int32))) is None
    assert timed_out(Words(("KeyError",), np.zeros(3, np.int32))) is None
