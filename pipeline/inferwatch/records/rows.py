"""Batches as the fold reads them: validated numpy columns, one entry a row.

`decode` makes them; nothing here checks again. Imports numpy, so the SDK stays away from it.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.records.ids import Ids

Floats = NDArray[np.float64]
Codes = NDArray[np.int32]


class Words(msgspec.Struct, frozen=True):
    """A dictionary-coded column: `codes[i]` is a position in `words`, or -1 for missing."""

    words: tuple[str, ...]
    codes: Codes


class Calls(msgspec.Struct, frozen=True):
    """n calls of a language model: `numbers` float64[4, n] as in `batch.CALL_NUMBERS`, NaN missing.

    `finish_reason` is the provider's own word, -1 where there is none.
    """

    numbers: Floats
    finish_reason: Words

    def take(self, keep: NDArray[np.bool_] | slice) -> "Calls":
        """The rows that `keep` picks."""
        finish = Words(self.finish_reason.words, self.finish_reason.codes[keep])
        return Calls(self.numbers[:, keep], finish)


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """n answers of one model version.

    `time_ms` int64[n] is the sender's event time, not yet clamped. `numeric` is float32[F, n] in
    the order of `numeric_names`. `prediction` is classes (`Words`) or values (float64[n], NaN
    missing). `scores` is float64[k, n]; a binary model sends one row named "score", others one a
    class. `latency_ms` float64[n], NaN missing. `error` holds the kind of failure, -1 where there
    is none. `source_offsets` int64[n] ascends strictly, None where the rows come from no topic.
    """

    model: str
    version: str
    emitter: str
    seq: int
    emitted: int
    dropped: int
    n: int
    time_ms: NDArray[np.int64]
    ids: Ids
    numeric_names: tuple[str, ...]
    numeric: NDArray[np.float32]
    categories: dict[str, Words]
    prediction: Words | Floats | None
    score_names: tuple[str, ...]
    scores: Floats
    latency_ms: Floats | None
    error: Words | None
    segments: dict[str, Words]
    weight: Floats | None = None
    entity: Ids | None = None
    instance: str = ""
    source_offsets: NDArray[np.int64] | None = None
    llm: Calls | None = None


class Truths(msgspec.Struct, frozen=True, kw_only=True):
    """n labels. `version` None labels every version's prediction of an id."""

    model: str
    version: str | None
    emitter: str
    seq: int
    emitted: int
    dropped: int
    n: int
    time_ms: NDArray[np.int64]
    ids: Ids
    label: Words | Floats
    prediction: Words | Floats | None = None
    score_names: tuple[str, ...] = ()
    scores: Floats | None = None
    source_offsets: NDArray[np.int64] | None = None
