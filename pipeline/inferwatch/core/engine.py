"""step(state, record) → outputs: the fold of one model.

It reads nothing but its arguments. Worker and replay drive the same function; what it cannot
compute is a record in the log. The order of work on a batch, read aloud:

    repeats → watermark → columns → reference → panes → join → detectors → windows → silence
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import columns as model_columns
from inferwatch.core import (
    directions,
    displacement,
    emitters,
    inspections,
    judge,
    online,
    operators,
    quality,
    recent,
    resources,
    retirement,
    runs,
    silence,
    stability,
    versus,
    watermark,
)
from inferwatch.core import reference as references
from inferwatch.core import windows as panes
from inferwatch.core.cell import tally
from inferwatch.core.columns import Block
from inferwatch.core.joined import Joined
from inferwatch.core.model import Model, Position
from inferwatch.core.output import Output
from inferwatch.core.plan import WindowPlan
from inferwatch.core.quality import LabelCell
from inferwatch.core.runs import Batch, Run
from inferwatch.core.watermark import NEVER, UNSET
from inferwatch.core.windows import ALL, Track
from inferwatch.records.events import (
    Deploy,
    Inspection,
    MonitorChange,
    ReferenceChange,
    Resource,
    Tick,
    Verdict,
)
from inferwatch.records.rows import Rows, Truths


def step(model: Model, record: Any, at: Position) -> list[Output] | None:
    """Fold one record that the model has not seen. None for a batch that its emitter sent before,
    and for an answer that no window waits for.

    `record` is Rows, Truths, a small event or a Tick. Changes the model in place.
    """
    outputs: list[Output] = []
    match record:
        case Rows():
            record = emitters.fresh(model.state.emitters, model.state.sources, record)
            return None if record is None else fold_batches(model, [(record, at)])
        case Truths():
            record = emitters.fresh(model.state.emitters, model.state.sources, record)
            if record is None:
                return None
            outputs += _truths(model, record, at)
        case Inspection():
            if not inspections.take(model, record):
                return None
        case Tick():
            watermark.tick(model.state.watermark, at.time_ms)
        case Resource():
            _resource(model, record)
        case Deploy() | MonitorChange() | ReferenceChange() | Verdict():
            outputs += operators.apply(model, record, at)
            outputs += displacement.fit(model, at)
    speaks = isinstance(record, Tick) and not record.closing
    return outputs + _after(model, at, speaks=speaks)


def fold_batches(model: Model, batches: Sequence[Batch]) -> list[Output]:
    """Fold one batch whose rows the model has not seen, or several that go together (`runs`)."""
    _, at = batches[-1]
    outputs = _rows(model, runs.join(batches), at)
    return outputs + _after(model, at, speaks=True)


def _after(model: Model, at: Position, *, speaks: bool) -> list[Output]:
    """What is due behind a record; `speaks` where it tells how long the model has been silent."""
    outputs = _close(model, at)
    outputs += online.quiet(model, at)
    if speaks:
        outputs += silence.check(model, at)
    _expire(model, at)
    return outputs


def _rows(model: Model, run: Run, at: Position) -> list[Output]:
    """Fold rows in pieces between which a window closes, so that a batch's size never shows."""
    state, rows = model.state, run.rows
    version = model.version(rows.version)
    if version != rows.version:
        model_columns.count_capped(state.columns, "versions", rows.n)
        rows = msgspec.structs.replace(rows, version=version)
    advance = watermark.advance(state.watermark, rows.time_ms, run.record_ms)
    first_row = state.rows.get(rows.version, 0)
    state.rows[rows.version] = first_row + rows.n
    state.row_ms = max(state.row_ms, int(run.record_ms.max()))
    if rows.version in state.retired:
        state.retired = [one for one in state.retired if one != rows.version]
        model.due_ms = None
    block = model_columns.align(
        state.columns,
        model.definition.model,
        rows,
        advance.time_ms,
        advance.before_ms,
        first_row,
        run.offset,
    )
    if rows.embedding is not None:
        known = model.directions(rows.version, rows.embedding.shape[1])
        block.along = directions.along(known, rows.embedding)
    outputs: list[Output] = []
    first = 0
    while first < rows.n:
        end = _next_cut(model, block, first, advance)
        outputs += _close(model, at) if first else []
        whole = end - first == rows.n
        piece = block if whole else block.take(slice(first, end))
        ends = run.ends if whole else [end - first]
        outputs += _fold(model, piece, advance, first, ends, at)
        watermark.reach(state.watermark, advance.after_ms, run.record_ms, end)
        if block.version not in state.seen:
            model.due_ms = None
        state.seen[block.version] = state.watermark.event_ms
        if state.columns.places:
            outputs += displacement.follow(model, rows, block, first, end, at)
        first = end
    _account(model, run, block)
    return outputs


def _close(model: Model, at: Position) -> list[Output]:
    """What is over by now: windows, alone and one version's by another's, then detections and
    versions where one of these is due.
    """
    outputs = judge.close(model, at) + versus.close(model, at)
    event_ms = model.state.watermark.event_ms
    if retirement.none_before_ms(model) <= event_ms and retirement.next_ms(model, "") <= event_ms:
        outputs += online.quiet(model, at)
        outputs += retirement.check(model, at)
    return outputs


def _next_cut(model: Model, block: Block, first: int, advance: watermark.Advance) -> int:
    """Where the piece from row `first` on ends: a window closes, the reference is complete, another
    version retires, or segments are told apart anew.
    """
    cuts = [
        panes.next_cut(plan, model.track(plan, block.version), block, first, advance.now_ms)
        for plan in model.plan.windows
    ]
    if retirement.none_before_ms(model) <= advance.after_ms[-1]:
        due_ms = retirement.next_ms(model, block.version)
        cuts.append(first + int(np.searchsorted(advance.after_ms[first:], due_ms)) + 1)
    learning = model.learning(block.version)
    if learning is not None:
        asked = model.definition.reference
        cuts.append(first + references.next_cut(learning, asked, block.time_ms[first:]))
    if model.state.columns.places:
        cuts.append(displacement.next_cut(model, block, first))
    return min([len(block.row), *cuts])


def _fold(
    model: Model,
    block: Block,
    advance: watermark.Advance,
    first: int,
    ends: Sequence[int],
    at: Position,
) -> list[Output]:
    """Fold the rows of a piece, which are those from `first` on, of batches that end at `ends`."""
    state, version = model.state, block.version
    mine = slice(first, first + len(block.row))
    sample = model.join.sample(block)
    late = np.zeros(len(block.row), np.uint16)
    _learn(model, block, sample)
    reference = model.reference(version)
    counted = tally(block, reference, features=True)
    for plan in model.plan.windows:
        track = model.track(plan, version)
        lost = panes.fold(plan, track, block, reference, sample, counted)
        if lost.any():
            late |= lost.astype(np.uint16) << model.bit(plan)
    outputs = online.rows(model, block, advance.after_ms[mine], at)
    numbers = state.columns.task in ("regression", "ranking")
    met: list[Joined] = []
    if len(ends) > 1:
        again = _remember(model, block, late, sample, advance.now_ms[1:], ends)
    else:
        oldest_ms = advance.now_ms[mine] - model.definition.model.label_horizon_ms
        met, again = model.join.predict(block, late, oldest_ms, sample, values=numbers)
    if again.any():
        _repeat(model, block, late, sample, again)
    if block.entities is not None and state.columns.task != "ranking":
        _follow(model, block, late)
    for joined in met:
        outputs += _contribute(model, joined, at)
    _freeze(model, version)
    return outputs


def _remember(
    model: Model,
    block: Block,
    late: NDArray[np.uint16],
    sample: NDArray[np.bool_] | None,
    now_ms: NDArray[np.int64],
    ends: Sequence[int],
) -> NDArray[np.bool_]:
    """Let rows of batches that go together wait for their labels, as `Join.remember`; what is past
    the horizon by the end of a batch is gone before the next one.
    """
    values = model.state.columns.task == "regression"
    starts = [0, *ends[:-1]]
    kept = np.diff([0, *ends]) if sample is None else np.add.reduceat(sample, starts, dtype=int)
    least_ms = np.minimum.reduceat(block.time_ms, starts)
    again, first, rows, rest_ms = [], 0, 0, NEVER
    room, due_ms = model.join.room(block.version)
    for end, more, oldest_row_ms in zip(ends, kept.tolist(), least_ms.tolist(), strict=True):
        oldest_ms = int(now_ms[end - 1]) - model.definition.model.label_horizon_ms
        rows, rest_ms = rows + more, min(rest_ms, oldest_row_ms)
        if end < ends[-1] and rows < room and min(rest_ms, due_ms) >= oldest_ms:
            continue
        again.append(model.join.remember(block, late, slice(first, end), sample, values=values))
        model.join.expire(oldest_ms)
        first, rows, rest_ms = end, 0, NEVER
        room, due_ms = model.join.room(block.version)
    return np.concatenate(again)


def _repeat(
    model: Model,
    block: Block,
    late: NDArray[np.uint16],
    sample: NDArray[np.bool_] | None,
    again: NDArray[np.bool_],
) -> None:
    """Count the rows whose prediction id had come before; each stands for all that its sample is
    one of.
    """
    rows = np.flatnonzero(again) if sample is None else np.flatnonzero(sample)[again]
    for plan in model.plan.windows:
        counted = rows[(late[rows] >> model.bit(plan)) & 1 == 0]
        place = block.time_ms[counted] if plan.pane_ms else block.row[counted]
        width = plan.pane_ms or plan.window.rows
        starts, counts = np.unique(place // width * width, return_counts=True)
        panes_ = model.track(plan, block.version).panes
        for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
            panes_[start].cells[ALL].again += count << model.state.pending.shift


def _follow(model: Model, block: Block, late: NDArray[np.uint16]) -> None:
    """Compare answers with those before about the same entities, in the panes of their rows."""
    state = model.state
    state.entities = state.entities or stability.empty()
    score = block.value if state.columns.task == "regression" else block.score
    assert block.entities is not None
    found = stability.follow(state.entities, block.entities, block.time_ms, block.predicted, score)
    for plan in model.plan.windows:
        counted = (late >> model.bit(plan)) & 1 == 0
        place = block.time_ms if plan.pane_ms else block.row
        width = plan.pane_ms or plan.window.rows
        starts = place // width * width
        for start in np.unique(starts[counted]).tolist():
            cell = model.track(plan, block.version).panes[start].cells[ALL]
            cell.stability = cell.stability or stability.cell()
            stability.add(cell.stability, found.take((starts == start) & counted))


def _learn(model: Model, block: Block, sample: NDArray[np.bool_] | None) -> None:
    """Rows of the learning span: kept for the reference, and folded as its baseline window. Later
    ones only for embeddings that it lacks.
    """
    learning = model.learning(block.version)
    if learning is None:
        if model.lacks_embeddings(block.version):
            recent.keep_vectors(model, block)
        return
    track = model.state.first.setdefault(block.version, Track())
    panes.fold(
        model.first_plan(), track, block, references.bind(None, {}, model.state.columns), sample
    )
    references.learn(learning, block, model.definition.reference.min_rows)


def _freeze(model: Model, version: str) -> None:
    """End the learning span with its last row, which like those before it saw no reference."""
    learning = model.learning(version)
    if learning is not None and references.complete(learning, model.definition.reference):
        model.freeze(version)


def _account(model: Model, run: Run, block: Block) -> None:
    """Put what the sender of each batch dropped beside the rows it sent last."""
    for rows, end in zip(run.batches, run.ends, strict=True):
        emitted, dropped = emitters.account(
            model.state.emitters, rows.emitter, rows.emitted, rows.dropped
        )
        for plan in model.plan.windows:
            place = int(block.time_ms[end - 1]) if plan.pane_ms else int(block.row[end - 1])
            width = plan.pane_ms or plan.window.rows
            pane = model.track(plan, block.version).panes.get(place // width * width)
            if pane is not None:
                pane.cells[ALL].emitted += emitted
                pane.cells[ALL].dropped += dropped


def _truths(model: Model, truths: Truths, at: Position) -> list[Output]:
    state = model.state
    model_columns.declare(state.columns, model.definition.model)
    label, truth = model_columns.answers(state.columns, truths.label, truths.n)
    since_ms = _waiting_since_ms(model, truths, at)
    outputs = []
    version = None if truths.version is None else model.version(truths.version)
    for joined in model.join.label(
        truths.ids, version, label, truth, truths.time_ms, since_ms, _oldest_ms(model)
    ):
        outputs += _contribute(model, joined, at)
    emitters.account(state.emitters, truths.emitter, truths.emitted, truths.dropped)
    return outputs


def _waiting_since_ms(model: Model, truths: Truths, at: Position) -> NDArray[np.int64]:
    """Event time from which each label without a prediction waits for it: the watermark. Before the
    first row the label's own time, which no fast clock may drag past its record's.
    """
    now_ms = model.state.watermark.now_ms()
    if now_ms == UNSET:
        return np.minimum(truths.time_ms, at.time_ms)
    return np.full(truths.n, now_ms)


def _contribute(model: Model, joined: Joined, at: Position) -> list[Output]:
    """Labelled rows, to every window that holds their predictions and to the error detectors."""
    for plan, track, mine in _tracks(model, joined):
        _add_labels(model, plan, track, mine)
    return online.errors(model, joined, at)


def _tracks(model: Model, joined: Joined) -> Iterator[tuple[WindowPlan, Track, Joined]]:
    """The windows that take labels, and the learning span, with the rows that each has counted."""
    for plan in model.plan.windows:
        if plan.reads_labels:
            track = model.track(plan, joined.version)
            yield plan, track, _counted(model, plan, track, joined)
    first = model.state.first.get(joined.version)
    if first is not None:
        learnt = (joined.row >= first.first_row) & (joined.row < first.first_row + first.rows)
        yield model.first_plan(), first, joined.take(learnt)


def _counted(model: Model, plan: WindowPlan, track: Track, joined: Joined) -> Joined:
    """The rows that the track's windows have counted: not late for them, nor before they began."""
    late = (joined.late >> model.bit(plan)) & 1
    return joined.take((late == 0) & (joined.row >= track.first_row))


def _add_labels(model: Model, plan: WindowPlan, track: Track, joined: Joined) -> None:
    if not len(joined.row):
        return
    place = joined.time_ms if plan.pane_ms else joined.row
    width = plan.pane_ms or plan.window.rows
    starts = place // width * width
    for start in np.unique(starts).tolist():
        cells = track.labels.get(start)
        if cells is None:
            continue
        part = joined.take(starts == start)
        quality.add_delays(cells.setdefault(ALL, LabelCell()), part)
        _count(model, cells, part)
        for closed in panes.closed_with(plan, track, start):
            late = part.row >= closed.next_row
            if late.any():
                missed = msgspec.structs.replace(part.take(late), sign=-part.sign)
                quality.add_delays(closed.missed.setdefault(ALL, LabelCell()), missed)
                _count(model, closed.missed, missed)
            if not late.all():
                closed.restate = True
                track.restating[closed.start] = None


def _count(model: Model, cells: dict[str, LabelCell], part: Joined) -> None:
    columns, facts = model.state.columns, model.definition.model
    for segment, keep in _label_segments(part):
        cell = cells.setdefault(segment, LabelCell())
        rows = part if keep is None else part.take(keep)
        quality.add(cell, columns, facts.positive, rows, facts.bins())


def _label_segments(joined: Joined) -> list[tuple[str, NDArray[np.bool_] | None]]:
    found: list[tuple[str, NDArray[np.bool_] | None]] = [(ALL, None)]
    for column, codes in joined.segments.items():
        for code in np.unique(codes[codes >= 0]).tolist():
            found.append((f"{column}:{code}", codes == code))
    return found


def _resource(model: Model, sample: Resource) -> None:
    """Samples go to the open panes of their version; they open none and move no watermark."""
    version = model.version(sample.version)
    if version not in model.state.seen:
        return
    segments = resources.segments(model.state.columns, model.definition.model, sample)
    for plan in model.plan.windows:
        track = model.track(plan, version)
        if not track.panes:
            continue
        start = sample.time_ms // plan.pane_ms * plan.pane_ms if plan.pane_ms else max(track.panes)
        if start not in track.panes:
            continue
        life = resources.life(sample, restarted=resources.restarted(track.heard, sample))
        cells = track.panes[start].cells
        for cell in (cells[name] for name in (ALL, *segments) if name in cells):
            resources.add(cell.gauges, sample)
            cell.lives = resources.merge_lives(cell.lives, life)


def _oldest_ms(model: Model) -> int:
    now_ms = model.state.watermark.now_ms()
    return UNSET if now_ms == UNSET else now_ms - model.definition.model.label_horizon_ms


def _expire(model: Model, at: Position) -> None:
    """Forget what is past the label horizon, then what the memory cap does not hold."""
    oldest_ms = _oldest_ms(model)
    if oldest_ms == UNSET:
        return
    model.join.expire(oldest_ms)
    for plan in model.plan.windows:
        for track in model.state.tracks.get(plan.window.name, {}).values():
            panes.expire(plan, track, oldest_ms)
    for joined, labelled in model.join.shrink(model.definition.model.pending_max_bytes):
        _leave(model, joined)
        _contribute(model, labelled, at)


def _leave(model: Model, joined: Joined) -> None:
    """Rows that the smaller sample no longer holds could not be labelled: take them out of
    coverage.
    """
    for plan, track, kept in _tracks(model, joined):
        place = kept.time_ms if plan.pane_ms else kept.row
        width = plan.pane_ms or plan.window.rows
        starts = place // width * width
        for start in np.unique(starts).tolist():
            part = kept.take(starts == start)
            _uncount(track.labels.get(start, {}), part, 1)
            for closed in panes.closed_with(plan, track, start):
                _uncount(closed.missed, part.take(part.row >= closed.next_row), -1)


def _uncount(cells: dict[str, LabelCell], part: Joined, sign: int) -> None:
    """Rows that could be labelled no more, in what they were added to, or -1 taken out of."""
    for segment, keep in _label_segments(part):
        if segment in cells:
            cells[segment].predicted -= sign * (len(part.row) if keep is None else int(keep.sum()))


def wake_ms(model: Model) -> int | None:
    """Record time of the first tick that this model need be told of; None for none."""
    state, times = model.state, []
    for plan in model.plan.windows:
        for track in state.tracks.get(plan.window.name, {}).values():
            times += panes.deadlines(plan, track, state.watermark)
            for waiting in track.queue.values():
                if waiting:
                    due_ms = judge.deadline_ms(model, plan, track.closed[waiting[0]])
                    times.append(state.watermark.record_time_at(due_ms))
            times += [
                track.closed[start].published_ms + model.definition.model.restate_every_ms
                for start in track.restating
            ]
    times += silence.deadlines(model)
    times += inspections.deadlines(model)
    return min(times, default=None)
