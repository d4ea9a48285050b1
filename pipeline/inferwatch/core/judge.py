"""Windows that are over: published once, judged once by each check, in window order."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import msgspec

from inferwatch.core import (
    alerts,
    anomaly,
    calibration,
    diagnose,
    displacement,
    duel,
    error_rows,
    floor,
    inspections,
    operators,
    publish,
    recent,
    rules,
    schema,
    schema_events,
    windows,
)
from inferwatch.core.alerts import Instance
from inferwatch.core.anomaly import SERIES_METHODS
from inferwatch.core.calibration import Calibration
from inferwatch.core.drift import WINDOW_METHODS
from inferwatch.core.duel import Round, Side
from inferwatch.core.inspectors import FIGURES, INSPECTORS
from inferwatch.core.metrics import ERRORS, corrected, of_every_class, on_labels
from inferwatch.core.metrics.corrected import Judged
from inferwatch.core.model import Model, Position
from inferwatch.core.output import Output, alert_output, window_output
from inferwatch.core.plan import P99, WindowPlan, applies, coverage_needed, past_kept
from inferwatch.core.quality import LabelCell
from inferwatch.core.rules import Reading, View
from inferwatch.core.sequential import Sample
from inferwatch.core.sketches import log_histogram
from inferwatch.core.views import closed_view, key_of, opened_view, segments, trust
from inferwatch.core.watermark import UNSET
from inferwatch.core.windows import ALL, Closed, Track
from inferwatch.records import keys
from inferwatch.records.definition import Check, NumericProfile, Profile, Window
from inferwatch.records.outputs import AlertRecord, Severity, WindowRecord, identity

GONE_WINDOWS = 10
GONE_MS = 86_400_000
SEVERITIES: dict[str, Severity] = {"fail": "critical", "warn": "warning"}


def close(model: Model, at: Position) -> list[Output]:
    """Publish and judge every window that is over; then those whose labels or inspections have
    come.
    """
    now_ms, outputs = model.state.watermark.now_ms(), []
    _ripen(model, now_ms)
    error_rows.take(model, at)
    for plan in model.plan.windows:
        for version, track in model.state.tracks.get(plan.window.name, {}).items():
            ended, boundary_ms = windows.over(plan, track, now_ms), track.boundary_ms
            for start in ended:
                outputs += _publish(model, plan, version, track, start, at)
            last = max((windows.end_of(plan, start) for start in ended), default=UNSET)
            windows.move_boundary(plan, track, last, model.state.watermark.event_ms)
            moved = ended or track.boundary_ms > boundary_ms
            dropped = windows.drop_panes(plan, track, ended) if moved else []
            if model.definition.reference.last_ms and plan is model.plan.shortest:
                recent.follow(model, version, dropped)
            outputs += publish.restate(model, plan, version, track, at)
            outputs += _settle(model, plan, version, track, at)
    for version, track in model.state.first.items():
        _close_first(model, version, track, at)
    return outputs + _inspected(model, at)


def _ripen(model: Model, now_ms: int) -> None:
    """Windows that take no label any more teach how late labels are."""
    oldest_ms = now_ms - model.definition.model.label_horizon_ms
    for plan in model.plan.windows:
        for track in model.state.tracks.get(plan.window.name, {}).values():
            while track.ripening:
                closed = track.closed.get(track.ripening[0])
                if closed is not None and closed.to_ms >= oldest_ms:
                    break
                labels = windows.window_labels(plan, track, track.ripening.pop(0), ALL)
                if labels.delays is not None:
                    past = model.state.delays.setdefault(plan.window.name, log_histogram.empty())
                    log_histogram.merge(past, labels.delays)
                if labels.judged is not None:
                    track.judged = track.judged or Judged()
                    corrected.join(track.judged, labels.judged)


def _publish(
    model: Model, plan: WindowPlan, version: str, track: Track, start: int, at: Position
) -> list[Output]:
    pane = windows.merged(plan, track, start, model.reference(version))
    outputs: list[Output] = []
    views: dict[str, View] = {}
    base: dict[str, WindowRecord] = {}
    held = floor.withheld(model.state.columns, pane, model.definition.model.floor_rows())
    for name, segment, cell in segments(model, pane):
        if any(name in names for names in held.values()):
            continue
        labels = windows.window_labels(plan, track, start, segment)
        view = opened_view(model, plan, version, track, pane, start, name, cell, labels)
        record = publish.record(model, plan, track, pane, view, at, held)
        outputs.append(window_output(record))
        if displacement.is_told_apart(model, name):
            views[name] = view
        base[name] = msgspec.structs.replace(record, features={})
    track.late = 0
    drifted = diagnose.ranked(views[ALL].drifts)
    closed = Closed(
        start, windows.end_of(plan, start), pane.to_ms, base, drifted, len(drifted), at.time_ms
    )
    closed.trust = trust(model, plan, version, track)
    closed.next_row = track.first_row + track.rows
    outputs += schema_events.close(model, plan, views[ALL], pane, at)
    outputs += _judge_now(model, plan, track, views, closed, at)
    outputs += inspections.ask(model, views[ALL], pane, closed, at)
    error_rows.keep(model, plan, track, closed, pane)
    if plan.reads_labels:
        track.closed[start] = closed
        track.ripening.append(start)
        _queue(plan, track, views, start)
    _remember(plan, track, views)
    inspections.remember(model, views[ALL])
    return outputs


def _close_first(model: Model, version: str, track: Track, at: Position) -> None:
    """The learning span is complete: keep its figures as the baseline."""
    plan = model.first_plan()
    learnt = model.state.learnt.get(version)
    if 0 in track.closed or 0 not in track.panes or learnt is None or learnt.profile is None:
        return
    pane, base = track.panes[0], {}
    for name, _, cell in segments(model, pane):
        view = opened_view(model, plan, version, track, pane, 0, name, cell, LabelCell())
        base[name] = publish.record(model, plan, track, pane, view, at)
    track.closed[0] = Closed(0, track.rows, pane.to_ms, base, [], 0, at.time_ms)
    del track.panes[0]


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
        mine = {name: view for name, view in views.items() if applies(check, name)}
        if not on_labels(check.metric) and check.method not in INSPECTORS:
            outputs += judge(model, check, mine, closed, at)
        if check.segment_by:
            outputs += _end_gone(model, check, mine, views[ALL], at)
    return outputs


def _end_gone(
    model: Model, check: Check, views: dict[str, View], whole: View, at: Position
) -> list[Output]:
    """End the alerts of segments that have had no row for ten windows and a day."""
    after_ms = max(GONE_WINDOWS * whole.plan.window.size_ms, GONE_MS)
    after_ms += model.definition.model.label_wait_ms if on_labels(check.metric) else 0
    outputs = []
    for key, instance in list(model.state.instances.items()):
        mine = (instance.alert, instance.version) == (check.alert, whole.version)
        if not mine or instance.segment in views or instance.judged_ms is None:
            continue
        if whole.end_ms - instance.judged_ms >= after_ms:
            outputs += operators.end(model, check, instance, "segment_gone", whole.end_ms, at)
            alerts.begin_anew(model.state.instances, key)
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
        if view.version in model.state.retired:
            continue
        if check.versus:
            _note(model, check, view)
            continue
        for feature in rules.targets(check, view):
            instance = instance_of(model, check, view.version, feature, segment)
            never = instance.judged_ms is None or bool(instance.blind)
            instance.judged_ms = view.end_ms
            ruled, how = _ruled(model, check, feature, view)
            reading = rules.read(ruled, feature, view)
            firing, failing = instance.firing_severity(), instance.failing
            level = rules.level(ruled, reading, firing, failing=failing)
            if never:
                instance.blind = rules.blind(level, reading)
            lasted = view.first_offset, view.began_ms, view.end_ms
            move = step(ruled, instance, view.plan.window, view.span.start, lasted, level, at)
            _calibrate(model, check, feature, view, reading)
            if move is None:
                continue
            around = _levels(model, check, feature, others() if others else views)
            record = _alert(model, ruled, instance, view, reading, move, closed, around, how, at)
            outputs.append(alert_output(record))
    return outputs


def _note(model: Model, check: Check, view: View) -> None:
    """Keep the figure of a check that compares versions: `versus` judges what it makes."""
    reading = rules.read(check, "", view)
    known = reading.value is not None
    sample = duel.sample_of(check.metric, view.metrics[check.metric]) if known else Sample()
    round_ = Round(sample, view.rows, view.first_offset, reading.unknown)
    key = alerts.key(check, view.version, "", view.segment)
    model.state.duels.setdefault(key, Side()).rounds[view.span.start] = round_
    model.noted = True


def _ruled(model: Model, check: Check, feature: str, view: View) -> tuple[Check, list[str]]:
    """The check with numbers for all its limits, and how one that was no number came."""
    if not calibration.is_calibrated(check):
        return check, []
    calibrations = model.track(view.plan, view.version).calibrations
    found = calibrations.get(alerts.key(check, view.version, feature, view.segment))
    return calibration.ruled(check, found), [calibration.said(found)]


def _calibrate(model: Model, check: Check, feature: str, view: View, reading: Reading) -> None:
    """Let the figure, once it is judged, have its part in the limit of later ones."""
    if not calibration.is_calibrated(check) or reading.value is None:
        return
    calibrations, window = model.track(view.plan, view.version).calibrations, view.plan.window
    key = alerts.key(check, view.version, feature, view.segment)
    found = calibrations.setdefault(key, Calibration())
    if calibration.add(found, reading.value, view.end_ms):
        overlap = -(-window.size_ms // window.step_ms) if window.step_ms else 1
        seed = int(identity(model.name, key, len(found.past)), 16)
        calibration.calibrate(found, check.method, view.end_ms, len(calibrations), overlap, seed)


def _levels(model: Model, check: Check, feature: str, views: dict[str, View]) -> dict[str, str]:
    return {
        segment: rules.level(
            _ruled(model, check, feature, view)[0], rules.read(check, feature, view), ""
        )
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


def step(
    check: Check,
    instance: Instance,
    window: Window,
    start: int,
    lasted: tuple[int, int, int],
    level: str,
    at: Position,
) -> alerts.Move | None:
    """Move the alert by one judged window; None where nobody need hear of it.

    `lasted` is the offset of the window's first record, then its beginning and end in ms.
    """
    first_offset, began_ms, end_ms = lasted
    if level in ("warn", "fail") and not instance.failing:
        instance.began_ms = began_ms
        instance.first_bad = f"events.v1/{at.partition}@{first_offset}"
    if level not in ("unknown", "learning"):
        instance.failing = level != "ok"
    counted = alerts.count(check, instance, start, level, window.size_ms or window.rows)
    sign = alerts.signal(check, instance, counted, began_ms, end_ms)
    severity = SEVERITIES.get(counted, instance.severity)
    fired = instance.condition == "firing"
    moved = alerts.move(instance, sign, severity)
    over = alerts.after_silence(instance, at.time_ms)
    moved = moved or over
    flapped = alerts.flap(instance, changed=fired != (instance.condition == "firing"))
    if flapped and (moved is not None or instance.seq > instance.seq_before):
        return alerts.Move(moved.previous if moved else instance.condition, flapped)
    return moved


def _alert(
    model: Model,
    check: Check,
    instance: Instance,
    view: View,
    reading: Reading,
    move: alerts.Move,
    closed: Closed,
    levels: dict[str, str],
    how: list[str],
    at: Position,
) -> AlertRecord:
    drifted = diagnose.ranked(view.drifts) or closed.drifted
    began_ms = instance.began_ms or view.began_ms
    context = diagnose.after_deploy(model.state.deploys, began_ms, view.version)
    context += _what_moved(check, instance.feature, view)
    context += diagnose.other_segments(instance.segment, levels)
    context += schema.told(schema_events.standing(model, view), diagnose.CAUSES_MAX)
    context += diagnose.serving(check.metric, view.metrics, view.instances)
    p99 = view.metrics.get(P99)
    context += diagnose.telling(view.inspection)
    context += diagnose.where_new(view.inspection.slice if view.inspection else closed.slice)
    context += diagnose.where_wrong(closed.errors)
    context += diagnose.as_given(check.metric, calibrated=view.calibrated)
    context += diagnose.lost(view.lost)
    context += diagnose.latency(view.series.get(P99, []), p99.value if p99 else None)
    context += how
    return alerts.record(
        model.name,
        check,
        instance,
        move,
        view.end_ms,
        at.time_ms,
        value=reading.value,
        reference=reading.reference,
        limit=rules.limit_value(check, instance.severity, reading),
        reference_span=_compared_with(check, view),
        window=view.span,
        rows=view.rows,
        labelled=view.labels,
        coverage=view.coverage if on_labels(check.metric) else None,
        causes=diagnose.causes(drifted, len(drifted)),
        context=context,
    )


def _what_moved(check: Check, feature: str, view: View) -> list[str]:
    """In plain numbers what the figure of a distance is the distance of."""
    if check.method in SERIES_METHODS and check.metric not in (P99, "score"):
        now = view.metrics.get(check.metric)
        past = anomaly.alike(check, rules.past(check, view))
        return diagnose.usual(check.metric, past, now.value if now else None)
    profile = view.profile
    if check.method not in WINDOW_METHODS or profile is None:
        return []
    if check.metric == "score":
        now = view.metrics.get("score.mean")
        return diagnose.moved_mean("score", profile.score, now.value if now else None)
    if check.metric == "prediction" and isinstance(profile.prediction, NumericProfile):
        now = view.metrics.get("prediction.mean")
        return diagnose.moved_mean("prediction", profile.prediction, now.value if now else None)
    words = view.words.get(feature, {})
    return diagnose.moved(feature, profile.column(feature), view.features.get(feature), words)


def _queue(plan: WindowPlan, track: Track, views: dict[str, View], start: int) -> None:
    for check in plan.checks:
        if not on_labels(check.metric):
            continue
        for segment in views:
            if applies(check, segment):
                track.queue.setdefault(keys.join(check.alert, segment), []).append(start)


def _remember(plan: WindowPlan, track: Track, views: dict[str, View]) -> None:
    """Keep the figures that anomaly checks compare the next windows with."""
    for segment, view in views.items():
        known = {name: one.value for name, one in view.metrics.items() if one.value is not None}
        for metric, most in past_kept(plan, segment, by_hour=False).items():
            if metric in known:
                past = track.series.setdefault(keys.join(segment, metric), [])
                anomaly.keep(past, known[metric], most)
        for metric, most in past_kept(plan, segment, by_hour=True).items():
            if metric in known:
                hours = track.hours.setdefault(keys.join(segment, metric), {})
                anomaly.keep_hour(hours, view.began_ms, known[metric], most)


def _label_views(
    model: Model, plan: WindowPlan, version: str, track: Track, closed: Closed, check: Check
) -> dict[str, View]:
    return {
        segment: closed_view(model, plan, version, track, closed, segment)
        for segment in closed.base
        if applies(check, segment)
    }


def _settle(
    model: Model, plan: WindowPlan, version: str, track: Track, at: Position
) -> list[Output]:
    """Judge label checks: each window once, in order, when its labels or its deadline have come."""
    outputs = []
    checks = {check.alert: check for check in plan.checks}
    for key, waiting in error_rows.first(plan, track.queue):
        alert, segment = keys.split(key)
        check = checks[alert]
        by_ms: int | None = None
        while waiting:
            closed = track.closed[waiting[0]]
            counts = windows.label_counts(plan, track, closed.start, key_of(model, segment))
            ready = _ready(check, counts)
            if not ready:
                by_ms = deadline_ms(model, plan, closed)
                if model.state.watermark.now_ms() < by_ms:
                    break
            outputs += error_rows.ask(model, plan, check, version, closed, at, covered=ready)
            if error_rows.waits(model, plan, version, closed):
                break
            waiting.pop(0)
            classes = _judged_classes(model, check, version)
            view = closed_view(model, plan, version, track, closed, segment, classes, by_ms)
            view.inspection = closed.errors if check.metric == ERRORS else None
            others = partial(_label_views, model, plan, version, track, closed, check)
            outputs += judge(model, check, {segment: view}, closed, at, others)
    return outputs


def _judged_classes(model: Model, check: Check, version: str) -> list[str]:
    """Classes that a check on every class has looked at before: none of them is forgotten in a
    window without a row of it.
    """
    if not of_every_class(check.metric):
        return []
    instances = model.state.instances.values()
    mine = [one for one in instances if (one.alert, one.version) == (check.alert, version)]
    return [one.feature.removeprefix("class.") for one in mine]


def _ready(check: Check, counts: tuple[int, int]) -> bool:
    """Whether a window has the labels that the check asks for."""
    predicted, labelled = counts
    coverage = labelled / predicted if predicted else 0.0
    return labelled >= check.need.labels and coverage >= coverage_needed(check)


def _inspected(model: Model, at: Position) -> list[Output]:
    """Judge the checks of inspectors: each window once, in order, when its answer has come."""
    outputs: list[Output] = []
    for waiting in inspections.due(model, at):
        plan = next(one for one in model.plan.windows if one.window.name == waiting.window)
        track = model.track(plan, waiting.version)
        view = closed_view(model, plan, waiting.version, track, waiting.closed, ALL)
        view.inspection = waiting.found
        inspections.keep_slice(track, waiting)
        for check in plan.checks:
            if (check.metric, check.method) == (waiting.metric, waiting.method):
                outputs += judge(model, check, {ALL: view}, waiting.closed, at)
    return outputs


def deadline_ms(model: Model, plan: WindowPlan, closed: Closed) -> int:
    """Watermark at which a window is judged with the labels it has."""
    end_ms = closed.end if plan.pane_ms else closed.to_ms + 1
    return end_ms + model.definition.model.label_wait_ms


def _compared_with(check: Check, view: View) -> str:
    """What an alert says it was compared with: windows before it, or the reference."""
    if check.method in SERIES_METHODS:
        by_hour = anomaly.by_hour(check.method)
        return "the same hour before" if by_hour else "the windows before"
    if check.metric == FIGURES:
        return "the windows before"
    return _span_of(view.profile) if view.profile else ""


def _span_of(profile: Profile) -> str:
    """ "50,000 rows of 2018-01-01…2018-10-30"."""
    first, last = (_day(time_ms) for time_ms in (profile.from_ms, profile.to_ms))
    days = first if first == last else f"{first}…{last}"
    return f"{profile.rows:,} rows of {days}"


def _day(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d")
