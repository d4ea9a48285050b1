"""A model that sends nothing: `absent` checks, and what its silence does to its other alerts.

Silence is measured in record time since the last inference row, because a silent model has no event
time, and only a tick proves it. Every other alert of the model turns to `no_data`: not fine, and
not resolved.
"""

from inferwatch.core import alerts
from inferwatch.core.judge import instance_of
from inferwatch.core.model import Model, Position
from inferwatch.core.output import Output, alert_output
from inferwatch.records.definition import Check
from inferwatch.records.outputs import Severity

VERSIONS = ""


def check(model: Model, at: Position) -> list[Output]:
    """Fire `absent` checks whose time has passed, end those of models that speak again."""
    outputs: list[Output] = []
    if model.state.row_ms < 0:
        return outputs
    for rule in model.plan.absent_checks:
        silent_ms = at.time_ms - model.state.row_ms
        instance = instance_of(model, rule, VERSIONS, "", "")
        silent = silent_ms >= rule.for_ms
        if not silent and instance.condition != "firing":
            continue
        severity: Severity = "critical" if rule.fail is not None or rule.warn is None else "warning"
        sign: alerts.Signal = "held" if silent else "ok"
        moved = alerts.move(instance, sign, severity)
        over = alerts.after_silence(instance, at.time_ms)
        moved = moved or over
        if moved is None:
            continue
        instance.began_ms = model.state.row_ms if silent else instance.began_ms
        record = alerts.record(
            model.name,
            rule,
            instance,
            moved,
            at.time_ms,
            at.time_ms,
            value=silent_ms / 1000,
            limit=rule.for_ms / 1000,
        )
        outputs.append(alert_output(record))
        if silent:
            outputs += _others(model, rule, at)
    return outputs


def _others(model: Model, rule: Check, at: Position) -> list[Output]:
    outputs = []
    checks = {check.alert: check for check in model.definition.checks}
    for instance in model.state.instances.values():
        check = checks.get(instance.alert)
        if check is None or check.method == "absent":
            continue
        moved = alerts.move(instance, "silent", instance.severity)
        if moved is not None:
            record = alerts.record(model.name, check, instance, moved, at.time_ms, at.time_ms)
            outputs.append(alert_output(record))
    return outputs


def deadlines(model: Model) -> list[int]:
    """Record times at which a check will fire if no row comes, or its silence is over."""
    if model.state.row_ms < 0:
        return []
    found = []
    for rule in model.plan.absent_checks:
        instance = model.state.instances.get(alerts.key(rule, VERSIONS, "", ""))
        if instance is None or instance.condition != "firing":
            found.append(model.state.row_ms + rule.for_ms)
        elif instance.silenced_until_ms is not None:
            found.append(instance.silenced_until_ms)
    return found
