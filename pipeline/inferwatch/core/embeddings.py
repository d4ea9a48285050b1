"""Whether embeddings have drifted: sliced Wasserstein distance from the reference, and gaps.

The mean over fixed directions of Wasserstein's distance along each, in the reference's deviations
along it (`drift.wasserstein`). Sources: J. Rabin and others (2011), N. Bonneel and others (2015),
S. Kolouri and others (2019). State: 1.2 KB a direction and pane of models that send embeddings,
nothing for others. Cost: beside the projection (`directions`) 0.1 µs a row and 0.1 ms a window.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import directions
from inferwatch.core.directions import Along, Directions
from inferwatch.core.drift import together, wasserstein
from inferwatch.core.drift.together import Numbers
from inferwatch.core.figure import Figure
from inferwatch.core.intervals import rate
from inferwatch.core.sketches import binned, moments
from inferwatch.core.sketches.binned import Grid
from inferwatch.core.sketches.moments import Moments
from inferwatch.records.definition import EmbeddingProfile

DISTANCE, MISSING = "embedding.sliced_wasserstein", "embedding.missing"
SHARES, AMOUNTS = (MISSING,), (DISTANCE,)


class EmbeddingReference(msgspec.Struct, frozen=True):
    """A profile of embeddings made ready for counting and comparing, a column a direction."""

    directions: Directions
    grid: Grid
    numbers: Numbers


class EmbeddingCell(msgspec.Struct):
    """Of a pane: rows with an embedding, those of them of another size than the reference's, and
    how the rest lie along its directions; None before there is one. `other_dim` is the size of the
    newest that lies along none.
    """

    given: int = 0
    other: int = 0
    lie: Moments | None = None
    bins: NDArray[np.int64] | None = None
    other_dim: int = 0


def bind(profile: EmbeddingProfile) -> EmbeddingReference:
    """Make the profile ready."""
    edges = [np.array(column.edges, np.float32) for column in profile.along]
    return EmbeddingReference(
        directions.read(profile.directions, profile.dim),
        binned.make_grid(edges),
        together.numbers(profile.along),
    )


def empty(reference: EmbeddingReference) -> EmbeddingCell:
    """No rows yet, to be compared with `reference`."""
    lie = moments.empty(len(reference.directions.norms))
    return EmbeddingCell(lie=lie, bins=binned.empty(reference.grid))


def count(rows: Along, reference: EmbeddingReference | None) -> NDArray[np.int64] | None:
    """The rows on the reference's bins; None without one, or where they are of another size."""
    if reference is None or rows.lie is None:
        return None
    found = binned.empty(reference.grid)
    binned.update(found, reference.grid, rows.lie)
    return found


def add(cell: EmbeddingCell, rows: Along, counted: NDArray[np.int64] | None) -> None:
    """Fold rows into `cell`.

    :param counted: what `count` gives for them.
    """
    given = int(np.count_nonzero(rows.given))
    cell.given += given
    if given and (cell.lie is None or counted is None):
        cell.other_dim = rows.dim
    if cell.lie is None or cell.bins is None:
        return
    if counted is None or rows.lie is None:
        cell.other += given
        return
    cell.bins += counted
    moments.update(cell.lie, rows.lie)


def merge(into: EmbeddingCell | None, other: EmbeddingCell | None) -> EmbeddingCell | None:
    """Rows of both; on no bins where one of the panes was folded before there were any."""
    if into is None and other is None:
        return None
    into, other = into or EmbeddingCell(), other or EmbeddingCell()
    into.given += other.given
    into.other += other.other
    into.other_dim = other.other_dim or into.other_dim
    if into.lie is None or into.bins is None or other.lie is None or other.bins is None:
        into.lie = into.bins = None
    else:
        moments.merge(into.lie, other.lie)
        into.bins = into.bins + other.bins
    return into


def figures(
    cell: EmbeddingCell, rows: int, reference: EmbeddingReference | None, why_none: str
) -> dict[str, Figure]:
    """`embedding.missing` and `embedding.sliced_wasserstein` of a pane of so many rows.

    :param why_none: why nothing can be compared where there is no reference, or no bins on it.
    """
    usable = cell.given - cell.other
    missing = {MISSING: rate(rows - usable, rows, "no rows")}
    if reference is None or cell.bins is None or cell.lie is None:
        return missing | {DISTANCE: Figure(None, usable, unknown=why_none)}
    if not usable:
        sized = f"not of {reference.directions.dim} numbers, as the reference has them"
        return missing | {DISTANCE: Figure(None, unknown=sized if cell.other else "no embeddings")}
    return missing | {DISTANCE: distance(reference.numbers, cell.bins, _facts(cell.lie))}


def distance(reference: Numbers, counts: NDArray[np.int64], facts: NDArray[np.float64]) -> Figure:
    """Mean over the directions along which the reference spreads.

    :param facts: float64[k, 3], least, most and mean of the rows along each.
    """
    compared = together.compare_numbers(reference, counts, facts)
    apart = compared.wasserstein[reference.facts[:, 3] > 0.0]
    n = int(compared.finite_now.min())
    if not len(apart):
        return Figure(None, n, unknown=wasserstein.FLAT)
    value = float(apart.mean())
    return Figure(value, n) if math.isfinite(value) else Figure(None, n, unknown=wasserstein.HUGE)


def _facts(lie: Moments) -> NDArray[np.float64]:
    return np.stack([lie.least, lie.most, moments.mean(lie)], axis=1)
