"""ADWIN: an adaptive window that drops its older part when two parts differ in mean.

Decisions are those of `river.drift.ADWIN` 0.26. Finds changes of level of a bounded stream in both
directions; values should lie in [0, 1], because unscaled heavy tails alarm without a cause.

Reference: A. Bifet, R. Gavaldà, "Learning from Time-Changing Data with Adaptive Windowing", SDM
2007.
"""

from typing import ClassVar

from inferwatch.detectors import Method, Values
from inferwatch.detectors.limits import column, whole, within
from inferwatch.detectors.state import seal, unseal
from inferwatch.kernels import adwin as kernel


class Adwin:
    """Detector of one stream.

    :param delta: bound on the false alarm rate of one comparison, in (0, 1).
    :param clock: values between two looks, at least 1.
    :param max_buckets: buckets of a size before two are merged; this build has river's 5.
    :param min_window_length: values that each part needs, at least 1.
    :param grace_period: values before the first look.
    :param block: values that share a bucket from the start, 1 to 10,000: 1 decides as river; with
        more the window is looked at after each block instead of each `clock` values, at a third of
        the cost for 100.
    :raises ConfigError: a parameter out of its range.
    """

    METHOD: ClassVar[Method] = Method(
        name="adwin",
        kind="drift",
        purpose="a changed level of a bounded stream, window of its own length",
        source="Bifet and Gavaldà 2007",
        rows_min=11,
        cost_ns=15,
        state_bytes=1_600,
    )

    def __init__(
        self,
        *,
        delta: float = 0.002,
        clock: int = 32,
        max_buckets: int = kernel.ROW_MAX,
        min_window_length: int = 5,
        grace_period: int = 10,
        block: int = 1,
    ) -> None:
        within("delta", delta, 0.0, 1.0, open_ends=True)
        clock = whole("clock", clock, 1, 10**9)
        within("max_buckets", max_buckets, kernel.ROW_MAX, kernel.ROW_MAX)
        min_window_length = whole("min_window_length", min_window_length, 1, 10**9)
        grace_period = whole("grace_period", grace_period, 0, 10**9)
        block = whole("block", block, 1, 10_000)
        self._named = {
            "delta": float(delta),
            "clock": clock,
            "min_window_length": min_window_length,
            "grace_period": grace_period,
            "block": block,
        }
        self._params = kernel.params(
            delta, clock=clock, length_min=min_window_length, grace=grace_period, block=block
        )
        self._window = kernel.empty()
        self._fed = 0

    def update_many(self, values: Values) -> list[int]:
        """Feed the next values; indices of those at which a change was found."""
        values, found, row = column(values), [], -1
        while (row := kernel.update(values, row + 1, self._params, self._window)) >= 0:
            found.append(self._fed + row)
        self._fed += len(values)
        return found

    def snapshot(self) -> bytes:
        """The whole state."""
        state = {"fed": self._fed, "window": kernel.dump(self._window)}
        return seal("adwin", self._named, state)

    def restore(self, sealed: bytes) -> None:
        """Go on from a snapshot.

        :raises ValueError: it is damaged, of another method, or of other parameters.
        """
        state = unseal("adwin", self._named, sealed)
        self._fed, self._window = state["fed"], kernel.load(state["window"])
