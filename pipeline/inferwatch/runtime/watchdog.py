"""A thread, not a task: it must work when the event loop does not.

A Faust worker can be alive and idle for ever. This ends the process when there is lag and no
progress for a minute, when what was folded is not made safe, when a restore does not end, and when
a shutdown takes longer than its drain deadline; the supervisor starts a new one. It also asks the
event loop every second how long it lets others wait.
"""

import threading
import time
from collections.abc import Callable

from inferwatch.errors import Exit
from inferwatch.runtime.status import Status

DRAIN_S = 20.0


def start(
    status: Status, stopping: Callable[[], bool], die: Callable[[Exit, str], None]
) -> threading.Thread:
    """Watch until the process ends. `stopping` says whether a shutdown has begun."""

    def watch() -> None:
        while True:
            time.sleep(1.0)
            status.ask_loop()
            now = time.monotonic()
            if stopping():
                status.stopping_since_s = status.stopping_since_s or now
                if now - status.stopping_since_s > DRAIN_S:
                    die(Exit.DRAIN_DEADLINE, f"the drain took longer than {DRAIN_S:.0f} s")
            elif why := status.stalled():
                die(Exit.STALLED, why)

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    return thread
