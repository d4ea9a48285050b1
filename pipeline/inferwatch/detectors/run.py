"""A kernel with its state: fed in blocks, counted, sealed. What most detectors are made of."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from inferwatch.detectors import Values
from inferwatch.detectors.limits import numbers
from inferwatch.detectors.state import seal, unseal

Floats = NDArray[np.float64]
Update = Callable[[Floats, int, Floats, Floats], int]
"""Feed `values[start:]` up to the next finding: its index, or -1; `(values, start, params, state)`.
"""


class Run:
    """State of one detector whose kernel keeps all it knows in one float64 array.

    :param name: of the method, bound into snapshots with `named`, its parameters.
    :param params: the parameters as the kernel reads them.
    :param state: the state before the first value; it is written to.
    """

    def __init__(
        self,
        name: str,
        named: Mapping[str, float],
        update: Update,
        params: Floats,
        state: Floats,
    ) -> None:
        self._name, self._named, self._update = name, dict(named), update
        self._params, self._state, self._fed = params, state, 0

    def update_many(self, values: Values) -> list[int]:
        """Feed the next values; indices, counted over all that was fed, of the findings."""
        block, found, row = numbers(values, by_row=False), [], -1
        while (row := self._update(block, row + 1, self._params, self._state)) >= 0:
            found.append(self._fed + row)
        self._fed += len(block)
        return found

    def snapshot(self) -> bytes:
        """Count and state under a checksum."""
        state = {"fed": self._fed, "state": self._state.astype("<f8").tobytes()}
        return seal(self._name, self._named, state)

    def restore(self, sealed: bytes) -> None:
        """Go on from a snapshot.

        :raises ValueError: it is damaged, of another method, of other parameters or of another
            version's size; the state stays what it was.
        """
        found = unseal(self._name, self._named, sealed)
        state = np.frombuffer(found.get("state", b""), "<f8").astype(np.float64)
        if state.shape != self._state.shape:
            raise ValueError(f"a snapshot of {self._name} of {len(state)} numbers, not of ours")
        self._fed, self._state = found["fed"], state
