"""Consecutive batches of one version, folded as one where the model cannot tell.

What a batch costs beside its rows is then paid once for many. Batches go together while nothing
but counting can happen between them: no window closes, no deadline passes, nothing expires but
predictions in the join, and each has the columns of the batch before. What the fold gives, and its
state, are those of one batch after the other, so it does not matter what came together.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import inspections, online, retirement, sample, windows
from inferwatch.core.columns import OTHER, SCORES_MAX, Columns, segment_words
from inferwatch.core.judge import deadline_ms
from inferwatch.core.model import Model, Position
from inferwatch.core.pending import ROW_BYTES
from inferwatch.core.plan import WindowPlan
from inferwatch.core.watermark import NEVER
from inferwatch.core.windows import SWEEP_MS, Track
from inferwatch.records.rows import Rows, together

Batch = tuple[Rows, Position]


class Run(msgspec.Struct, frozen=True):
    """Batches as one. `rows` are those of all; of each row `record_ms` and `offset` int64[n] are
    the time and place of its record. `batches` are as they came, `ends` the number of the row
    behind each.
    """

    rows: Rows
    record_ms: NDArray[np.int64]
    offset: NDArray[np.int64]
    batches: Sequence[Rows]
    ends: list[int]


def join(batches: Sequence[Batch]) -> Run:
    """Batches that go together, as one."""
    sizes = [rows.n for rows, _ in batches]
    return Run(
        rows=together([rows for rows, _ in batches]),
        record_ms=np.repeat(np.array([at.time_ms for _, at in batches], np.int64), sizes),
        offset=np.repeat(np.array([at.offset for _, at in batches], np.int64), sizes),
        batches=[rows for rows, _ in batches],
        ends=np.cumsum(sizes).tolist(),
    )


class Shape(msgspec.Struct, frozen=True):
    """What batches that go together have in common: version, columns, kinds of answers, numbers
    in an embedding (0 without).
    """

    version: str
    numeric: tuple[str, ...]
    categories: tuple[str, ...]
    scores: tuple[str, ...]
    answers: type
    segments: tuple[str, ...]
    entities: bool
    calls: bool
    dim: int
    sender: str


def shape(model: Model, rows: Rows) -> Shape:
    """The shape of a batch; `sender` is its instance where that is a segment, "" elsewhere."""
    by_sender = {"instance", "hardware"} & set(model.definition.model.segments)
    return Shape(
        version=rows.version,
        numeric=rows.numeric_names,
        categories=tuple(rows.categories),
        scores=rows.score_names,
        answers=type(rows.prediction),
        segments=tuple(rows.segments),
        entities=rows.entity is not None,
        calls=rows.llm is not None,
        dim=0 if rows.embedding is None else rows.embedding.shape[1],
        sender=rows.instance if by_sender else "",
    )


class Calm(msgspec.Struct, frozen=True):
    """What batches of a shape do not reach as long as nothing but counting happens: a watermark, a
    record time, and a number of rows of their version.
    """

    shape: Shape
    event_ms: int
    record_ms: int
    rows: int


def calm(model: Model, like: Shape) -> Calm | None:
    """How far batches like the one before may go; None where even the next one is by itself.

    Cost: some 20 µs, more with many versions and alerts.
    """
    state, restate_ms = model.state, model.definition.model.restate_every_ms
    if not _simple(model, like) or _speaks(model):
        return None
    record_ms = [NEVER, *inspections.deadlines(model), *online.silences(model)]
    rows = [NEVER]
    for plan in model.plan.windows:
        for track in state.tracks[plan.window.name].values():
            restating = [track.closed[start].published_ms for start in track.restating]
            record_ms += [published_ms + restate_ms for published_ms in restating]
        if not plan.pane_ms:
            rows.append((state.rows[like.version] // plan.window.rows + 1) * plan.window.rows)
    return Calm(like, _event_ms(model), min(record_ms), min(rows))


def _simple(model: Model, like: Shape) -> bool:
    """Whether the model is past its beginnings, and keeps nothing that follows its batches."""
    state, version = model.state, like.version
    return (
        not model.noted
        and version in state.seen
        and version not in state.retired
        and state.columns.task not in ("unknown", "ranking")
        and not state.columns.places
        and "features" not in state.columns.capped
        and _scores_placed(state.columns, like.scores)
        and model.learning(version) is None
        and not (model.lacks_embeddings(version) and _vectors_come(model, like))
        and not any(plan.window.exact or plan.sampled for plan in model.plan.windows)
        and all(version in state.tracks.get(plan.window.name, {}) for plan in model.plan.windows)
    )


def _vectors_come(model: Model, like: Shape) -> bool:
    """Whether rows are kept, batch by batch, for embeddings that the reference lacks."""
    return like.dim > 0 or model.state.learnt[like.version].vectors is not None


def _scores_placed(columns: Columns, names: Sequence[str]) -> bool:
    """Whether no row of scores by these names widens what the join keeps of later ones."""
    if columns.task != "multiclass" or len(names) < 2 or len(columns.scores) >= SCORES_MAX:
        return True
    return set(names) <= set(columns.scores)


def _speaks(model: Model) -> bool:
    """Whether an alert on the model's silence has a word to say when rows come."""
    instances = model.state.instances.values()
    told = {one.alert: one.condition for one in instances}
    return any(
        check.for_ms <= 0 or told.get(check.alert, "firing") == "firing"
        for check in model.plan.absent_checks
    )


def _event_ms(model: Model) -> int:
    """The watermark from which on something is due."""
    watermark = model.state.watermark
    event_ms, now_ms = watermark.event_ms, watermark.now_ms()
    horizon_ms = model.definition.model.label_horizon_ms
    due = [retirement.none_before_ms(model), *online.deadlines(model)]
    for plan in model.plan.windows:
        if plan.pane_ms:
            last_ms = windows.last_end(plan, now_ms)
            if last_ms != windows.last_end(plan, event_ms):
                return event_ms  # time has closed what rows have not reached
            due.append(last_ms + windows.step_ms(plan) + plan.window.grace_ms)
        for track in model.state.tracks[plan.window.name].values():
            due += _waiting(model, plan, track)
            due.append(track.swept_ms + (plan.pane_ms or SWEEP_MS) + horizon_ms)
    return min(due)


def _waiting(model: Model, plan: WindowPlan, track: Track) -> Iterator[int]:
    """When closed windows are judged with the labels they have, or take none any more."""
    for waiting in track.queue.values():
        if waiting:
            yield deadline_ms(model, plan, track.closed[waiting[0]])
    if track.ripening:
        oldest = track.closed.get(track.ripening[0])
        if oldest is not None:
            yield oldest.to_ms + model.definition.model.label_horizon_ms


def length(model: Model, calm: Calm, batches: Sequence[Batch]) -> int:
    """How many of the batches, from the first on, go together."""
    watermark = model.state.watermark
    since_ms, rows = watermark.moved_at_ms, model.state.rows[calm.shape.version]
    early = model.state.pending.early
    room_bytes = model.join.room_bytes(model.definition.model.pending_max_bytes)
    for count, (batch, at) in enumerate(batches):
        since_ms = min(since_ms, at.time_ms)
        newest_ms = max(watermark.event_ms, min(int(batch.time_ms.max()), at.time_ms))
        rows += batch.n
        room_bytes -= _bytes(model, batch, room_bytes)
        if (
            newest_ms + max(0, watermark.ticked_ms - since_ms) >= calm.event_ms
            or at.time_ms >= calm.record_ms
            or rows >= calm.rows
            or room_bytes < 0
            or shape(model, batch) != calm.shape
            or not _segments_known(model, batch)
            or (early and any(id_ in early for id_ in batch.ids))
        ):
            return count
    return len(batches)


def _segments_known(model: Model, rows: Rows) -> bool:
    """Whether all its segments have been seen: a new one may be the first that finds no place."""
    columns = model.state.columns
    for name in model.definition.model.segments:
        words = segment_words(columns, rows, name)
        known = columns.segments.get(name, [])
        if words is not None and not all(one in known or one == OTHER for one in words.words):
            return False
    return True


def _bytes(model: Model, rows: Rows, room_bytes: int) -> int:
    """What the batch takes in the join, at most: exactly where that might be more than there is."""
    row_bytes = ROW_BYTES + 8 + 4 * len(model.definition.model.segments)
    row_bytes += 4 * (SCORES_MAX if len(rows.score_names) > 1 else 0)
    shift, most_bytes = model.join.state.shift, len(rows.ids.data) + row_bytes * rows.n
    if not shift or most_bytes <= room_bytes:
        return most_bytes
    kept = sample.kept(sample.hashes(rows.ids), shift)
    return int(rows.ids.sizes()[kept].sum()) + row_bytes * int(np.count_nonzero(kept))
