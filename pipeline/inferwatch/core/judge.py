"""Windows that are over: published once, judged once, restated as labels come."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import numpy as np

from inferwatch.core import alerts, diagnose, figures, quality, rules, windows
from inferwatch.core.alerts import Instance
from inferwatch.core.anomaly import SERIES_METHODS
from inferwatch.core.cell import Cell
from inferwatch.core.figure import Figure
from inferwatch.core.labels import Joined
from inferwatch.core.metrics import LABEL_METRICS
from inferwatch.core.model import Model, Position
from inferwatch.core.output import Output, alert_output, window_output
from inferwatch.core.plan import WindowPlan, coverage_needed
from inferwatch.core.quality import LabelCell
from inferwatch.core.rules import Reading, View
from inferwatch.core.watermark import UNSET
from inferwatch.core.windows import ALL, Closed, Pane, Track
from inferwatch.records.definition import Check, Profile
from inferwatch.records.outputs import (
    FOLD_VERSION,
    AlertRecord,
    Severity,
    Span,
    WindowRecord,
    identity,
    percent,
)

SERIES_MAX = 200
SEVERITIES: dict[str, Severity] = {"fail": "critical", "warn": "warning"}
P99 = "latency.p99"


def close(model: Model, at: Position) -> list[Output]:
    """Publish and judge every window that is over; then those whose labels have come."""
    now_ms, outputs = model.state.watermark.now_ms(), []
    for plan in model.plan.windows:
        for version, track in model.state.tracks.get(plan.window.name, {}).items():
            ended = windows.over(plan, track, now_ms)
            for start in ended:
                outputs += _publish(model, plan, version, track, start, at)
            last = max((windows.end_of(plan, start) for start in ended), default=UNSET)
            windows.move_boundary(plan, track, last, model.state.watermark.event_ms)
            windows.drop_panes(plan, track, ended)
            outputs += restate(model, plan, version, track, at)
            outputs += _settle(model, plan, version, track, at)
    for version, track in model.state.first.items():
        _close_first(model, version, track, at)
    return outputs


def _segments(model: Model, pane: Pane) -> Iterator[tuple[str, str, Cell]]:
    named = [
        (windows.segment_name(model.state.columns, segment), segment, cell)
        for segment, cell in pane.cells.items()
    ]
    yield from sorted(named, key=lambda item: item[0])


def _publish(
    model: Model, plan: WindowPlan, version: str, track: Track, start: int, at: Position
) -> list[Output]:
    pane = windows.merged(plan, track, start, model.reference(version))
    outputs: list[Output] = []
    views: dict[str, View] = {}
    base: dict[str, WindowRecord] = {}
    for name, segment, cell in _segments(model, pane):
        labels = windows.window_labels(plan, track, start, segment)
        view = _view(model, plan, version, track, pane, start, name, cell, labels)
        record = _window_record(model, plan, track, pane, view, at)
        outputs.append(window_output(record))
        views[name] = view
        base[name] = msgspec.structs.replace(record, features={})
    track.late = 0
    drifted = diagnose.ranked(views[ALL].drifts)
    closed = Closed(
        start, windows.end_of(plan, start), pane.to_ms, base, drifted, len(drifted), at.time_ms
    )
    outputs += _judge_now(model, plan, track, views, closed, at)
    if plan.reads_labels:
        track.closed[start] = closed
        _queue(plan, track, views, start)
    _remember(plan, track, views)
    return outputs


def _view(
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
    state, reference = model.state, model.reference(version)
    drifts = figures.drifts(cell, state.columns, reference)
    metrics = figures.service(cell, state.columns, model.definition.model.positive)
    if drifts:
        metrics["drift_share"] = figures.drift_share(drifts)
    metrics |= _label_figures(model, plan, version, start, name, labels)
    prefix = f"{name}\x1f"
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
        learning=reference.profile is None,
        series={
            key.removeprefix(prefix): past
            for key, past in track.series.items()
            if key.startswith(prefix)
        },
        end_ms=pane.to_ms + 1 if plan.window.rows else windows.end_of(plan, start),
        began_ms=pane.from_ms if plan.window.rows else start,
        first_offset=pane.first_offset,
    )


def _span(plan: WindowPlan, start: int) -> Span:
    return Span(
        name=plan.window.name,
        start=start,
        end=windows.end_of(plan, start),
        rows=plan.window.rows,
    )


def _label_figures(
    model: Model, plan: WindowPlan, version: str, start: int, name: str, labels: LabelCell
) -> dict[str, Figure]:
    """Label figures of a window; every one unknown under the coverage that its checks ask for."""
    if not plan.reads_labels:
        return {}
    columns, positive = model.state.columns, model.definition.model.positive
    exact = None
    if plan.window.exact and columns.task == "binary":
        exact = _rows_of(model, version, start, plan.window.rows, name)
    found = quality.figures(labels, columns, positive, exact)
    coverage = labels.coverage()
    if coverage is None or coverage < plan.coverage:
        share = f"coverage {percent(coverage or 0.0)}"
        return {key: Figure(None, labels.labelled, unknown=share) for key in found}
    if model.join.sampled() < 1.0:
        found["sampled"] = Figure(model.join.sampled(), labels.predicted)
    return found


def _rows_of(model: Model, version: str, start: int, rows: int, segment: str) -> Joined:
    joined = model.join.labelled(version, start, start + rows)
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
            known = quality.figures(labels, model.state.columns, positive, None)
            found |= {
                name: figure.value for name, figure in known.items() if figure.value is not None
            }
    return found


def _close_first(model: Model, version: str, track: Track, at: Position) -> None:
    """The learning span is complete: keep its figures as the baseline."""
    plan = model.first_plan()
    if 0 in track.closed or 0 not in track.panes or track.rows < plan.window.rows:
        return
    pane, base = track.panes[0], {}
    for name, _, cell in _segments(model, pane):
        view = _view(model, plan, version, track, pane, 0, name, cell, LabelCell())
        base[name] = _window_record(model, plan, track, pane, view, at)
    track.closed[0] = Closed(0, plan.window.rows, pane.to_ms, base, [], 0, at.time_ms)
    del track.panes[0]


def _window_record(
    model: Model, plan: WindowPlan, track: Track, pane: Pane, view: View, at: Position
) -> WindowRecord:
    return WindowRecord(
        id=_window_id(model, plan, view.version, view.segment, view.span.start, 0),
        model=model.name,
        version=view.version,
        window=view.span,
        segment=view.segment,
        rows=view.rows,
        from_ms=pane.from_ms,
        to_ms=pane.to_ms,
        late=track.late if not view.segment else 0,
        features=dict(view.features),
        first_offset=pane.first_offset,
        last_offset=pane.last_offset,
        partition=at.partition,
        **_figures_of(view, model.join.sampled()),
    )


def _window_id(
    model: Model, plan: WindowPlan, version: str, segment: str, start: int, revision: int
) -> str:
    return identity(plan.digest, FOLD_VERSION, model.name, version, segment, start, revision)


def _figures_of(view: View, sampled: float) -> dict[str, Any]:
    """The parts of a window record that follow from its figures."""
    known = {name: fig for name, fig in view.metrics.items() if fig.value is not None}
    unknown = {name: fig.unknown for name, fig in view.metrics.items() if fig.value is None}
    if view.learning:
        unknown["drift"] = figures.LEARNING
    return {
        "labels": view.labels,
        "coverage": view.coverage if view.plan.reads_labels else None,
        "sampled": sampled,
        "metrics": {name: fig.value for name, fig in known.items()},
        "intervals": {
            name: (fig.low, fig.high)
            for name, fig in known.items()
            if fig.low is not None and fig.high is not None
        },
        "unknown": unknown,
    }


def _applies(check: Check, segment: str) -> bool:
    if not check.segment_by:
        return not segment
    return bool(segment) and segment.split("=", 1)[0] in check.segment_by


def _judge_now(
    model: Model,
    plan: WindowPlan,
    track: Track,
    views: dict[str, View],
    closed: Closed,
    at: Position,
) -> list[Output]:
    outputs = []
    for check in plan.checks:
        if check.metric in LABEL_METRICS:
            continue
        mine = {name: view for name, view in views.items() if _applies(check, name)}
        outputs += judge(model, check, mine, closed, at)
    return outputs


def judge(
    model: Model,
    check: Check,
    views: dict[str, View],
    closed: Closed,
    at: Position,
    others: Callable[[], dict[str, View]] | None = None,
) -> list[Output]:
    """Evaluate one check on one window, each segment and feature an alert of its own.

    `others` gives the views of the window's other segments where `views` does not hold them.
    """
    outputs = []
    for segment, view in views.items():
        for feature in rules.targets(check, view):
            instance = instance_of(model, check, view.version, feature, segment)
            reading = rules.read(check, feature, view)
            level = rules.level(check, reading, instance.firing_severity())
            move = _step(check, instance, view, level, at)
            if move is None:
                continue
            around = _levels(check, feature, others() if others else views)
            record = _alert(model, check, instance, view, reading, move, closed, around)
            outputs.append(alert_output(record))
    return outputs


def _levels(check: Check, feature: str, views: dict[str, View]) -> dict[str, str]:
    return {
        segment: rules.level(check, rules.read(check, feature, view), "")
        for segment, view in views.items()
    }


def instance_of(model: Model, check: Check, version: str, feature: str, segment: str) -> Instance:
    """Where the alert stands; a new one starts as unknown."""
    key = alerts.key(check, version, feature, segment)
    found = model.state.instances.get(key)
    if found is None:
        found = model.state.instances[key] = Instance(
            alert=check.alert, version=version, feature=feature, segment=segment
        )
    return found


def _step(
    check: Check, instance: Instance, view: View, level: str, at: Position
) -> alerts.Move | None:
    if level in ("warn", "fail") and not instance.failing:
        instance.began_ms = view.began_ms
        instance.first_bad = f"events.v1/{at.partition}@{view.first_offset}"
    if level not in ("unknown", "learning"):
        instance.failing = level != "ok"
    window = view.plan.window
    stride = window.size_ms or window.rows
    counted = alerts.count(check, instance, view.span.start, level, stride)
    sign = alerts.signal(check, instance, counted, view.began_ms, view.end_ms)
    severity = SEVERITIES.get(counted, instance.severity)
    return alerts.move(instance, sign, severity)


def _alert(
    model: Model,
    check: Check,
    instance: Instance,
    view: View,
    reading: Reading,
    move: alerts.Move,
    closed: Closed,
    levels: dict[str, str],
) -> AlertRecord:
    drifted = diagnose.ranked(view.drifts) or closed.drifted
    context = diagnose.after_deploy(model.state.deploys, instance.began_ms or view.began_ms)
    context += diagnose.other_segments(instance.segment, levels)
    p99 = view.metrics.get(P99)
    context += diagnose.latency(view.series.get(P99, []), p99.value if p99 else None)
    return alerts.record(
        model.name,
        check,
        instance,
        move,
        view.end_ms,
        value=reading.value,
        reference=reading.reference,
        limit=rules.limit_value(check, instance.severity, reading),
        reference_span=_span_of(view.profile) if view.profile else "",
        window=view.span,
        rows=view.rows,
        labelled=view.labels,
        coverage=view.coverage if check.metric in LABEL_METRICS else None,
        causes=diagnose.causes(drifted, len(drifted)),
        context=context,
    )


def _queue(plan: WindowPlan, track: Track, views: dict[str, View], start: int) -> None:
    for check in plan.checks:
        if check.metric not in LABEL_METRICS:
            continue
        for segment in views:
            if _applies(check, segment):
                track.queue.setdefault(f"{check.alert}\x1f{segment}", []).append(start)


def _remember(plan: WindowPlan, track: Track, views: dict[str, View]) -> None:
    """Keep the figures that anomaly checks compare the next windows with."""
    wanted = {check.metric: None for check in plan.checks if check.method in SERIES_METHODS}
    for segment, view in views.items():
        for metric in [*wanted, P99]:
            figure = view.metrics.get(metric)
            if figure is not None and figure.value is not None:
                past = track.series.setdefault(f"{segment}\x1f{metric}", [])
                past.append(figure.value)
                del past[:-SERIES_MAX]


def _label_view(
    model: Model, plan: WindowPlan, version: str, track: Track, closed: Closed, segment: str
) -> View:
    """A closed window as label checks read it: its label figures as of now."""
    record = closed.base[segment]
    labels = windows.window_labels(plan, track, closed.start, _key_of(model, segment))
    metrics = {
        name: Figure(value) for name, value in record.metrics.items() if name not in LABEL_METRICS
    }
    metrics |= _label_figures(model, plan, version, closed.start, segment, labels)
    reference = model.reference(version)
    began_ms = closed.start if plan.pane_ms else record.from_ms or 0
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
        learning=reference.profile is None and not _first_closed(model, version),
        series={P99: track.series.get(f"{segment}\x1f{P99}", [])},
        end_ms=closed.end if plan.pane_ms else closed.to_ms + 1,
        began_ms=began_ms,
        first_offset=record.first_offset,
    )


def _label_views(
    model: Model, plan: WindowPlan, version: str, track: Track, closed: Closed, check: Check
) -> dict[str, View]:
    return {
        segment: _label_view(model, plan, version, track, closed, segment)
        for segment in closed.base
        if _applies(check, segment)
    }


def _first_closed(model: Model, version: str) -> bool:
    track = model.state.first.get(version)
    return track is not None and 0 in track.closed


def _key_of(model: Model, segment: str) -> str:
    """ "country=DE" as "country:3"."""
    if not segment:
        return ALL
    column, value = segment.split("=", 1)
    return f"{column}:{model.state.columns.segments[column].index(value)}"


def restate(
    model: Model, plan: WindowPlan, version: str, track: Track, at: Position
) -> list[Output]:
    """Publish label figures again where labels came: at most once in `restate_every`, at once when
    covered.
    """
    outputs = []
    for closed in track.closed.values():
        if closed.restate and _restatement_due(model, plan, track, closed, at):
            closed.revision += 1
            closed.restate, closed.published_ms = False, at.time_ms
            for segment in closed.base:
                outputs.append(
                    window_output(_restated(model, plan, version, track, closed, segment))
                )
    return outputs


def _restatement_due(
    model: Model, plan: WindowPlan, track: Track, closed: Closed, at: Position
) -> bool:
    before = closed.base[ALL].coverage or 0.0
    coverage = windows.window_labels(plan, track, closed.start, ALL).coverage() or 0.0
    if coverage >= 1.0 > before or coverage >= plan.coverage > before:
        return True
    return at.time_ms - closed.published_ms >= model.definition.model.restate_every_ms


def _restated(
    model: Model, plan: WindowPlan, version: str, track: Track, closed: Closed, segment: str
) -> WindowRecord:
    view = _label_view(model, plan, version, track, closed, segment)
    record = msgspec.structs.replace(
        closed.base[segment],
        id=_window_id(model, plan, version, segment, closed.start, closed.revision),
        revision=closed.revision,
        late=0,
        **_figures_of(view, model.join.sampled()),
    )
    closed.base[segment] = record
    return record


def _settle(
    model: Model, plan: WindowPlan, version: str, track: Track, at: Position
) -> list[Output]:
    """Judge label checks: each window once, in order, when its labels or its deadline have come."""
    outputs = []
    checks = {check.alert: check for check in plan.checks}
    for key, waiting in track.queue.items():
        alert, segment = key.split("\x1f", 1)
        check = checks[alert]
        while waiting:
            closed = track.closed[waiting[0]]
            view = _label_view(model, plan, version, track, closed, segment)
            if not _ready(model, check, view, closed, plan):
                break
            waiting.pop(0)
            others = partial(_label_views, model, plan, version, track, closed, check)
            outputs += judge(model, check, {segment: view}, closed, at, others)
    return outputs


def _ready(model: Model, check: Check, view: View, closed: Closed, plan: WindowPlan) -> bool:
    enough = view.labels >= check.need.labels
    if enough and (view.coverage or 0.0) >= coverage_needed(check):
        return True
    return model.state.watermark.now_ms() >= deadline_ms(model, plan, closed)


def deadline_ms(model: Model, plan: WindowPlan, closed: Closed) -> int:
    """Watermark at which a window is judged with the labels it has."""
    end_ms = closed.end if plan.pane_ms else closed.to_ms + 1
    return end_ms + model.definition.model.label_wait_ms


def _span_of(profile: Profile) -> str:
    """ "50,000 rows of 2018-01-01…2018-10-30": what an alert says it was compared with."""
    first, last = (_day(time_ms) for time_ms in (profile.from_ms, profile.to_ms))
    days = first if first == last else f"{first}…{last}"
    return f"{profile.rows:,} rows of {days}"


def _day(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")
