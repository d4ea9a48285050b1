"""Windows as checks read them: one that has just closed, and one whose labels came later."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from inferwatch.core import embeddings, figures, quality, resources, schema, stability, windows
from inferwatch.core.cell import SCORE, Cell
from inferwatch.core.figure import Figure
from inferwatch.core.intervals import rate
from inferwatch.core.joined import Joined
from inferwatch.core.metrics import CORRECTED, corrected, estimated, isotonic, on_labels
from inferwatch.core.metrics.corrected import Judged
from inferwatch.core.metrics.isotonic import Curve
from inferwatch.core.model import Model
from inferwatch.core.plan import P99, WindowPlan
from inferwatch.core.quality import LabelCell
from inferwatch.core.rules import View
from inferwatch.core.sketches import score_labels
from inferwatch.core.windows import ALL, Closed, Pane, Track
from inferwatch.records import keys
from inferwatch.records.outputs import SchemaChange, Span, WindowRecord, percent

T = TypeVar("T")


def segments(model: Model, pane: Pane) -> Iterator[tuple[str, str, Cell]]:
    """Each segment of a pane by its name, with its key and its cell, in the order of names."""
    named = [
        (windows.segment_name(model.state.columns, segment), segment, cell)
        for segment, cell in pane.cells.items()
    ]
    yield from sorted(named, key=lambda item: item[0])


def opened_view(
    model: Model,
    plan: WindowPlan,
    version: str,
    track: Track,
    pane: Pane,
    start: int,
    name: str,
    cell: Cell,
    labels: LabelCell,
) -> View:
    """A window at its closing as checks read it, with the labels that have come by then."""
    state, reference = model.state, model.reference(version)
    drifts = figures.drifts(cell, state.columns, reference)
    end_ms = pane.to_ms + 1 if plan.window.rows else windows.end_of(plan, start)
    began_ms = pane.from_ms if plan.window.rows else start
    positive = model.definition.model.positive
    metrics = figures.service(cell, state.columns, positive, began_ms, end_ms)
    if drifts:
        metrics["drift_share"] = figures.drift_share(drifts)
    if cell.embedding is not None:
        lacks = reference.profile is not None and reference.embedding is None
        lacks = lacks and not figures.predates(cell, reference)
        why_none = "not in the reference" if lacks else figures.LEARNING
        metrics |= embeddings.figures(cell.embedding, cell.rows, reference.embedding, why_none)
    if cell.stability is not None:
        metrics |= stability.figures(cell.stability)
    changed: dict[str, SchemaChange] = {}
    if not name and plan in model.plan.windows:  # neither is of the learning span
        metrics["duplicate_rate"] = rate(min(cell.again, cell.rows), cell.rows, "no rows")
        metrics["schema_changes"] = Figure(None, unknown=figures.LEARNING)
        if reference.profile is not None:
            changed = schema.changes(cell, state.columns, reference.profile)
            metrics["schema_changes"] = Figure(float(len(changed)), cell.rows)
    curve = _curve(model, version) if plan.estimates else None
    if plan.estimates:
        metrics |= _estimates(model, cell, curve or isotonic.AS_GIVEN)
    trusted = trust(model, plan, version, track)
    metrics |= _label_figures(model, plan, version, start, name, labels, trusted)
    metrics |= _lateness(model, plan, name, labels, (began_ms + end_ms) // 2)
    return View(
        plan=plan,
        version=version,
        span=_span(plan, start),
        segment=name,
        rows=cell.rows,
        labels=labels.labelled,
        coverage=labels.coverage(),
        metrics=metrics,
        features=figures.features(cell, state.columns, reference, drifts),
        drifts=drifts,
        profile=reference.profile,
        baseline=baseline(model, version, name),
        learning=reference.profile is None or figures.predates(cell, reference),
        series=_of_segment(track.series, name),
        hours=_of_segment(track.hours, name),
        utc_offsets=model.definition.model.utc_offsets(),
        end_ms=end_ms,
        began_ms=began_ms,
        first_offset=pane.first_offset,
        behind_ms=state.watermark.behind_ms(),
        schema=changed,
        lost=_lost(pane),
        instances=resources.instances(cell.gauges, cell.lives),
        calibrated=(curve is not None) if plan.estimates else None,
        words=cell.words,
    )


def _estimates(model: Model, cell: Cell, curve: Curve) -> dict[str, Figure]:
    """Performance as the window's scores promise it; of several classes the accuracy alone."""
    task, least, most = model.state.columns.task, cell.answers.least, cell.answers.most
    only = "" if task in ("binary", "multiclass") else "only for classes"
    if cell.answers.count[SCORE] and not 0 <= least[SCORE] <= most[SCORE] <= 1:
        only = "scores beyond 0…1 are no probabilities"
    if only:
        return {name: Figure(None, unknown=only) for name in estimated.ESTIMATES}
    found = estimated.figures((cell.decided or score_labels.empty()).counts, curve)
    if task == "binary":
        return found
    return {"estimated.accuracy": found["estimated.accuracy"]}


def _curve(model: Model, version: str) -> Curve | None:
    """What scores are worth by the reference's labels; None where it has too few.

    The learning span's count once their coverage is that of its other figures.
    """
    profile = model.definition.reference.profile
    if profile is not None:
        return isotonic.fit(np.array(profile.labelled, np.int64)) if profile.labelled else None
    track = model.state.first.get(version, Track())
    labels = track.labels.get(0, {}).get(ALL, LabelCell())
    if labels.scores is None or (labels.coverage() or 0.0) < model.first_plan().coverage:
        return None
    return isotonic.fit(score_labels.coarse(labels.scores))


def _lost(pane: Pane) -> dict[str, int]:
    """What the window may lack: rows that senders dropped, records that nobody folded."""
    dropped = pane.cells[ALL].dropped
    return pane.lost | ({"dropped": dropped} if dropped else {})


def _of_segment(kept: Mapping[str, T], name: str) -> dict[str, T]:
    """What is kept of a segment, by metric."""
    prefix = keys.join(name, "")
    return {key.removeprefix(prefix): past for key, past in kept.items() if key.startswith(prefix)}


def _span(plan: WindowPlan, start: int) -> Span:
    return Span(
        name=plan.window.name,
        start=start,
        end=windows.end_of(plan, start),
        rows=plan.window.rows,
    )


def _label_figures(
    model: Model,
    plan: WindowPlan,
    version: str,
    start: int,
    name: str,
    labels: LabelCell,
    trusted: float,
    classes: Sequence[str] = (),
) -> dict[str, Figure]:
    """Label figures of a window; unknown under the coverage that its checks ask for, but for the
    one that is made for few labels.

    :param trusted: as of `trust` when the window closed.
    :param classes: those that have figures even where they have no row, beside those of checks.
    """
    if not plan.reads_labels:
        return {}
    columns, positive = model.state.columns, model.definition.model.positive
    exact = None
    if plan.window.exact and columns.task == "binary":
        exact = _rows_of(model, version, start, plan.window.rows, name)
        if len(exact.label) != labels.labelled:
            exact = None  # some are past the horizon: the rest is another sample
    found = quality.figures(labels, columns, positive, exact)
    named = [*model.plan.classes, *classes]
    found |= quality.class_figures(labels, columns, named, whole=not name)
    coverage = labels.coverage()
    if coverage is None or coverage < plan.coverage:
        share = f"coverage {percent(coverage or 0.0)}"
        found = {key: Figure(None, labels.labelled, unknown=share) for key in found}
    elif model.join.sampled() < 1.0:
        found["sampled"] = Figure(model.join.sampled(), labels.predicted)
    if plan.corrects:
        curve = _curve(model, version) or isotonic.AS_GIVEN
        found[CORRECTED] = corrected.accuracy(labels.judged or Judged(), trusted, curve)
    return found


def trust(model: Model, plan: WindowPlan, version: str, track: Track) -> float:
    """How far truths follow scores in the windows that take no label any more, in 0…1.

    A window keeps what it was at its closing: later its own labels would be among them.
    """
    if not plan.corrects:
        return 1.0
    return corrected.slope(track.judged, _curve(model, version) or isotonic.AS_GIVEN)


def _lateness(
    model: Model,
    plan: WindowPlan,
    segment: str,
    labels: LabelCell,
    middle_ms: int,
    by_ms: int | None = None,
) -> dict[str, Figure]:
    """How late the labels of a window are, and which share of them should be there by now.

    Known under any coverage, and of the whole model only.
    """
    if not plan.reads_labels or segment:
        return {}
    now_ms = model.state.watermark.now_ms()
    age_ms = max(0, (now_ms if by_ms is None else min(now_ms, by_ms)) - middle_ms)
    past = model.state.delays.get(plan.window.name)
    return quality.delays(labels) | {"maturity": quality.maturity(past, age_ms)}


def _rows_of(model: Model, version: str, start: int, rows: int, segment: str) -> Joined:
    oldest_ms = model.state.watermark.now_ms() - model.definition.model.label_horizon_ms
    joined = model.join.labelled(version, start, start + rows, oldest_ms)
    if not segment:
        return joined
    column, value = segment.split("=", 1)
    code = model.state.columns.segments[column].index(value)
    codes = joined.segments.get(column, np.full(len(joined.label), -1, np.int32))
    return joined.take(codes == code)


def baseline(model: Model, version: str, segment: str) -> dict[str, float]:
    """The reference's own figures: the profile's, or those of the version's learning span."""
    profile = model.definition.reference.profile
    if profile is not None:
        return dict(profile.quality.get(segment, {}))
    track = model.state.first.get(version)
    closed = track.closed.get(0) if track is not None else None
    if track is None or closed is None or segment not in closed.base:
        return {}
    found = dict(closed.base[segment].metrics)
    plan = model.first_plan()
    for key, labels in track.labels.get(0, {}).items():
        if windows.segment_name(model.state.columns, key) != segment:
            continue
        if (labels.coverage() or 0.0) >= plan.coverage:
            positive = model.definition.model.positive
            columns = model.state.columns
            known = quality.figures(labels, columns, positive, None)
            known |= quality.class_figures(labels, columns, model.plan.classes, whole=not segment)
            known |= {} if segment else quality.delays(labels)
            found |= {
                name: figure.value for name, figure in known.items() if figure.value is not None
            }
    return found


def closed_view(
    model: Model,
    plan: WindowPlan,
    version: str,
    track: Track,
    closed: Closed,
    segment: str,
    classes: Sequence[str] = (),
    by_ms: int | None = None,
) -> View:
    """A closed window as label checks read it: its label figures as of now.

    :param classes: those that have figures even where they have no row.
    :param by_ms: the deadline that has let it be judged, its own or that of a window before it: its
        labels are as old as that, however far ahead the batch is that has brought it.
    """
    record = closed.base[segment]
    labels = windows.window_labels(plan, track, closed.start, key_of(model, segment))
    metrics = _published(record)
    end_ms = closed.end if plan.pane_ms else closed.to_ms + 1
    began_ms = closed.start if plan.pane_ms else record.from_ms or 0
    metrics |= _label_figures(
        model, plan, version, closed.start, segment, labels, closed.trust, classes
    )
    metrics |= _lateness(model, plan, segment, labels, (began_ms + end_ms) // 2, by_ms)
    reference = model.reference(version)
    return View(
        plan=plan,
        version=version,
        span=record.window,
        segment=segment,
        rows=record.rows,
        labels=labels.labelled,
        coverage=labels.coverage(),
        metrics=metrics,
        features={},
        drifts={},
        profile=reference.profile,
        baseline=baseline(model, version, segment),
        learning=reference.profile is None and not _learnt(model, version),
        series={P99: track.series.get(keys.join(segment, P99), [])},
        end_ms=end_ms,
        began_ms=began_ms,
        first_offset=record.first_offset,
        schema=record.schema_changes,
        lost=closed.base[ALL].lost,
        instances=record.instances,
    )


def _published(record: WindowRecord) -> dict[str, Figure]:
    """The figures of a record that labels do not change."""
    found = {name: Figure(None, unknown=why) for name, why in record.unknown.items()}
    for name, value in record.metrics.items():
        low, high = record.intervals.get(name, (None, None))
        found[name] = Figure(value, low=low, high=high)
    return {name: figure for name, figure in found.items() if not on_labels(name)}


def _learnt(model: Model, version: str) -> bool:
    track = model.state.first.get(version)
    return track is not None and 0 in track.closed


def key_of(model: Model, segment: str) -> str:
    """ "country=DE" as "country:3"."""
    if not segment:
        return ALL
    column, value = segment.split("=", 1)
    return f"{column}:{model.state.columns.segments[column].index(value)}"
