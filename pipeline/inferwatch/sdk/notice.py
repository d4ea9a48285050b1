"""One warning for each kind of trouble: a monitor that fails must not flood the server's log.

Texts name models, features and types of exceptions, never values: a log is no place for them.
"""

import contextlib
import logging

LOGGER = logging.getLogger("inferwatch.sdk")

_told: set[tuple[str, str]] = set()


def warn_once(subject: str, kind: str, text: str) -> None:
    """Log `text` unless this kind of trouble with `subject` was told before in this process."""
    if (subject, kind) in _told:
        return
    _told.add((subject, kind))
    # A handler of the server's own that fails is not to reach the code that logs predictions.
    with contextlib.suppress(Exception):
        LOGGER.warning("%s: %s", subject, text)
