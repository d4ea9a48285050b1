"""The rows that a version is compared with: a profile given, or learnt from its own rows.

A learnt reference is frozen once it holds `min_rows` rows of its version over `min_span_ms`, or
when an operator accepts what is there; until then everything that needs it says `learning`. Of a
long span every 2nd, 4th, … row is kept for its numbers, never fewer than `min_rows`. With `last` it
moves along from there (`recent`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import directions, embeddings, vocabulary
from inferwatch.core.columns import Block, Columns
from inferwatch.core.directions import DIRECTIONS, Directions
from inferwatch.core.drift import together
from inferwatch.core.drift.together import Numbers, Words
from inferwatch.core.embeddings import EmbeddingReference
from inferwatch.core.sketches import binned, row_sample
from inferwatch.core.sketches.binned import Grid
from inferwatch.records.definition import (
    CategoryProfile,
    EmbeddingProfile,
    NumericProfile,
    Profile,
    Reference,
)
from inferwatch.records.events import ReferenceChange
from inferwatch.records.outputs import ComparedWith

FINE_BINS = 128
PSI_BINS = 10
ACCEPTED_ROWS_MIN = 50
SCALE_QUANTILES = (0.001, 0.999)
Kind = Literal["learnt", "rolling", "accepted", "profile"]
Values = Mapping[str, NDArray[np.floating]]


class Learning(msgspec.Struct):
    """Rows of the reference to be: of their numbers one in 2^`shift` is kept, an array a batch.

    `along` are their embeddings, as far as they have `dim` numbers like the first that came, by how
    they lie along `directions`; with no rows of them for batches before that.
    """

    rows: int = 0
    shift: int = 0
    from_ms: int = 0
    to_ms: int = 0
    numeric: list[NDArray[np.float32]] = []
    score: list[NDArray[np.float64]] = []
    value: list[NDArray[np.float64]] = []
    predicted: list[NDArray[np.int32]] = []
    words: dict[str, dict[str, int]] = {}
    along: list[NDArray[np.float32]] = []
    dim: int = 0
    directions: bytes = b""


class Held(msgspec.Struct, frozen=True):
    """Why a reference that moves along stands still: the span before had so few `rows`.

    `since_ms` is when it should have moved first, `rows` those of the newest span.
    """

    since_ms: int
    rows: int


class Vectors(msgspec.Struct):
    """Embeddings that began when a reference that moves along (`recent`) had been learnt.

    Of the rows since the first of them one in 2^`shift` is kept, by how its embedding of `dim`
    numbers lies along `directions`, an array a batch; `given` are those of them all that have one.
    """

    dim: int
    directions: bytes
    rows: int = 0
    given: int = 0
    shift: int = 0
    along: list[NDArray[np.float32]] = []


class Learnt(msgspec.Struct):
    """One version's own reference.

    `values` are its sorted columns by `column_key` where a window is exact, `sample` some of its
    rows, column by column, where inspectors read a window; `change` is what an operator said of it
    last; `held` is there while one that moves along (`recent`) cannot, `vectors` until it has the
    embeddings that it lacks.
    """

    learning: Learning | None = None
    profile: Profile | None = None
    change: ReferenceChange | None = None
    values: dict[str, NDArray[np.float64]] = {}
    sample: dict[str, NDArray[np.float32]] = {}
    held: Held | None = None
    vectors: Vectors | None = None


class VersionReference(msgspec.Struct):
    """A profile made ready for counting and comparing; without one, `profile` and grids are None.

    `names` are the numeric features of `grid`, in its order; `values` the sorted reference columns.
    `numbers` has the columns of `grid`, `scores` that of `score_grid`, `values_told` that of
    `value_grid`, a regression's predictions, `words` the categories and, last, the classes
    predicted, where there are any. `embedding` is None where it has none.
    """

    profile: Profile | None
    names: list[str]
    grid: Grid | None
    score_grid: Grid | None
    value_grid: Grid | None
    values: Values
    columns_known: Columns
    positions: NDArray[np.int64]
    numbers: Numbers
    scores: Numbers
    values_told: Numbers
    words: Words
    embedding: EmbeddingReference | None

    def columns(self) -> NDArray[np.int64]:
        """Where in a block each column of `grid` is; -1 for a feature never sent."""
        if len(self.positions) != len(self.names) or (self.positions < 0).any():
            known = {name: at for at, name in enumerate(self.columns_known.numeric)}
            self.positions = np.array([known.get(name, -1) for name in self.names], np.int64)
        return self.positions


def bind(profile: Profile | None, values: Values, columns: Columns) -> VersionReference:
    """Make `profile` ready; `columns` are the model's, in whose order blocks arrive."""
    grid = score_grid = value_grid = None
    names: list[str] = []
    told: list[NumericProfile] = []
    words: list[CategoryProfile] = []
    if profile is not None:
        names = sorted(profile.numeric)
        edges = [np.array(profile.numeric[name].edges, np.float32) for name in names]
        grid = binned.make_grid(edges) if names else None
        if profile.score is not None:
            score_grid = binned.make_grid([np.array(profile.score.edges, np.float32)])
        if isinstance(profile.prediction, NumericProfile):
            told = [profile.prediction]
            value_grid = binned.make_grid([np.array(profile.prediction.edges, np.float32)])
        words = list(profile.categories.values())
        if isinstance(profile.prediction, CategoryProfile):
            words.append(profile.prediction)
    return VersionReference(
        profile=profile,
        names=names,
        grid=grid,
        score_grid=score_grid,
        value_grid=value_grid,
        values=values,
        columns_known=columns,
        positions=np.empty(0, np.int64),
        numbers=together.numbers([profile.numeric[name] for name in names] if profile else []),
        scores=together.numbers([profile.score] if profile and profile.score else []),
        values_told=together.numbers(told),
        words=together.words(words),
        embedding=embeddings.bind(profile.embedding) if profile and profile.embedding else None,
    )


def directions_of(state: Learning | Vectors, dim: int) -> Directions | None:
    """Along which embeddings of `dim` numbers are learnt; None once others are. Cost: 1 µs a
    number.
    """
    if state.dim and state.dim != dim:
        return None
    return directions.read(state.directions or directions.make(dim), dim)


def next_cut(state: Learning, asked: Reference, time_ms: NDArray[np.int64]) -> int:
    """How many of the rows at `time_ms` may be folded at once.

    Those before the row that completes the reference, or that one alone: after it there is one.
    """
    rows = state.rows + np.arange(1, len(time_ms) + 1)
    from_ms = state.from_ms if state.rows else int(time_ms[0])
    reached_ms = np.maximum(np.maximum.accumulate(time_ms), state.to_ms)
    last = (rows >= asked.min_rows) & (reached_ms - from_ms >= asked.min_span_ms)
    return max(1, int(last.argmax())) if last.any() else len(time_ms)


def complete(state: Learning, asked: Reference) -> bool:
    """Whether the rows so far are all that is asked for."""
    return state.rows >= asked.min_rows and state.to_ms - state.from_ms >= asked.min_span_ms


def learn(state: Learning, block: Block, min_rows: int) -> None:
    """Add the rows of `block`, at most up to the one that completes the reference.

    Numbers kept: at most 2·`min_rows` of each column. Words are counted in every row.
    """
    state.from_ms = int(block.time_ms[0]) if not state.rows else state.from_ms
    state.to_ms = max(state.to_ms, int(block.time_ms.max()))
    step = 1 << state.shift
    picked = slice(-state.rows % step, None, step)
    state.rows += len(block.time_ms)
    if block.along is not None or state.dim:
        _learn_along(state, block, picked)
    if len(block.time_ms[picked]):
        state.numeric.append(np.ascontiguousarray(block.numeric[:, picked]))
        state.score.append(np.ascontiguousarray(block.score[picked]))
        state.value.append(np.ascontiguousarray(block.value[picked]))
        state.predicted.append(np.ascontiguousarray(block.predicted[picked]))
    while -(-state.rows >> state.shift) > 2 * min_rows:
        _halve(state)
    _count_words(state, block)


def _learn_along(state: Learning, block: Block, picked: slice) -> None:
    """The first embedding says of what size they are."""
    rows = block.along
    if not state.dim:
        if rows is None or not rows.given.any():
            return
        state.dim, state.directions = rows.dim, directions.make(rows.dim)
        state.along = [np.empty((0, sum(map(len, state.score))), np.float32)]
    lie = None if rows is None or rows.dim != state.dim else rows.lie
    lie = np.empty((0, len(block.time_ms)), np.float32) if lie is None else lie
    state.along.append(np.ascontiguousarray(lie[:, picked]))


def _halve(state: Learning) -> None:
    """Keep every second of the rows kept."""
    state.shift += 1
    whole = _whole(state.numeric, max(map(len, state.numeric)))
    state.numeric = [np.ascontiguousarray(whole[:, ::2])]
    if state.along:
        state.along = [np.ascontiguousarray(_whole(state.along, DIRECTIONS)[:, ::2])]
    state.score = [np.concatenate(state.score)[::2].copy()]
    state.value = [np.concatenate(state.value)[::2].copy()]
    state.predicted = [np.concatenate(state.predicted)[::2].copy()]


def _count_words(state: Learning, block: Block) -> None:
    for name, column in block.categories.items():
        _, seen = vocabulary.counted(column)
        vocabulary.add(state.words.setdefault(name, {}), column, seen)


def accepted(learnt: Learnt) -> bool:
    """Whether an operator said that this is the reference."""
    return learnt.change is not None and learnt.change.action == "accept"


def describe(asked: Reference, learnt: Learnt | None) -> ComparedWith:
    """What a version is compared with, in the words of a window's record."""
    if asked.profile is not None:
        return _described("profile", asked.profile, None)
    learnt = learnt or Learnt(learning=Learning())
    if learnt.profile is not None:
        kind: Kind = "rolling" if asked.last_ms else "learnt"
        kind = "accepted" if accepted(learnt) else kind
        found = _described(kind, learnt.profile, learnt.change)
        if kind != "rolling" or learnt.held is None:
            return found
        held, min_rows = learnt.held, asked.min_rows
        return msgspec.structs.replace(
            found, held_ms=held.since_ms, held_rows=held.rows, min_rows=min_rows
        )
    learning = learnt.learning or Learning()
    return ComparedWith(
        kind="learning",
        rows=learning.rows,
        from_ms=learning.from_ms if learning.rows else None,
        to_ms=learning.to_ms + 1 if learning.rows else None,
        min_rows=asked.min_rows,
        min_span_ms=asked.min_span_ms,
        **_said(learnt.change),
    )


def _described(kind: Kind, profile: Profile, change: ReferenceChange | None) -> ComparedWith:
    return ComparedWith(
        kind=kind,
        name=profile.name,
        rows=profile.rows,
        from_ms=profile.from_ms,
        to_ms=profile.to_ms,
        **_said(change),
    )


def _said(change: ReferenceChange | None) -> dict[str, Any]:
    if change is None:
        return {}
    return {"author": change.author, "comment": change.comment, "changed_ms": change.time_ms}


def freeze(
    state: Learning, columns: Columns, *, keep_values: bool, keep_sample: bool = False
) -> Learnt:
    """Turn the rows kept into a profile."""
    width = len(columns.numeric)
    numeric = _whole(state.numeric, width)
    score, value = np.concatenate(state.score), np.concatenate(state.value)
    profile = Profile(
        name=f"first {state.rows} rows",
        rows=state.rows,
        from_ms=state.from_ms,
        to_ms=state.to_ms + 1,
        numeric={
            name: numeric_profile(numeric[at])
            for at, name in enumerate(columns.numeric)
            if np.isfinite(numeric[at]).any()
        },
        categories={
            name: category_profile(words, state.rows - sum(words.values()))
            for name, words in state.words.items()
        },
        score=numeric_profile(score) if np.isfinite(score).any() else None,
        prediction=prediction_profile(columns, np.concatenate(state.predicted), value),
        embedding=_embedding(state),
        values_digest=None,
    )
    return Learnt(
        profile=profile,
        values=_values(columns, numeric, score, value) if keep_values else {},
        sample=_sample(profile, columns, numeric) if keep_sample else {},
    )


def _sample(
    profile: Profile, columns: Columns, numeric: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """Rows at even distances, of the columns that the profile has."""
    n = numeric.shape[1]
    size = min(n, row_sample.size(len(profile.numeric)))
    places = np.arange(size) * n // size
    at = {name: place for place, name in enumerate(columns.numeric)}
    return {name: numeric[at[name], places] for name in sorted(profile.numeric)}


def _embedding(state: Learning) -> EmbeddingProfile | None:
    if not state.dim:
        return None
    return embedding_profile(state.dim, state.directions, _whole(state.along, DIRECTIONS))


def _whole(blocks: Sequence[NDArray[np.float32]], width: int) -> NDArray[np.float32]:
    """Blocks of rows behind each other, a column that one lacks missing there."""
    return np.concatenate([_padded(block, width) for block in blocks], axis=1)


def _padded(block: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    missing = np.full((width - len(block), block.shape[1]), np.nan, np.float32)
    return np.concatenate([block, missing])


def prediction_profile(
    columns: Columns, predicted: NDArray[np.int32], value: NDArray[np.float64]
) -> CategoryProfile | NumericProfile | None:
    """Of answers as `core.columns.answers` gives them: codes of classes, or a regression's numbers;
    None where there is none.
    """
    if columns.task == "regression":
        return numeric_profile(value) if np.isfinite(value).any() else None
    if not (predicted >= 0).any():
        return None
    counts = np.bincount(predicted[predicted >= 0], minlength=len(columns.classes)).tolist()
    words = dict(zip(columns.classes, counts, strict=True))
    return category_profile(words, int((predicted < 0).sum()))


def _values(
    columns: Columns,
    numeric: NDArray[np.float32],
    score: NDArray[np.float64],
    value: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    values = {
        column_key(name): np.sort(numeric[at][np.isfinite(numeric[at])]).astype(np.float64)
        for at, name in enumerate(columns.numeric)
    }
    answers = {"score": score} | ({"prediction": value} if columns.task == "regression" else {})
    return values | {name: np.sort(column[np.isfinite(column)]) for name, column in answers.items()}


def column_key(feature: str) -> str:
    """What a feature's column is called among columns with the model's own `score` and
    `prediction`: as the feature, unless that could be taken for one of these.
    """
    ambiguous = feature in ("score", "prediction") or feature.startswith("feature.")
    return f"feature.{feature}" if ambiguous else feature


def numeric_profile(values: NDArray[np.floating]) -> NumericProfile:
    """Describe one column; edges are float32 because features travel so.

    The outermost bins lie beyond the reference's range and are empty: what a window has there is
    out of range.

    :raises ValueError: no finite value.
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    if not len(finite):
        raise ValueError("a profile needs at least one finite value")
    coarse = binned.quantile_edges(finite, PSI_BINS)
    edges = np.union1d(binned.quantile_edges(finite, FINE_BINS), coarse)
    edges = np.union1d(edges, _ends(finite)).astype(np.float32)
    grid = binned.make_grid([edges])
    counts = binned.empty(grid)
    binned.update(counts, grid, binned.narrow(values)[np.newaxis])
    low, high = binned.quantiles(finite, np.array(SCALE_QUANTILES))
    with np.errstate(over="ignore", invalid="ignore"):
        mean, sd = float(finite.mean()), float(finite.std(ddof=1)) if len(finite) > 1 else 0.0
    return NumericProfile(
        edges=edges.tolist(),
        counts=binned.feature_counts(counts, grid, 0).tolist(),
        psi_edges=coarse.tolist(),
        mean=mean,
        sd=sd,
        least=float(finite.min()),
        most=float(finite.max()),
        low=float(low),
        high=float(high),
    )


def embedding_profile(dim: int, stored: bytes, lie: NDArray[np.float32]) -> EmbeddingProfile | None:
    """Describe embeddings by how they lie along stored directions, float32[k, n]; None where no row
    has one.
    """
    if not np.isfinite(lie).any(axis=1).all():
        return None
    return EmbeddingProfile(dim=dim, directions=stored, along=[numeric_profile(row) for row in lie])


def _ends(finite: NDArray[np.float64]) -> NDArray[np.float32]:
    """Edges just below the least value and at the most, where float32 has room beyond them."""
    least, most = binned.narrow(np.array([finite.min(), finite.max()]))
    with np.errstate(over="ignore", under="ignore"):
        ends = np.array([np.nextafter(least, np.float32(-np.inf)), most])
    return np.asarray(ends[np.abs(ends) < np.finfo(np.float32).max])


def category_profile(words: Mapping[str, int], missing: int) -> CategoryProfile:
    """Describe one column of words, in sorted order."""
    ordered = sorted(words)
    return CategoryProfile(words=ordered, counts=[words[word] for word in ordered], missing=missing)
