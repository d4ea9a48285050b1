"""Checks that read every row: detectors of a change in errors, score, latency or features.

A detection fires at once and stays for `keep_firing_for` (an hour where the check names none) after
the last one, by the event time of rows: a model that falls silent proves nothing, so ticks end no
detection. A level that fell on errors is told as information, not as a problem.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import alerts, diagnose
from inferwatch.core.alerts import Instance
from inferwatch.core.columns import OTHER, Block
from inferwatch.core.drift import ROW_METHODS, Detector
from inferwatch.core.drift.bank import BANKED, Bank
from inferwatch.core.drift.finding import Finding
from inferwatch.core.drift.row_anomaly import Column, RowAnomaly
from inferwatch.core.drift.scale import ERRORS, LATENCIES, Scale
from inferwatch.core.joined import Joined
from inferwatch.core.judge import instance_of
from inferwatch.core.model import Model, Position
from inferwatch.core.output import Output, alert_output
from inferwatch.records.definition import CategoryProfile, Check, NumericProfile, Profile
from inferwatch.records.outputs import Severity
from inferwatch.records.rows import Codes

QUIET_AFTER_MS = 3_600_000
CLASS_STREAMS_MAX = 20
SPANS = {"hst": "the share of rows that stood alone before"}
"""What the figure beside a finding's is, where it is no level."""


def rows(model: Model, block: Block, after_ms: NDArray[np.int64], at: Position) -> list[Output]:
    """Feed the scores and numeric features of a block to the checks that read them.

    `after_ms` is the rows' watermark after each row. What is found is told in the order of rows,
    or which rows came in one block would show.
    """
    findings = [
        (check, feature, finding)
        for check in model.plan.row_checks
        for feature, found in _found(model, check, block)
        for finding in found
    ]
    outputs = []
    for check, feature, finding in sorted(findings, key=lambda one: one[2].row):
        outputs += _tell(model, check, block, feature, finding, after_ms, at)
    return outputs


def errors(model: Model, joined: Joined, at: Position) -> list[Output]:
    """Feed what labels said about predictions, 1 for wrong and 0 for right, in order of arrival.

    Each true class is a stream of its own: labels of one class may come later than those of
    another, and a changed mix of the two is no change of errors. Classes beyond the first 20 share
    one stream. What all streams of a check find is one alert.
    """
    outputs: list[Output] = []
    if joined.sign < 0 or model.state.columns.task in ("regression", "ranking"):
        return outputs
    known = (joined.label >= 0) & (joined.predicted >= 0)
    truth, wrong = joined.label[known], (joined.label != joined.predicted)[known]
    times, after_ms = joined.time_ms[known], model.state.watermark.event_ms
    for check in model.plan.row_checks:
        if check.metric != "error":
            continue
        for finding, word in _errors_found(model, check, joined.version, truth, wrong):
            instance = instance_of(model, check, joined.version, "", "")
            outputs += _end(model, check, instance, after_ms, at)
            event_ms = int(times[finding.row])
            outputs += _fire(model, check, instance, finding, event_ms, after_ms, at, word)
    return outputs


def _errors_found(
    model: Model, check: Check, version: str, truth: Codes, wrong: NDArray[np.bool_]
) -> list[tuple[Finding, str]]:
    """What the check's detectors find, each with its true class, in the order of rows."""
    found = []
    streams = np.minimum(truth, CLASS_STREAMS_MAX)
    for code in np.unique(streams).tolist():
        rows = np.flatnonzero(streams == code)
        word = model.state.columns.classes[code] if code < CLASS_STREAMS_MAX else OTHER
        for finding in _feed(model, check, version, word, wrong[rows].astype(np.float64)):
            found.append((msgspec.structs.replace(finding, row=int(rows[finding.row])), word))
    return sorted(found, key=lambda item: item[0].row)


def _found(model: Model, check: Check, block: Block) -> list[tuple[str, list[Finding]]]:
    """What the check's detectors find in a block, by feature."""
    if check.method in BANKED and check.metric.startswith("feature."):
        names, bank = model.state.columns.numeric, _bank(model, check, block.version)
        return [(names[column], found) for column, found in bank.update(block.numeric)]
    return [
        (feature, _feed(model, check, block.version, feature, values))
        for feature, values in _streams(model, check, block)
    ]


def _streams(model: Model, check: Check, block: Block) -> list[tuple[str, NDArray[np.floating]]]:
    answers = {"score": block.score, "prediction": block.value, "latency": block.latency_ms}
    if check.metric in answers:
        return [("", answers[check.metric])]
    if check.metric == "features":
        return [("", block.numeric.T)]
    if not check.metric.startswith("feature."):
        return []
    wanted = check.metric.removeprefix("feature.")
    return [
        (name, block.numeric[at])
        for at, name in enumerate(model.state.columns.numeric)
        if wanted in ("*", name)
    ]


def _bank(model: Model, check: Check, version: str) -> Bank:
    """The detectors of a check on features: made anew when features or a reference appear."""
    names, key = model.state.columns.numeric, (check.alert, version)
    bank = model.banks.get(key)
    if bank is None or bank.width != len(names):
        wanted = check.metric.removeprefix("feature.")
        found = {
            at: _detector(model, check, version, name)
            for at, name in enumerate(names)
            if wanted in ("*", name)
        }
        bank = model.banks[key] = Bank(found, len(names))
    return bank


def _feed(
    model: Model, check: Check, version: str, feature: str, values: NDArray[np.floating]
) -> list[Finding]:
    detector = _detector(model, check, version, feature)
    if detector is None:
        return []
    if isinstance(detector, RowAnomaly):
        values = _picked(model, detector.columns, values)
    return detector.update_many(values)


def _detector(model: Model, check: Check, version: str, feature: str) -> Detector | None:
    """The detector of one stream, made when it is first asked for; None before a reference."""
    key = alerts.key(check, version, feature, "")
    detector = model.detectors.get(key)
    if detector is None:
        detector = _make(model, check, version, feature)
        if detector is not None:
            model.detectors[key] = detector
    return detector


def _tell(
    model: Model,
    check: Check,
    block: Block,
    feature: str,
    finding: Finding,
    after_ms: NDArray[np.int64],
    at: Position,
) -> list[Output]:
    """What a detection of one stream says: the one before ends, and it fires."""
    instance = instance_of(model, check, block.version, feature, "")
    row = finding.row
    event_ms, reached_ms = int(block.time_ms[row]), int(after_ms[row])
    outputs = _end(model, check, instance, reached_ms, at)
    here = msgspec.structs.replace(at, offset=int(block.offset[row]))
    return outputs + _fire(model, check, instance, finding, event_ms, reached_ms, here)


def _picked(
    model: Model, columns: Sequence[Column], rows: NDArray[np.floating]
) -> NDArray[np.floating]:
    """The detector's columns of rows float[n, F] of the model's; one that is not there is NaN."""
    places = {name: at for at, name in enumerate(model.state.columns.numeric)}
    missing = np.full(len(rows), np.nan, np.float32)
    found = [rows[:, places[one.name]] if one.name in places else missing for one in columns]
    return np.stack(found, axis=1)


def _make(model: Model, check: Check, version: str, feature: str) -> Detector | None:
    """A detector scaled by the reference; None while that is being learnt."""
    method = ROW_METHODS[check.method]
    params = method.PARAMS | check.params
    profile = model.reference(version).profile
    if isinstance(method, type) and issubclass(method, RowAnomaly):
        return None if profile is None else RowAnomaly.of(profile.numeric, params)
    scale = {"error": ERRORS, "latency": LATENCIES}.get(check.metric)
    if scale is None:
        column = None if profile is None else _column(profile, check.metric, feature)
        if not isinstance(column, NumericProfile):
            return None
        scale = Scale(column.low, column.high, column.mean, column.sd)
    return method.make(scale, params)


def _column(profile: Profile, metric: str, feature: str) -> NumericProfile | CategoryProfile | None:
    if feature:
        return profile.numeric.get(feature)
    return profile.prediction if metric == "prediction" else profile.score


def _fire(
    model: Model,
    check: Check,
    instance: Instance,
    finding: Finding,
    event_ms: int,
    after_ms: int,
    at: Position,
    true_class: str = "",
) -> list[Output]:
    severity: Severity = "critical" if check.fail is not None else "warning"
    if check.metric == "error" and finding.direction == "down":
        if instance.firing_severity() == severity and instance.true_class != true_class:
            return []  # what got better is not what fires
        severity = "info"
    instance.until_ms = after_ms + (check.keep_firing_for_ms or QUIET_AFTER_MS)
    moved = alerts.move(instance, "held", severity)
    if moved is None:
        return []
    instance.began_ms, instance.true_class = event_ms, true_class
    instance.first_bad = f"events.v1/{at.partition}@{at.offset}"
    profile = model.reference(instance.version).profile
    causes = [] if profile is None else [f"went {finding.direction}"]
    if true_class:
        causes = [f"went {finding.direction} where the truth is {true_class}"]
    record = alerts.record(
        model.name,
        check,
        instance,
        moved,
        event_ms,
        at.time_ms,
        value=finding.after,
        reference=finding.before,
        reference_span=SPANS.get(check.method, "the level before the change"),
        context=diagnose.after_deploy(model.state.deploys, event_ms, instance.version),
        causes=causes,
    )
    return [alert_output(record)]


def quiet(model: Model, at: Position) -> list[Output]:
    """End the detections whose time is over."""
    outputs = []
    event_ms = model.state.watermark.event_ms
    checks = {check.alert: check for check in model.plan.row_checks}
    for instance in model.state.instances.values():
        check = checks.get(instance.alert)
        if check is not None:
            outputs += _end(model, check, instance, event_ms, at)
    return outputs


def deadlines(model: Model) -> list[int]:
    """Watermarks at which `quiet` may end what stands by now, or could come to stand."""
    state, checks = model.state, model.plan.row_checks
    lasts_ms = [check.keep_firing_for_ms or QUIET_AFTER_MS for check in checks]
    alerts_ = {check.alert for check in checks}
    until = [one.until_ms for one in state.instances.values() if one.alert in alerts_]
    found = [time_ms for time_ms in until if time_ms is not None]
    return found + [state.watermark.event_ms + last_ms for last_ms in lasts_ms]


def silences(model: Model) -> list[int]:
    """Record times at which the silences of alerts are over."""
    until = [one.silenced_until_ms for one in model.state.instances.values()]
    return [time_ms for time_ms in until if time_ms is not None]


def _end(
    model: Model, check: Check, instance: Instance, event_ms: int, at: Position
) -> list[Output]:
    """End what is over when rows have come as far as `event_ms`: a silence, which is told where the
    detection still stands, and the detection.
    """
    until_ms, outputs = instance.until_ms, _end_silence(model, check, instance, at)
    if until_ms is None or event_ms < until_ms:
        return outputs
    moved = alerts.move(instance, "ok", instance.severity, reason="quiet")
    instance.until_ms = None
    if moved is not None:
        record = alerts.record(model.name, check, instance, moved, until_ms, at.time_ms)
        outputs.append(alert_output(record))
    return outputs


def _end_silence(model: Model, check: Check, instance: Instance, at: Position) -> list[Output]:
    """End a silence that is over, and say so where the detection still stands."""
    over_ms, moved = instance.silenced_until_ms, alerts.after_silence(instance, at.time_ms)
    if moved is None or over_ms is None:
        return []
    return [alert_output(alerts.record(model.name, check, instance, moved, over_ms, at.time_ms))]
