"""Panes and windows of one definition and one version: what is open, what is late, what is over.

A pane is the smallest tumbling piece; a window merges its panes. A window opens with its first row
and is over when the watermark passes its end plus `grace`. Windows of rows are cut in log order,
know no lateness and are over with their last row.
"""

from collections.abc import Iterator
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import cell as cells
from inferwatch.core import quality
from inferwatch.core.calibration import Calibration
from inferwatch.core.cell import Cell, Tally
from inferwatch.core.columns import Block, Columns
from inferwatch.core.inspectors import FEATURES
from inferwatch.core.metrics.corrected import Judged
from inferwatch.core.past import Past
from inferwatch.core.plan import WindowPlan
from inferwatch.core.quality import LabelCell
from inferwatch.core.reference import VersionReference
from inferwatch.core.watermark import UNSET, Watermark
from inferwatch.kernels import panes as kernel
from inferwatch.records.events import Inspection, Slice
from inferwatch.records.outputs import WindowRecord

T = TypeVar("T")
ALL = ""
SWEEP_MS = 60_000


class Pane(msgspec.Struct):
    """`start` is a time in ms, or a row number. `cells` by segment, "" for all rows.

    `lost` counts records that nobody has folded, by why, and whose rows may be missing here.
    """

    start: int
    from_ms: int
    to_ms: int
    first_offset: int
    last_offset: int
    cells: dict[str, Cell] = {}
    lost: dict[str, int] = {}


class Closed(msgspec.Struct):
    """A published window that still takes labels. `base` is its last record by segment; `trust` is
    what windows before said of its scores when it closed, for `metrics.corrected`.

    Rows from `next_row` on came after it. Where they are of panes that later windows hold too,
    `missed` takes them out of its labels again, by segment. `slice` is what an inspector found of
    its rows, `errors` what it answered about their errors.
    """

    start: int
    end: int
    to_ms: int
    base: dict[str, WindowRecord]
    drifted: list[tuple[str, float]]
    judged: int
    published_ms: int
    revision: int = 0
    restate: bool = False
    whole: bool = False
    trust: float = 1.0
    next_row: int = 1 << 62
    missed: dict[str, LabelCell] = {}
    slice: Slice | None = None
    errors: Inspection | None = None


class RowsKept(msgspec.Struct):
    """Sampled rows of a closed window that wait for their labels: the number of each, and
    float32[F, n]. `window` is the id of its first record.
    """

    window: str
    row: NDArray[np.int64]
    values: NDArray[np.float32]


class Waiting(msgspec.Struct):
    """A closed window that waits for the inspector `method`; `found` is the answer.

    `sample` are rows of it, float32[F, n] in the model's columns; `closed` has the record of all
    rows alone. Where `metric` is `figures`, `sample` has those of `names`, float32[F, 1 + n]: the
    window's own before those of past windows; where it is `errors`, `names` are the error and the
    features, and the window's own rows are the first `own`.
    """

    window: str
    version: str
    method: str
    closed: Closed
    asked_ms: int
    sample: NDArray[np.float32]
    found: Inspection | None = None
    metric: str = FEATURES
    names: list[str] = []
    own: int = 1


class Track(msgspec.Struct):
    """State of one window definition for one version.

    Windows that end at or before `boundary_ms` are over. `ripening` are the starts of closed ones
    that still take labels. `queue` holds, by check and segment, the
    starts of windows that wait for their labels; `series` the past figures that anomaly checks
    read, `hours` those of one window an hour since 1970, `calibrations` what alerts have found of
    their limits, by alert, feature and segment. `first_row` is the version's number of the first
    row that these windows saw: a window that is defined anew knows nothing of the rows before.
    `restating` are the starts of closed windows with `restate`: it follows from these, so that
    snapshots leave it out. `swept_ms` is what `expire` has come to.
    `past` are the figures that inspectors read; `lost` is what the next pane may lack; `heard` the
    time of each instance's newest sample in these windows; `judged` are labelled rows of windows
    that take no label any more. `kept` are rows of closed windows that wait for their labels,
    `before` float32[1 + F, n] labelled ones of windows before: `error_rows`.
    """

    panes: dict[int, Pane] = {}
    labels: dict[int, dict[str, LabelCell]] = {}
    closed: dict[int, Closed] = {}
    queue: dict[str, list[int]] = {}
    series: dict[str, list[float]] = {}
    calibrations: dict[str, Calibration] = {}
    hours: dict[str, dict[int, float]] = {}
    boundary_ms: int = UNSET
    rows: int = 0
    late: int = 0
    first_row: int = 0
    ripening: list[int] = []
    restating: dict[int, None] = {}
    swept_ms: int = UNSET
    past: Past | None = None
    lost: dict[str, int] = {}
    heard: dict[str, int] = {}
    judged: Judged | None = None
    kept: dict[int, RowsKept] = {}
    before: NDArray[np.float32] | None = None


def fold(
    plan: WindowPlan,
    track: Track,
    block: Block,
    reference: VersionReference,
    sample: NDArray[np.bool_] | None,
    counted: Tally | None = None,
) -> NDArray[np.bool_]:
    """Add the rows to their panes. Gives the mask of rows that came too late for any window.

    :param counted: `cell.tally` of the block, which several windows share.
    """
    n = len(block.time_ms)
    if not track.rows:
        track.first_row = int(block.row[0])
    track.rows += n
    if plan.pane_ms:
        starts, lost, late, one = kernel.place(
            block.time_ms, block.before_ms, *_sizes(plan), track.boundary_ms
        )
        # what rows had passed before the last of them never opens: of a new version, or after ticks
        track.boundary_ms = max(track.boundary_ms, last_end(plan, int(block.before_ms[-1])))
        track.late += int(late)
    else:
        starts, lost = block.row // plan.window.rows * plan.window.rows, np.zeros(n, np.bool_)
        one = bool(starts[0] == starts[-1])
    if one:
        _add(plan, track, int(starts[0]), block, reference, sample, counted)
        return lost
    found, first = np.unique(starts[~lost], return_index=True)
    for start in found[np.argsort(first)].tolist():  # as they open row by row
        mine = (starts == start) & ~lost
        picked = None if sample is None else sample[mine]
        _add(plan, track, start, block.take(mine), reference, picked)
    return lost


def _add(
    plan: WindowPlan,
    track: Track,
    start: int,
    block: Block,
    reference: VersionReference,
    sample: NDArray[np.bool_] | None,
    counted: Tally | None = None,
) -> None:
    from_ms, to_ms = int(block.time_ms.min()), int(block.time_ms.max())
    pane = track.panes.get(start)
    if pane is None:
        first_offset = int(block.offset[0])
        pane = Pane(start, from_ms, to_ms, first_offset, first_offset)
        pane.lost, track.lost = track.lost, {}
        track.panes[start] = pane
    pane.from_ms, pane.to_ms = min(pane.from_ms, from_ms), max(pane.to_ms, to_ms)
    pane.last_offset = int(block.offset[-1])
    labels = track.labels.setdefault(start, {}) if plan.reads_labels else None
    closed = closed_with(plan, track, start) if plan.reads_labels else []
    known = len(pane.cells)
    for segment, keep in segments_of(block):
        part = block if keep is None else block.take(keep)
        if segment not in pane.cells:
            full = segment == ALL or plan.segment_features
            features = len(block.numeric) if full else None
            exact = plan.window.exact and full
            pane.cells[segment] = cells.empty(
                reference,
                features=features,
                exact=exact,
                sampled=plan.sampled and segment == ALL,
            )
        if segment or counted is None:
            counted = cells.tally(part, reference, features=not segment or plan.segment_features)
        cells.add(pane.cells[segment], part, counted)
        if plan.estimates:
            cells.decide(pane.cells[segment], part, reference.columns_known, plan.estimates)
        if labels is not None:
            mine = sample if keep is None or sample is None else sample[keep]
            taking_part = len(part.ids) if mine is None else int(mine.sum())
            label_cell = labels.setdefault(segment, LabelCell())
            label_cell.predicted += taking_part
            if plan.corrects:
                quality.decide(label_cell, reference.columns_known, plan.estimates, part)
            for one in closed:
                missed = one.missed.setdefault(segment, LabelCell())
                missed.predicted -= taking_part
                if plan.corrects:
                    quality.decide(missed, reference.columns_known, plan.estimates, part, -1)
    if len(pane.cells) > known:  # the order must not follow which rows came in one batch
        pane.cells = _in_order(pane.cells, block)
        if labels is not None:
            track.labels[start] = _in_order(labels, block)
    for one in closed:
        one.missed = _in_order(one.missed, block)


def _in_order(by_segment: dict[str, T], block: Block) -> dict[str, T]:
    """All rows first, then each segment column's values in the order they were first seen in; last
    those of columns that the definition names no more.
    """
    places = {column: at for at, column in enumerate(block.segments)}

    def place(segment: str) -> tuple[int, int]:
        column, _, code = segment.rpartition(":")
        return (places.get(column, len(places)), int(code)) if segment else (-1, 0)

    return dict(sorted(by_segment.items(), key=lambda item: place(item[0])))


def segments_of(block: Block) -> Iterator[tuple[str, NDArray[np.bool_] | None]]:
    """Every segment with rows in the block: "" with no mask, then "column:code" with its mask."""
    yield ALL, None
    for column, codes in block.segments.items():
        for code in np.unique(codes[codes >= 0]).tolist():
            yield f"{column}:{code}", codes == code


def segment_name(columns: Columns, segment: str) -> str:
    """ "country:3" as "country=DE"."""
    if not segment:
        return ALL
    column, code = segment.rsplit(":", 1)
    return f"{column}={columns.segments[column][int(code)]}"


def step_ms(plan: WindowPlan) -> int:
    """How far its windows are apart."""
    return plan.window.step_ms or plan.window.size_ms


def last_end(plan: WindowPlan, watermark_ms: int) -> int:
    """End of the last window that is over at this watermark."""
    size, step = plan.window.size_ms, step_ms(plan)
    return (watermark_ms - plan.window.grace_ms - size) // step * step + size


def _newest_end(plan: WindowPlan, pane_start: int) -> int:
    """End of the last window that holds the pane."""
    step = step_ms(plan)
    return pane_start // step * step + plan.window.size_ms


def next_cut(
    plan: WindowPlan,
    track: Track,
    block: Block,
    first: int,
    now_ms: NDArray[np.int64],
) -> int:
    """Number of the row of `block`, from `first` on, before which a window may have to close.

    `now_ms` is the watermark before the block and after each row. Closing there gives what batches
    of one row would.
    """
    if not plan.pane_ms:
        rows = plan.window.rows
        return min(len(block.row), first + rows - int(block.row[first]) % rows)
    return int(
        kernel.next_cut(
            block.time_ms, block.before_ms, now_ms, first, *_sizes(plan), track.boundary_ms
        )
    )


def _sizes(plan: WindowPlan) -> tuple[int, int, int, int]:
    """As `kernels.panes` takes them: pane, window, step, grace."""
    return plan.pane_ms, plan.window.size_ms, step_ms(plan), plan.window.grace_ms


def over(plan: WindowPlan, track: Track, now_ms: int) -> list[int]:
    """Starts of the open windows that are over at watermark `now_ms`, in order."""
    if not plan.pane_ms:
        seen = track.first_row + track.rows
        full = [start for start in track.panes if start + plan.window.rows <= seen]
        return sorted(full)
    if last_end(plan, now_ms) <= track.boundary_ms:
        return []
    starts: dict[int, None] = {}
    for pane in track.panes:
        for start in windows_of(plan, pane):
            end = end_of(plan, start)
            if track.boundary_ms < end and end + plan.window.grace_ms <= now_ms:
                starts[start] = None
    return sorted(starts)


def move_boundary(plan: WindowPlan, track: Track, ended_ms: int, rows_ms: int) -> None:
    """No window ends earlier any more: neither the last one published nor what rows have passed."""
    if not plan.pane_ms:
        return
    passed = UNSET if rows_ms == UNSET else last_end(plan, rows_ms)
    track.boundary_ms = max(track.boundary_ms, ended_ms, passed)


def end_of(plan: WindowPlan, start: int) -> int:
    """End of a window, in ms or as a row number."""
    return start + (plan.window.size_ms or plan.window.rows)


def pane_starts(plan: WindowPlan, start: int) -> range:
    """Starts of the panes of a window."""
    return range(start, end_of(plan, start), plan.pane_ms or plan.window.rows)


def merged(plan: WindowPlan, track: Track, start: int, reference: VersionReference) -> Pane:
    """The window as one pane. Cost: a merge a pane and segment, none for tumbling windows."""
    panes = [track.panes[at] for at in pane_starts(plan, start) if at in track.panes]
    if len(panes) == 1:
        return panes[0]
    whole = Pane(
        start,
        min(pane.from_ms for pane in panes),
        max(pane.to_ms for pane in panes),
        min(pane.first_offset for pane in panes),
        max(pane.last_offset for pane in panes),
    )
    for pane in panes:
        # what was lost between two panes may be missing in either: counted once
        whole.lost |= {why: max(n, whole.lost.get(why, 0)) for why, n in pane.lost.items()}
        for segment, part in pane.cells.items():
            if segment not in whole.cells:
                features = None if part.numeric is None else len(part.numeric.count)
                whole.cells[segment] = cells.empty(
                    reference, features=features, exact=False, sampled=part.sample is not None
                )
            cells.merge(whole.cells[segment], part)
    return whole


def lose(track: Track, why: str, records: int) -> None:
    """Rows of so many records may be missing in what is open, and in what opens next."""
    for lost in (track.lost, *(pane.lost for pane in track.panes.values())):
        lost[why] = lost.get(why, 0) + records


def drop_panes(plan: WindowPlan, track: Track, started: list[int]) -> list[Pane]:
    """Forget the panes that no open window needs, and give them; their label part stays.

    To be called when windows `started` ended, or the boundary moved.
    """
    if plan.pane_ms:
        over = [one for one in track.panes if _newest_end(plan, one) <= track.boundary_ms]
        started = sorted(over)
    return [track.panes.pop(start) for start in started]


def closed_with(plan: WindowPlan, track: Track, pane: int) -> list[Closed]:
    """The closed windows that hold the pane. Cost: none for a pane of open ones only."""
    starts = windows_of(plan, pane)
    if plan.pane_ms and end_of(plan, starts[0]) > track.boundary_ms:
        return []
    return [track.closed[start] for start in starts if start in track.closed]


def _label_parts(plan: WindowPlan, track: Track, start: int, segment: str) -> list[LabelCell]:
    parts = [track.labels.get(at, {}).get(segment) for at in pane_starts(plan, start)]
    if start in track.closed:
        parts.append(track.closed[start].missed.get(segment))
    return [part for part in parts if part is not None]


def window_labels(plan: WindowPlan, track: Track, start: int, segment: str) -> LabelCell:
    """Label part of a window and segment."""
    return quality.merge(_label_parts(plan, track, start, segment))


def label_counts(plan: WindowPlan, track: Track, start: int, segment: str) -> tuple[int, int]:
    """Rows of a window and segment that could be labelled, and those that are."""
    found = _label_parts(plan, track, start, segment)
    return sum(part.predicted for part in found), sum(part.labelled for part in found)


def windows_of(plan: WindowPlan, pane: int) -> range:
    """Starts of the windows that hold the pane."""
    if not plan.pane_ms:
        return range(pane, pane + 1)
    step = step_ms(plan)
    first = -((plan.window.size_ms - plan.pane_ms - pane) // step) * step
    return range(first, pane + 1, step)


def deadlines(plan: WindowPlan, track: Track, watermark: Watermark) -> list[int]:
    """Record time at which the next open window will be over if no row comes."""
    if not plan.pane_ms or not track.panes:
        return []
    for start in windows_of(plan, min(track.panes)):
        end = start + plan.window.size_ms
        if end > track.boundary_ms:
            return [watermark.record_time_at(end + plan.window.grace_ms)]
    return []


def expire(plan: WindowPlan, track: Track, oldest_ms: int) -> None:
    """Forget closed windows and label parts whose rows are all past the horizon.

    Looked for each time that the horizon has passed the length of a pane, since there may be tens
    of thousands.
    """
    grain_ms = plan.pane_ms or SWEEP_MS
    oldest_ms = oldest_ms // grain_ms * grain_ms
    if oldest_ms == track.swept_ms:
        return
    track.swept_ms = oldest_ms
    waiting = {start for starts in track.queue.values() for start in starts}
    for start in [start for start, closed in track.closed.items() if closed.to_ms < oldest_ms]:
        if start in waiting:
            continue
        del track.closed[start]
        track.restating.pop(start, None)
        track.kept.pop(start, None)
        if not plan.pane_ms:
            track.labels.pop(start, None)
    if plan.pane_ms:
        reach_ms = plan.window.size_ms + plan.pane_ms
        for start in [start for start in track.labels if start + reach_ms <= oldest_ms]:
            del track.labels[start]
