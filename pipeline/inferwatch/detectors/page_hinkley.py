"""Page–Hinkley: a lasting shift of the mean, in constant memory.

Decisions are those of `river.drift.PageHinkley` 0.26. At the default parameters, river's, 10⁶ rows
of N(0, 1) alarm 609 times: standardise the stream by its reference, and choose `threshold` for the
run length you want (`inferwatch.core.drift.page_hinkley` says how).

Reference: E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954).
"""

from typing import ClassVar

from inferwatch.detectors import Method, Values
from inferwatch.detectors.limits import column, whole, within
from inferwatch.detectors.state import seal, unseal
from inferwatch.errors import ConfigError
from inferwatch.kernels import page_hinkley as kernel

MODES = ("both", "up", "down")


class PageHinkley:
    """Detector of one stream.

    :param min_instances: values before the first alarm, at least 1.
    :param delta: change of level that is none, in the stream's units.
    :param threshold: what the deviations beyond `delta` must add up to, at least 0.
    :param alpha: how much of the sums each value leaves, in (0, 1].
    :param mode: the direction to look in.
    :param block: values whose mean is one step of the sums, 1 to 10,000: 1 decides as river; 100
        costs a third, finds a shift at most about that many values later, and keeps the meaning of
        the other parameters.
    :raises ConfigError: a parameter out of its range.
    """

    METHOD: ClassVar[Method] = Method(
        name="page_hinkley",
        kind="drift",
        purpose="a lasting shift of the mean, in constant memory",
        source="Page 1954",
        rows_min=30,
        cost_ns=10,
        state_bytes=250,
    )

    def __init__(
        self,
        *,
        min_instances: int = 30,
        delta: float = 0.005,
        threshold: float = 50.0,
        alpha: float = 1 - 0.0001,
        mode: str = "both",
        block: int = 1,
    ) -> None:
        min_instances = whole("min_instances", min_instances, 1, 10**9)
        within("delta", delta, 0.0)
        within("threshold", threshold, 0.0)
        within("alpha", alpha, 0.0, 1.0)
        block = whole("block", block, 1, 10_000)
        if mode not in MODES:
            raise ConfigError(f"mode is {mode!r}", key="mode", fix=f"one of {', '.join(MODES)}")
        self._named: dict[str, float | str] = {
            "min_instances": min_instances,
            "delta": float(delta),
            "threshold": float(threshold),
            "alpha": float(alpha),
            "mode": mode,
        }
        self._named |= {"block": block} if block > 1 else {}
        up, down = mode != "down", mode != "up"
        self._params = kernel.params(
            delta, threshold, alpha, min_instances, up=up, down=down, block=block
        )
        self._sums = kernel.empty()
        self._fed = 0

    def update_many(self, values: Values) -> list[int]:
        """Feed the next values; indices of those at which a shift was found."""
        values, found, row = column(values), [], -1
        while (row := kernel.update(values, row + 1, self._params, self._sums)) >= 0:
            found.append(self._fed + row)
        self._fed += len(values)
        return found

    def snapshot(self) -> bytes:
        """The whole state."""
        state = {"fed": self._fed, "sums": self._sums.astype("<f8").tobytes()}
        return seal("page_hinkley", self._named, state)

    def restore(self, sealed: bytes) -> None:
        """Go on from a snapshot.

        :raises ValueError: it is damaged, of another method, or of other parameters.
        """
        state = unseal("page_hinkley", self._named, sealed)
        self._fed = state["fed"]
        self._sums = kernel.load(state["sums"])
