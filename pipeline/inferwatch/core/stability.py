"""Whether the same entity gets the same answer again: flips of the class, moves of the score.

Answers are compared with the one before about the same entity by the same version, for a sample of
2,048 entities (`kernels.entities`) that are heard of at least once a day. State: 57 KB a model that
sends entities, nothing for others. Cost: 40 ns a row, most of it the hash.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import sample
from inferwatch.core.figure import Figure, known
from inferwatch.core.intervals import rate
from inferwatch.core.sample import Hashes
from inferwatch.core.sketches import moments
from inferwatch.core.sketches.moments import Moments
from inferwatch.kernels import entities as kernel
from inferwatch.records.ids import Ids, pack
from inferwatch.records.rows import Codes, Floats

AGE_MS = 86_400_000
SHARES = ("flip_rate",)
AMOUNTS = ("score_change.mean",)


class Entities(msgspec.Struct):
    """What was said last about each entity of the sample, one entry a place."""

    keys: NDArray[np.uint64]
    seen_ms: NDArray[np.int64]
    last: NDArray[np.int32]
    scores: NDArray[np.float64]


class StabilityCell(msgspec.Struct):
    """Of a pane: rows compared with the one before, those whose class is another, score moves."""

    moved: Moments
    compared: int = 0
    flipped: int = 0


class Compared(msgspec.Struct):
    """n rows beside the ones before of their entities, as `kernels.entities.follow` gives them."""

    compared: NDArray[np.bool_]
    flipped: NDArray[np.bool_]
    moved: Floats

    def take(self, keep: NDArray[np.bool_]) -> "Compared":
        """The rows that `keep` picks."""
        return Compared(self.compared[keep], self.flipped[keep], self.moved[keep])


def empty() -> Entities:
    """No entity known."""
    return Entities(
        keys=np.zeros(kernel.PLACES, np.uint64),
        seen_ms=np.zeros(kernel.PLACES, np.int64),
        last=np.full(kernel.PLACES, -1, np.int32),
        scores=np.full(kernel.PLACES, np.nan),
    )


def hashes(entities: Ids, version: str) -> Hashes:
    """64 bits for each entity of a version; 0 where a row names none."""
    (of_version,) = sample.hashes(pack([version]))
    found = sample.hashes(entities) ^ of_version
    return np.where(entities.sizes() == 0, kernel.FREE, found)


def follow(
    state: Entities, found: Hashes, time_ms: NDArray[np.int64], predicted: Codes, score: Floats
) -> Compared:
    """Compare n rows with those before, in their order."""
    return Compared(
        *kernel.follow(
            found,
            time_ms,
            predicted,
            score,
            AGE_MS,
            state.keys,
            state.seen_ms,
            state.last,
            state.scores,
        )
    )


def cell() -> StabilityCell:
    """Nothing compared."""
    return StabilityCell(moments.empty(1))


def add(into: StabilityCell, rows: Compared) -> None:
    """Add the rows of a pane."""
    into.compared += int(np.count_nonzero(rows.compared))
    into.flipped += int(np.count_nonzero(rows.flipped))
    moments.update(into.moved, rows.moved[np.newaxis])


def merge(into: StabilityCell, other: StabilityCell) -> None:
    """Add the rows of `other`, a later pane."""
    into.compared += other.compared
    into.flipped += other.flipped
    moments.merge(into.moved, other.moved)


def figures(found: StabilityCell) -> dict[str, Figure]:
    """`flip_rate` and `score_change.mean`, unknown where no entity came back."""
    n = int(found.moved.count[0])
    return {
        "flip_rate": rate(found.flipped, found.compared, "no entity came back"),
        "score_change.mean": known(float(moments.mean(found.moved)[0]), n, "no entity came back"),
    }
