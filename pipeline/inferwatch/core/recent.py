"""A reference that moves along: the days before today of a version's own windows.

The panes of the shortest windows are merged into a seventh of the reference's span each, so `7d`
keeps days. With the first window of a new day the reference becomes the days before it, on the bins
of the one that was learnt first: what has moved beyond those bins' range is told no finer than
that. Where those days have fewer than `min_rows` rows it stays, and says since when. Embeddings
that began later are in it from the first move behind `min_rows` of them on, on their own bins.
State: eight panes of all rows a version. Cost: a merge a closed pane, some milliseconds a day.
"""

from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import cell as cells
from inferwatch.core import directions, figures
from inferwatch.core.cell import SCORE, VALUE, Cell
from inferwatch.core.columns import Block, Columns
from inferwatch.core.directions import DIRECTIONS
from inferwatch.core.embeddings import EmbeddingCell
from inferwatch.core.model import Model
from inferwatch.core.reference import (
    PSI_BINS,
    SCALE_QUANTILES,
    Held,
    Vectors,
    VersionReference,
    accepted,
    category_profile,
    embedding_profile,
)
from inferwatch.core.sketches import binned, moments
from inferwatch.core.sketches.binned import Grid
from inferwatch.core.sketches.moments import Moments
from inferwatch.core.windows import ALL, Pane
from inferwatch.records.definition import (
    CategoryProfile,
    EmbeddingProfile,
    NumericProfile,
    Profile,
)

PIECES = 7
Pieces = dict[int, Pane]


def follow(model: Model, version: str, panes: Iterable[Pane]) -> None:
    """Take in panes that no window needs any more, in the order of time."""
    asked, learnt = model.definition.reference, model.state.learnt.get(version)
    if learnt is None or learnt.profile is None or accepted(learnt):
        return
    pieces = model.state.recent.setdefault(version, {})
    for pane in panes:
        reference = model.reference(version)
        if not add(pieces, pane, asked.last_ms, reference):
            continue
        before = _before(pieces, asked.last_ms, reference)
        rows = sum(piece.cells[ALL].rows for piece in before)
        if rows >= asked.min_rows:
            found = _joined(before, model.state.columns, reference, learnt.profile)
            if learnt.vectors is not None and learnt.vectors.given >= asked.min_rows:
                found = msgspec.structs.replace(found, embedding=_described(learnt.vectors))
                learnt.vectors = None
            model.turn(version, found)
        else:
            since_ms = learnt.held.since_ms if learnt.held else max(pieces)
            learnt.held = Held(since_ms, rows)


def keep_vectors(model: Model, block: Block) -> None:
    """Keep rows of `block` for the reference's embeddings, where it lacks them; 2·`min_rows` at
    most. Which ones does not follow how rows were batched.
    """
    rows, learnt = block.along, model.state.learnt[block.version]
    found = learnt.vectors
    if found is None:
        if rows is None or not rows.given.any():
            return
        block = block.take(slice(int(rows.given.argmax()), None))
        found = learnt.vectors = Vectors(rows.dim, directions.make(rows.dim))
        rows = block.along
    n = len(block.time_ms)
    lie = np.full((DIRECTIONS, n), np.nan, np.float32)
    if rows is not None and rows.lie is not None and rows.dim == found.dim:
        lie = rows.lie
    found.along.append(
        np.ascontiguousarray(lie[:, -found.rows % (1 << found.shift) :: 1 << found.shift])
    )
    found.rows += n
    found.given += int(np.isfinite(lie[0]).sum())
    while -(-found.rows >> found.shift) > 2 * model.definition.reference.min_rows:
        found.shift += 1
        found.along = [np.ascontiguousarray(np.concatenate(found.along, axis=1)[:, ::2])]


def _described(found: Vectors) -> EmbeddingProfile | None:
    return embedding_profile(found.dim, found.directions, np.concatenate(found.along, axis=1))


def add(pieces: Pieces, pane: Pane, last_ms: int, reference: VersionReference) -> bool:
    """Merge a closed pane into its piece; True where it begins a newer one than all before.

    Rows that were counted before there was a reference, and rows older than all pieces that are
    kept, are left out.
    """
    cell = pane.cells[ALL]
    width_ms = max(1, last_ms // PIECES)
    start = pane.from_ms // width_ms * width_ms
    newest = max(pieces, default=None)
    if figures.predates(cell, reference) or (newest is not None and start < newest - last_ms):
        return False
    piece = pieces.get(start)
    if piece is None:
        whole = _empty(cell, reference)
        piece = Pane(start, pane.from_ms, pane.to_ms, pane.first_offset, pane.last_offset)
        piece.cells[ALL] = whole
        pieces[start] = piece
    piece.from_ms, piece.to_ms = min(piece.from_ms, pane.from_ms), max(piece.to_ms, pane.to_ms)
    piece.last_offset = pane.last_offset
    cells.merge(piece.cells[ALL], cell)
    return newest is not None and start > newest


def _before(pieces: Pieces, last_ms: int, reference: VersionReference) -> list[Pane]:
    """The pieces before the newest, in order; what the next reference will not reach is forgotten.

    Those from before there was a reference have no bins, and are left out.
    """
    newest = max(pieces)
    for start in [start for start in pieces if start < newest - last_ms]:
        del pieces[start]
    before = [pieces[start] for start in sorted(pieces) if start < newest]
    return [piece for piece in before if not figures.predates(piece.cells[ALL], reference)]


def _joined(
    before: list[Pane], columns: Columns, reference: VersionReference, old: Profile
) -> Profile:
    whole = _empty(before[0].cells[ALL], reference)
    for piece in before:
        cells.merge(whole, piece.cells[ALL])
    from_ms = min(piece.from_ms for piece in before)
    to_ms = max(piece.to_ms for piece in before) + 1
    return _profile(whole, from_ms, to_ms, columns, reference, old)


def _empty(cell: Cell, reference: VersionReference) -> Cell:
    features = 0 if cell.numeric is None else len(cell.numeric.count)
    return cells.empty(reference, features=features, exact=False)


def _profile(
    cell: Cell,
    from_ms: int,
    to_ms: int,
    columns: Columns,
    reference: VersionReference,
    old: Profile,
) -> Profile:
    """What the rows of `cell` were like, on the bins of `old`; a column without a value stays."""
    numeric = dict(old.numeric)
    if cell.bins is not None and cell.numeric is not None and reference.grid is not None:
        places = reference.columns().tolist()
        for at, name in enumerate(reference.names):
            counts = binned.feature_counts(cell.bins, reference.grid, at)
            numeric[name] = _numbers(old.numeric[name], counts, cell.numeric, places[at])
    score = old.score
    if score is not None and cell.score_bins is not None:
        score = _numbers(score, cell.score_bins, cell.answers, SCORE)
    embedding = old.embedding
    if embedding is not None and reference.embedding is not None and cell.embedding is not None:
        embedding = _along(embedding, reference.embedding.grid, cell.embedding)
    prediction = old.prediction
    if isinstance(prediction, NumericProfile) and cell.value_bins is not None:
        prediction = _numbers(prediction, cell.value_bins, cell.answers, VALUE)
    elif isinstance(prediction, CategoryProfile):
        named = {columns.classes[code]: count for code, count in sorted(cell.classes.items())}
        prediction = category_profile(named, cell.rows - sum(named.values()))
    return Profile(
        name=f"last {cell.rows} rows",
        rows=cell.rows,
        from_ms=from_ms,
        to_ms=to_ms,
        numeric=numeric,
        categories={
            name: category_profile(cell.words[name], cell.wordless.get(name, 0))
            if name in cell.words
            else known
            for name, known in old.categories.items()
        },
        score=score,
        prediction=prediction,
        embedding=embedding,
    )


def _along(old: EmbeddingProfile, grid: Grid, cell: EmbeddingCell) -> EmbeddingProfile:
    """Embeddings on the same directions and bins."""
    if cell.bins is None or cell.lie is None:
        return old
    along = [
        _numbers(column, binned.feature_counts(cell.bins, grid, at), cell.lie, at)
        for at, column in enumerate(old.along)
    ]
    return msgspec.structs.replace(old, along=along)


def _numbers(
    old: NumericProfile, counts: NDArray[np.int64], state: Moments, place: int
) -> NumericProfile:
    """One column on the same bins; PSI's groups and the scale are the bins' own quantiles."""
    if not 0 <= place < len(state.count) or not state.count[place] or not old.edges:
        return old
    edges = np.array(old.edges, np.float32)
    below = np.cumsum(counts[:-1]) / counts[:-1].sum()
    least, most = float(state.least[place]), float(state.most[place])
    psi_edges = np.unique(_quantiles(edges, below, np.arange(1, PSI_BINS) / PSI_BINS))
    low, high = np.clip(_quantiles(edges, below, np.array(SCALE_QUANTILES)), least, most)
    with np.errstate(over="ignore", invalid="ignore"):
        variance = float(moments.variance(state)[place])
        mean = float(moments.mean(state)[place])
    return NumericProfile(
        edges=old.edges,
        counts=counts.tolist(),
        psi_edges=psi_edges.tolist(),
        mean=mean,
        sd=max(variance, 0.0) ** 0.5 if state.count[place] > 1 else 0.0,
        least=least,
        most=most,
        low=float(low),
        high=float(high),
    )


def _quantiles(
    edges: NDArray[np.float32], below: NDArray[np.float64], shares: NDArray[np.float64]
) -> NDArray[np.float32]:
    """The upper edge of the bin that each quantile lies in; of the last bin, its lower one."""
    return edges[np.minimum(np.searchsorted(below, shares - 1e-12), len(edges) - 1)]
