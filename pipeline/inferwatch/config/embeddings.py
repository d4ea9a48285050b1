"""The embeddings of profiles: described once, and one profile's compared with another's."""

import numpy as np
from numpy.typing import NDArray

from inferwatch.core import directions
from inferwatch.core.directions import Directions
from inferwatch.core.drift import together
from inferwatch.core.embeddings import distance
from inferwatch.core.figure import Figure
from inferwatch.core.reference import embedding_profile
from inferwatch.records.definition import EmbeddingProfile, NumericProfile, Profile
from inferwatch.records.rows import Rows


def describe(rows: list[Rows]) -> EmbeddingProfile | None:
    """Embeddings of the size that the first has; those of another are missing."""
    sent = [one.embedding for one in rows if one.embedding is not None]
    dims = [vectors.shape[1] for vectors in sent if np.isfinite(vectors).any()]
    if not dims:
        return None
    dim = dims[0]
    stored = directions.make(dim)
    known = directions.read(stored, dim)
    lie = [_along(batch, known) for batch in rows]
    return embedding_profile(dim, stored, np.concatenate(lie, axis=1))


def _along(batch: Rows, known: Directions) -> NDArray[np.float32]:
    found = None
    if batch.embedding is not None:
        found = directions.along(known, batch.embedding).lie
    return np.full((len(known.norms), batch.n), np.nan, np.float32) if found is None else found


def compare(old: Profile, new: Profile) -> Figure | None:
    """Sliced Wasserstein distance of embeddings, those of `new` taken for even within their bins;
    None where either has none, or along other directions.
    """
    before, now = old.embedding, new.embedding
    if before is None or now is None or before.directions != now.directions:
        return None
    counted = [_spread(*columns) for columns in zip(before.along, now.along, strict=True)]
    facts = np.array([(column.least, column.most, column.mean) for column in now.along])
    return distance(together.numbers(before.along), np.concatenate(counted), facts)


def _spread(before: NumericProfile, now: NumericProfile) -> NDArray[np.int64]:
    """Rows of `now` on the bins of `before`."""
    places = np.array([now.least, *np.clip(now.edges, now.least, now.most), now.most])
    below = np.array([0, *np.cumsum(now.counts[:-1])])
    found = np.interp(before.edges, places, below).round().astype(np.int64)
    return np.diff(np.array([0, *found, below[-1], below[-1] + now.counts[-1]]))
