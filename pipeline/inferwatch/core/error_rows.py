"""Rows of closed windows that wait for their labels, so that an inspector can say where errors are.

A window's sample of rows is kept until the labels have come that a check of `errors` asks for. Then
the join tells the error of each row, and an inspector holds them against rows of windows before.
Checks on labels whose turn it is meanwhile wait for the answer, which their alerts tell: as long as
any window waits for an inspector (`inspections`).
"""

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import inspections
from inferwatch.core.figures import LEARNING
from inferwatch.core.inspectors import ERROR_SLICE, MISSED, ROWS_NEEDED, WRONG
from inferwatch.core.metrics import ERRORS
from inferwatch.core.model import Model, Position
from inferwatch.core.output import Output
from inferwatch.core.pending import NONE_MS, Known, Slab
from inferwatch.core.plan import WindowPlan
from inferwatch.core.sketches import binned, row_sample
from inferwatch.core.windows import ALL, Closed, Pane, RowsKept, Track, Waiting
from inferwatch.records import keys
from inferwatch.records.definition import Check
from inferwatch.records.events import Inspection

KEPT_MAX = 32
WINDOWS_BEFORE = 20
"""Rows of the past are so many windows', each with a like part: what lasts longer is usual."""
NOT_KEPT = f"more than {KEPT_MAX} windows wait for their labels"
Rows = NDArray[np.float32]
"""float32[1 + F, n]: the error of each row, then the model's numeric features."""


def keep(model: Model, plan: WindowPlan, track: Track, closed: Closed, pane: Pane) -> None:
    """Keep the rows of a window that has just closed, where a check asks for their errors."""
    if not plan.reads_errors:
        return
    sample = pane.cells[ALL].sample
    if len(track.kept) >= KEPT_MAX:
        closed.errors = _unknown(model, closed, NOT_KEPT)
    elif sample is not None:
        values = row_sample.cut(sample)
        track.kept[closed.start] = RowsKept(closed.base[ALL].id, sample.row, values)


def first(plan: WindowPlan, queue: Mapping[str, list[int]]) -> Iterable[tuple[str, list[int]]]:
    """The checks that wait for labels: those that ask first, so that the others know they did."""
    if not plan.reads_errors:
        return queue.items()
    asking = {check.alert for check in plan.checks if check.metric == ERRORS}
    return sorted(queue.items(), key=lambda item: keys.split(item[0])[0] not in asking)


def ask(
    model: Model,
    plan: WindowPlan,
    check: Check,
    version: str,
    closed: Closed,
    at: Position,
    *,
    covered: bool,
) -> list[Output]:
    """The request about a window whose turn it is, of a check of errors that is the first to come
    to it, and has its labels.
    """
    if check.metric != ERRORS:
        return []
    track = model.track(plan, version)
    kept = track.kept.pop(closed.start, None)
    if kept is None or not covered:
        return []
    own = _labelled(model, version, kept)
    before = _wide(track.before, len(own))
    each = row_sample.size(len(own) - 1) // WINDOWS_BEFORE
    track.before = np.concatenate([before, own[:, :each]], axis=1)[:, -WINDOWS_BEFORE * each :]
    why = LEARNING if before.shape[1] < ROWS_NEEDED else ""
    why = inspections.too_wide(len(own) - 1) or why
    if why:
        closed.errors = _unknown(model, closed, why)
        return []
    columns = model.state.columns
    error = MISSED if columns.task == "regression" else WRONG
    waiting = Waiting(
        window=plan.window.name,
        version=version,
        method=ERROR_SLICE,
        closed=msgspec.structs.replace(
            closed, base={ALL: msgspec.structs.replace(closed.base[ALL], id=kept.window)}
        ),
        asked_ms=at.time_ms,
        sample=np.concatenate([own, before], axis=1),
        metric=ERRORS,
        names=[error, *columns.numeric[: len(own) - 1]],
        own=own.shape[1],
    )
    return inspections.put(model, waiting)


def waits(model: Model, plan: WindowPlan, version: str, closed: Closed) -> bool:
    """Whether the window waits for an answer about its errors."""
    mine = plan.window.name, version, closed.start
    return any(
        (waiting.window, waiting.version, waiting.closed.start) == mine
        for waiting in model.state.waiting
        if waiting.metric == ERRORS
    )


def take(model: Model, at: Position) -> None:
    """Put answers that have come, or will not, beside the windows that they are about."""
    for waiting in inspections.due(model, at, errors=True):
        track = model.state.tracks[waiting.window][waiting.version]
        closed = track.closed.get(waiting.closed.start)
        if closed is not None:
            closed.errors = waiting.found


def _unknown(model: Model, closed: Closed, why: str) -> Inspection:
    window = closed.base[ALL].id
    return Inspection(
        model=model.name, window=window, method=ERROR_SLICE, metric=ERRORS, unknown=why
    )


def _labelled(model: Model, version: str, kept: RowsKept) -> Rows:
    """Those of the rows whose error is known, in the order of the sample.

    Cost: some 10 µs a slab of the join that has rows of the window.
    """
    join, numbers = model.join, model.state.columns.task == "regression"
    oldest_ms = model.state.watermark.now_ms() - model.definition.model.label_horizon_ms
    found = np.full(len(kept.row), np.nan)
    first, last = kept.row.min(initial=0), kept.row.max(initial=-1)
    for key, slab in join.state.slabs.items():
        if slab.version != version or slab.row[-1] < first or slab.row[0] > last:
            continue
        place = np.minimum(np.searchsorted(slab.row, kept.row), len(slab.row) - 1)
        mine = (slab.row[place] == kept.row) & (slab.time_ms[place] >= oldest_ms)
        found[mine] = _errors(slab, join.known[key], place[mine], numbers=numbers)
    known = ~np.isnan(found)
    return np.concatenate([binned.narrow(found[np.newaxis, known]), kept.values[:, known]])


def _errors(
    slab: Slab, known: Known, rows: NDArray[np.intp], *, numbers: bool
) -> NDArray[np.float64]:
    """How wrong the answers of some rows were; NaN where that is not known."""
    if numbers:
        labelled = known.at_ms[rows] != NONE_MS
        both = len(slab.value) and len(known.truth)
        size = np.abs(known.truth[rows] - slab.value[rows]) if both else np.nan
        return np.where(labelled, size, np.nan)
    label, predicted = known.label[rows], slab.predicted[rows]
    return np.where((label >= 0) & (predicted >= 0), label != predicted, np.nan)


def _wide(rows: Rows | None, width: int) -> Rows:
    """Rows of windows before with the columns that have come since, which they lack."""
    if rows is None:
        return np.empty((width, 0), np.float32)
    missing = np.full((width - len(rows), rows.shape[1]), np.nan, np.float32)
    return np.concatenate([rows, missing])
