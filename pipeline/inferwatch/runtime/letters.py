"""How much of the dead letters is kept: bytes under a quota, a pointer above it.

Not in the fold, because it depends on the clock: equal ids of dead letters may differ in whether
the bytes are there, and nothing else. Dead letters are outside the digest of a run.
"""

from collections.abc import Iterable

import msgspec

from inferwatch import __version__
from inferwatch.core.output import ERROR_HEADERS, Output, without_body
from inferwatch.errors import Reason

SHARE = 0.01
FLOOR_PER_S = 10.0
BURST_S = 10.0
LETTER_MAX_BYTES = 1_000_000  # the topic takes 1 MiB, the broker counts some bytes around it
KEY_MAX_BYTES = 65_536
WORKER = "inferwatch.worker"
NOTIFIER = "inferwatch.notifier"
OVER_QUOTA = "over quota"
TOO_LARGE = "too large"
_REASON = f"{ERROR_HEADERS}reason"
_ALWAYS_WHOLE = (Reason.SCHEMA_UNKNOWN.value.encode(),)


class Quota:
    """Letters that may carry their bytes: 1 % of the records read, or 10 a second if that is more.

    What is not used is kept for ten seconds.
    """

    def __init__(self) -> None:
        self._at_s: float | None = None
        self._left = self._most = FLOOR_PER_S * BURST_S

    def read(self, records: int, now_s: float) -> None:
        """So many records more were read."""
        waited_s = now_s - (self._at_s if self._at_s is not None else now_s)
        self._at_s = now_s
        earned = max(SHARE * records, waited_s * FLOOR_PER_S)
        self._left = min(self._most, self._left + earned)

    def take(self) -> bool:
        """Whether one more letter may carry its bytes."""
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


def signed(letter: Output, component: str) -> Output:
    """The letter with who wrote it: an upgrade may read what this release could not."""
    who = {"component": component, "version": __version__}
    headers = {f"{ERROR_HEADERS}{name}": value.encode() for name, value in who.items()}
    return msgspec.structs.replace(letter, headers=letter.headers | headers)


def fitted(outputs: Iterable[Output], quota: Quota) -> list[Output]:
    """Outputs as they are sent: dead letters under the quota."""
    return [fit(output, quota) if output.kind == "dead" else output for output in outputs]


def fit(letter: Output, quota: Quota) -> Output:
    """The dead letter as it is sent. `schema_unknown` is outside the quota: an upgrade reads it."""
    key = letter.key if len(letter.key) <= KEY_MAX_BYTES else b""
    letter = signed(msgspec.structs.replace(letter, key=key), WORKER)
    if not letter.value:
        return letter
    if _size_bytes(letter) > LETTER_MAX_BYTES:
        return without_body(letter, TOO_LARGE)
    if letter.headers.get(_REASON) in _ALWAYS_WHOLE or quota.take():
        return letter
    return without_body(letter, OVER_QUOTA)


def _size_bytes(letter: Output) -> int:
    around = sum(len(name) + len(value) + 10 for name, value in letter.headers.items())
    return len(letter.key) + len(letter.value) + around
