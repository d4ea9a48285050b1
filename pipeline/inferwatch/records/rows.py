"""Batches as the fold reads them: validated numpy columns, one entry a row.

`decode` makes them; nothing here checks again. Imports numpy, so the SDK stays away from it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.records.ids import Ids, concat

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
    `embedding` float32[n, d] holds a vector a row, of d numbers that are all finite or, where the
    row has none, all NaN; None where no row has one.
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
    embedding: NDArray[np.float32] | None = None


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


def together(batches: Sequence[Rows]) -> Rows:
    """The rows of batches of one version as one batch, which for the rest is like the last.

    All have the same features, categories, scores, segments, kinds of answers and numbers in an
    embedding; failures and latencies are missing where a batch has none. Cost: a copy of every
    column.
    """
    last = batches[-1]
    if len(batches) == 1:
        return last
    columns = {
        "time_ms": _joined([one.time_ms for one in batches]),
        "ids": _joined([one.ids for one in batches]),
        "numeric": _joined([one.numeric for one in batches]),
        "prediction": _joined([one.prediction for one in batches]),
        "scores": _joined([one.scores for one in batches]),
        "latency_ms": _joined([_latency_ms(one) for one in batches]),
        "error": _errors(batches),
        "entity": _joined([one.entity for one in batches]),
        "llm": _joined([one.llm for one in batches]),
        "embedding": _joined([one.embedding for one in batches], axis=0),
        "categories": _each(last.categories, [one.categories for one in batches]),
        "segments": _each(last.segments, [one.segments for one in batches]),
    }
    n = sum(one.n for one in batches)
    return msgspec.structs.replace(last, n=n, weight=None, source_offsets=None, **columns)


def _latency_ms(rows: Rows) -> Floats:
    return np.full(rows.n, np.nan) if rows.latency_ms is None else rows.latency_ms


def _errors(batches: Sequence[Rows]) -> Words | None:
    if all(one.error is None for one in batches):
        return None
    columns = [one.error or Words((), np.full(one.n, -1, np.int32)) for one in batches]
    return _words(columns)


def _each(names: Iterable[str], columns: Sequence[dict[str, Words]]) -> dict[str, Words]:
    return {name: _words([one[name] for one in columns]) for name in names}


def _joined(parts: Sequence[Any], axis: int = -1) -> Any:
    """Columns of one kind under each other; None where there are none. `axis` is that of rows."""
    match parts[0]:
        case None:
            return None
        case Ids():
            return concat(parts)
        case Words():
            return _words(parts)
        case Calls():
            reasons = _words([part.finish_reason for part in parts])
            return Calls(_joined([part.numbers for part in parts]), reasons)
        case _:
            return np.concatenate(parts, axis=axis)


def _words(columns: Sequence[Words]) -> Words:
    """Dictionary columns under each other, over all their words."""
    places: dict[str, int] = {}
    codes = []
    for column in columns:
        table = [places.setdefault(word, len(places)) for word in column.words]
        codes.append(np.array([*table, -1], np.int32)[column.codes])
    return Words(tuple(places), np.concatenate(codes))
