"""Versions that answer no more: their alerts end, and then all that was kept of them is forgotten.

Time is the watermark that rows of the model's other versions have reached, so a model that falls
silent retires nothing. An hour after a rollback the version that was left has no alerts any more;
any version is forgotten when it has had no row for a week and no label can come. What stays is the
number of its rows and of its alerts' transitions: neither is ever given twice.
"""

from inferwatch.core import alerts, operators
from inferwatch.core.model import Model, Position
from inferwatch.core.output import Output
from inferwatch.core.watermark import NEVER

ROLLED_BACK_MS = 3_600_000
FORGOTTEN_MS = 604_800_000


def none_before_ms(model: Model) -> int:
    """A watermark before which no version is due; NEVER for a model without one.

    Kept in the model between batches, for rows only put a version off. What else bears on it
    forgets it: a version that is new or back, a deploy, another definition, a retirement.
    """
    if model.due_ms is None:
        model.due_ms = min((_due_ms(model, one) for one in model.state.seen), default=NEVER)
    return model.due_ms


def next_ms(model: Model, version: str) -> int:
    """The watermark at which a version other than `version` is due; NEVER for none.

    Called where `none_before_ms` is reached, which it brings up to date.
    """
    model.due_ms = None
    none_before_ms(model)
    others = [other for other in model.state.seen if other != version]
    return min((_due_ms(model, other) for other in others), default=NEVER)


def check(model: Model, at: Position) -> list[Output]:
    """End the alerts of versions that are due; forget those whose time is over."""
    state, outputs = model.state, []
    for version in list(state.seen) if len(state.seen) > 1 else []:
        due_ms = _due_ms(model, version)
        if due_ms > state.watermark.event_ms:
            continue
        outputs += _end(model, version, due_ms, at)
        if due_ms == _forgotten_ms(model, version):
            model.retire(version)
        else:
            state.retired.append(version)
    model.due_ms = None
    return outputs


def _due_ms(model: Model, version: str) -> int:
    forgotten_ms = _forgotten_ms(model, version)
    deploys = model.state.deploys
    left = bool(deploys) and deploys[-1].kind == "rollback" and deploys[-1].version != version
    if not left or version in model.state.retired:
        return forgotten_ms
    return min(forgotten_ms, model.state.seen[version] + ROLLED_BACK_MS)


def _forgotten_ms(model: Model, version: str) -> int:
    after_ms = max(FORGOTTEN_MS, model.definition.model.label_horizon_ms)
    return model.state.seen[version] + after_ms


def _end(model: Model, version: str, at_ms: int, at: Position) -> list[Output]:
    checks = {check.alert: check for check in model.definition.checks}
    outputs = []
    for key, instance in list(model.state.instances.items()):
        if instance.version == version:
            rule = checks.get(instance.alert)
            outputs += operators.end(model, rule, instance, "version_retired", at_ms, at)
            alerts.begin_anew(model.state.instances, key)
    return outputs
