"""A score for each value against those before it, and findings where it stands out: common parts.

A finding is a score above the threshold that is the highest of the last `debounce` scores, so that
one event is one finding.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inferwatch.detectors import Method, Values
from inferwatch.detectors.limits import numbers, whole, within
from inferwatch.detectors.state import seal, unseal
from inferwatch.kernels import debounce as kernel

Floats = NDArray[np.float64]
Score = Callable[[Floats, Floats], None]
"""Writes the scores of the next values and feeds them: `(values, scores)`."""


def sliding(
    window: int,
    past_min: int,
    threshold: float,
    floor: float,
    level_floor: float,
    debounce: int,
) -> dict[str, float]:
    """The parameters of a detector that compares with a sliding window, checked.

    :raises ConfigError: one is out of its range.
    """
    window = whole("window", window, 3, 100_000)
    past_min = whole("past_min", past_min, 3, window)
    within("threshold", threshold, 0.0)
    within("floor", floor, 0.0, 1.0)
    within("level_floor", level_floor, 0.0, 1.0)
    return {
        "window": window,
        "past_min": past_min,
        "threshold": float(threshold),
        "floor": float(floor),
        "level_floor": float(level_floor),
        "debounce": whole("debounce", debounce, 1, 100_000),
    }


class Scoring:
    """State of one detector that scores: arrays that its kernel changes in place.

    :param arrays: all that the kernel must remember, by name; what follows from them is left out.
    :param restored: called after `arrays` were set from a snapshot.
    """

    METHOD: ClassVar[Method]

    def __init__(
        self,
        name: str,
        named: Mapping[str, float],
        score: Score,
        arrays: Mapping[str, NDArray[np.generic]],
        restored: Callable[[], None] = lambda: None,
    ) -> None:
        self._name, self._named, self._score, self._restored = name, dict(named), score, restored
        self._recent = kernel.empty(int(named["debounce"]))
        self._place, self._fed = np.zeros(1, np.int64), np.zeros(1, np.int64)
        self._arrays = {**arrays, "recent": self._recent, "place": self._place, "fed": self._fed}

    def score_many(self, values: Values) -> Floats:
        """Feed the next values; the score of each, NaN where there is none."""
        scores, _ = self._feed(values)
        return scores

    def update_many(self, values: Values) -> list[int]:
        """Feed the next values; indices, counted over all that was fed, of the findings."""
        return self._feed(values)[1]

    def _feed(self, values: Values) -> tuple[Floats, list[int]]:
        block = numbers(values, by_row=self.METHOD.by_row)
        scores, found = np.empty(len(block)), np.empty(len(block), np.int64)
        self._score(block, scores)
        threshold, place = float(self._named["threshold"]), int(self._place[0])
        count = kernel.peaks(scores, threshold, self._recent, place, found)
        if len(self._recent):
            scored = int(np.count_nonzero(~np.isnan(scores)))
            self._place[0] = (place + scored) % len(self._recent)
        first = int(self._fed[0])
        self._fed[0] += len(block)
        return scores, (found[:count] + first).tolist()

    def snapshot(self) -> bytes:
        """All arrays under a checksum."""
        return seal(
            self._name,
            self._named,
            {name: array.astype(_little(array)).tobytes() for name, array in self._arrays.items()},
        )

    def restore(self, sealed: bytes) -> None:
        """Go on from a snapshot.

        :raises ValueError: it is damaged, of another method, of other parameters or of another
            version's size; the state stays what it was.
        """
        found = unseal(self._name, self._named, sealed)
        for name, array in self._arrays.items():
            if len(found.get(name, b"")) != array.nbytes:
                raise ValueError(f"a snapshot of {self._name} whose '{name}' is not of our size")
        for name, array in self._arrays.items():
            array[...] = np.frombuffer(found[name], _little(array)).reshape(array.shape)
        self._restored()


def _little(array: NDArray[np.generic]) -> np.dtype[np.generic]:
    return array.dtype.newbyteorder("<")
