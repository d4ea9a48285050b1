"""Records that people and files write: deploys, verdicts on alerts, changed definitions."""

from inferwatch.core import alerts
from inferwatch.core.alerts import Instance
from inferwatch.core.model import DEPLOYS_MAX, Model, Position
from inferwatch.core.output import Output, alert_output
from inferwatch.core.reference import ACCEPTED_ROWS_MIN
from inferwatch.records import keys
from inferwatch.records.definition import Check, Definition
from inferwatch.records.events import Deploy, MonitorChange, ReferenceChange, Verdict
from inferwatch.records.outputs import alert_fingerprint

UNSCALED = ("error", "latency")
"""Streams whose detectors no reference scales."""


def apply(
    model: Model, record: Deploy | Verdict | ReferenceChange | MonitorChange, at: Position
) -> list[Output]:
    """Take the record in; gives the transitions that follow at once."""
    if isinstance(record, Deploy):
        model.state.deploys = [*model.state.deploys, record][-DEPLOYS_MAX:]
        model.due_ms = None
        return []
    if isinstance(record, Verdict):
        return _verdict(model, record, at)
    if isinstance(record, ReferenceChange):
        _refer(model, record)
        return []
    if record.definition.digest() == model.definition.digest():
        return []
    outputs = _end_changed(model, record.definition, at)
    _drop_learnt(model, record.definition)
    model.redefine(record.definition)
    return outputs


def _verdict(model: Model, verdict: Verdict, at: Position) -> list[Output]:
    checks = {check.alert: check for check in model.definition.checks}
    for instance in model.state.instances.values():
        named = alert_fingerprint(
            instance.alert, model.name, instance.version, instance.feature, instance.segment
        )
        if named != verdict.fingerprint or instance.alert not in checks:
            continue
        if verdict.verdict == "ack":
            instance.acknowledged = True
        elif verdict.verdict == "silence":
            instance.silenced_until_ms = verdict.until_ms or 1 << 62
        elif verdict.verdict == "unsilence":
            instance.silenced_until_ms = None
        moved = alerts.Move(instance.condition, verdict.verdict)
        check = checks[instance.alert]
        record = alerts.record(model.name, check, instance, moved, at.time_ms, at.time_ms)
        return [alert_output(record)]
    return []


def _refer(model: Model, change: ReferenceChange) -> None:
    """Accept or reset what versions have learnt; a profile is not learnt, so there it does nothing.

    The same word again, as a sender that was not answered may say it, changes nothing.
    """
    if model.definition.reference.profile is not None:
        return
    versions = list(model.state.learnt) if change.version is None else [change.version]
    for version in versions:
        learnt = model.state.learnt.get(version)
        if learnt is None or learnt.change == change:
            continue
        if change.action == "reset":
            model.forget(version, change)
            _drop_scaled(model, version)
        elif learnt.learning is None:
            learnt.change, learnt.vectors = change, None
            model.state.recent.pop(version, None)
        elif learnt.learning.rows >= ACCEPTED_ROWS_MIN:
            model.freeze(version, change)


def _drop_scaled(model: Model, version: str) -> None:
    """Forget the detectors that the reference of `version` has scaled."""
    metrics = {check.alert: check.metric for check in model.definition.checks}
    for key in list(model.detectors):
        alert, of, *_ = keys.split(key)
        if of == version and metrics.get(alert) not in UNSCALED:
            del model.detectors[key]


def _end_changed(model: Model, definition: Definition, at: Position) -> list[Output]:
    """Alerts of checks that are gone or changed end, with the reason; nothing goes silently."""
    before = {check.alert: check for check in model.definition.checks}
    after = {check.alert: check for check in definition.checks}
    outputs = []
    for key, instance in list(model.state.instances.items()):
        old, new = before.get(instance.alert), after.get(instance.alert)
        if old is not None and old == new:
            continue
        reason = "check_changed" if new else "check_removed"
        outputs += end(model, old, instance, reason, at.time_ms, at)
        alerts.begin_anew(model.state.instances, key)
    return outputs


def _drop_learnt(model: Model, definition: Definition) -> None:
    """Forget what was learnt for another statistic, or scaled by another reference."""
    before, after = (
        {check.alert: check.statistic_digest() for check in found.checks}
        for found in (model.definition, definition)
    )
    scaled_anew = definition.reference != model.definition.reference
    metrics = {check.alert: check.metric for check in definition.checks}
    for key in list(model.detectors):
        alert = alerts.alert_of(key)
        rescaled = scaled_anew and metrics.get(alert) not in UNSCALED
        if before.get(alert) != after.get(alert) or rescaled:
            del model.detectors[key]
    for tracks in model.state.tracks.values():
        for track in tracks.values():
            for key in list(track.calibrations):
                if before.get(alerts.alert_of(key)) != after.get(alerts.alert_of(key)):
                    del track.calibrations[key]


def end(
    model: Model, check: Check | None, instance: Instance, reason: str, at_ms: int, at: Position
) -> list[Output]:
    """The last transition of an alert that can speak no more."""
    moved = alerts.move(instance, "ended", instance.severity, reason=reason)
    if check is None or moved is None:
        return []
    return [alert_output(alerts.record(model.name, check, instance, moved, at_ms, at.time_ms))]
