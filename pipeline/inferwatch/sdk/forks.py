"""What a fork waits for: nothing of ours is half imported, no lock of a GPU's library is taken.

A child that began with half a module would have half of it for good, and locks that were taken by
a thread that it does not have stay taken.
"""

import threading
import time

WAIT_S = 10.0

importing = threading.Lock()
"""Held by a sender that imports."""
sampling = threading.Lock()
"""Held by who imports what samples need, and takes one."""
_mine = threading.local()


def before() -> None:
    """In the parent: wait for both; but no longer than ten seconds, for a driver that hangs must
    not hold up a server.
    """
    deadline_s, _mine.held = time.monotonic() + WAIT_S, []
    for lock in (importing, sampling):
        if lock.acquire(timeout=max(0.0, deadline_s - time.monotonic())):
            _mine.held.append(lock)  # at once: a signal's handler may raise in the next wait


def after() -> None:
    """In the parent; `begin_anew` is for the child."""
    for lock in _mine.held:
        lock.release()


def begin_anew() -> None:
    """In the child: whoever holds a lock of the parent's is not in this process."""
    global importing, sampling
    importing, sampling = threading.Lock(), threading.Lock()
