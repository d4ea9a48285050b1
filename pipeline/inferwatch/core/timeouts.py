"""Which failures are timeouts, by the word or the status code that a row names.

`TimeoutError`, `ReadTimeout`, "timed out", gRPC's `DEADLINE_EXCEEDED`, HTTP's 408 and 504. Cost:
1 µs a word of a batch, nothing for batches without errors.
"""

import re

import numpy as np
from numpy.typing import NDArray

from inferwatch.records.rows import Words

TIMEOUT = re.compile(
    r"timed?[ _-]?out|deadline[ _-]?exceeded|(?<!\d)(?:408|504)(?!\d)", re.IGNORECASE
)


def timed_out(error: Words | None) -> NDArray[np.bool_] | None:
    """The rows that failed so; None where no word of the batch means it."""
    if error is None:
        return None
    found = [TIMEOUT.search(word) is not None for word in error.words]
    return np.array([*found, False])[error.codes] if any(found) else None
