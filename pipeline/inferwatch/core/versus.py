"""Checks that compare a version with another one, served beside it or before it.

A window joins the comparison when both versions' figures for it are known, and then the whole
comparison is judged: past a limit is what lies beyond it with its interval (`sequential`), so
looking at every window costs no false alarms; what was sure once ends with the difference itself.
What is told names both versions and what to go back to.
"""

from collections.abc import Mapping
from typing import Any

from inferwatch.core import alerts, diagnose, duel, rules
from inferwatch.core.alerts import Instance, alert_of, version_of
from inferwatch.core.duel import Side
from inferwatch.core.judge import instance_of, step
from inferwatch.core.metrics import on_labels
from inferwatch.core.model import Model, Position
from inferwatch.core.output import Output, alert_output
from inferwatch.core.plan import WindowPlan
from inferwatch.core.rules import Reading
from inferwatch.core.sequential import Difference
from inferwatch.core.windows import ALL
from inferwatch.records import keys
from inferwatch.records.definition import PREVIOUS, Check
from inferwatch.records.outputs import Span, Versus

NONE_BEFORE = "no version served before it"


def close(model: Model, at: Position) -> list[Output]:
    """Pair and judge the windows whose figures have come."""
    if not model.noted:
        return []
    model.noted = False
    outputs: list[Output] = []
    for plan, check in model.plan.versus:
        sides = _sides(model, check)
        for version in sides:
            if version != check.versus and version not in model.state.retired:
                outputs += _compare(model, plan, check, version, sides, at)
        after_ms = model.definition.model.label_wait_ms if on_labels(check.metric) else 0
        last = model.state.watermark.now_ms() - plan.window.size_ms - after_ms
        duel.forget(sides.values(), last)
    return outputs


def _sides(model: Model, check: Check) -> dict[str, Side]:
    """By version, in the order in which they came."""
    return {
        version_of(key): side
        for key, side in model.state.duels.items()
        if alert_of(key) == check.alert
    }


def _compare(
    model: Model,
    plan: WindowPlan,
    check: Check,
    version: str,
    sides: Mapping[str, Side],
    at: Position,
) -> list[Output]:
    outputs, side = [], sides[version]
    for start in duel.unpaired(side):
        others = _others(model, check, version, side)
        if any(_waits(model, plan, check, other, start) for other in others):
            break
        if side.other is None:
            name = _previous(others, sides, start) if check.versus == PREVIOUS else check.versus
            duel.begin(side, start, name, sides.get(name))
        duel.pair(side, start, sides.get(side.other or ""))
        outputs += _judge(model, plan, check, version, side, start, at)
    return outputs


def _others(model: Model, check: Check, version: str, side: Side) -> list[str]:
    """The one that the version is compared with, or, until that is known, all that came before."""
    if check.versus != PREVIOUS:
        return [check.versus]
    if side.other is not None:
        return [side.other]
    known = list(model.state.rows)
    return known[: known.index(version)]


def _waits(model: Model, plan: WindowPlan, check: Check, version: str, start: int) -> bool:
    """Whether the figures of a version up to a window are still to come."""
    track = model.state.tracks.get(plan.window.name, {}).get(version)
    waiting = track.queue.get(keys.join(check.alert, ALL), []) if track is not None else []
    return bool(waiting) and waiting[0] <= start


def _previous(earlier: list[str], sides: Mapping[str, Side], start: int) -> str:
    """Of the versions that came earlier the one that served last, the most rows of several."""
    served = [name for name in earlier if name in sides]
    return max(served, key=lambda name: duel.newest(sides[name], start), default="")


def _judge(
    model: Model,
    plan: WindowPlan,
    check: Check,
    version: str,
    side: Side,
    start: int,
    at: Position,
) -> list[Output]:
    found, round_ = duel.difference(side), side.rounds[start]
    instance = instance_of(model, check, version, "", ALL)
    never = instance.judged_ms is None or bool(instance.blind)
    span = Span(name=plan.window.name, start=start, end=start + plan.window.size_ms)
    instance.judged_ms = span.end
    why = (NONE_BEFORE if side.other == "" else "") or round_.unknown or found.unknown
    reading = Reading(None if why else found.mine, found.theirs, why, unsure=found.half)
    level = rules.level(check, reading, instance.firing_severity())
    if never:
        instance.blind = rules.blind(level, reading)
    lasted = round_.first_offset, start, span.end
    move = step(check, instance, plan.window, start, lasted, level, at)
    if move is None:
        return []
    began_ms = instance.began_ms or start
    record = alerts.record(
        model.name,
        check,
        instance,
        move,
        span.end,
        at.time_ms,
        window=span,
        context=diagnose.since_deploy(model.state.deploys, began_ms, version),
        **({} if why else _measured(model, check, instance, side.other or "", found, reading)),
    )
    return [alert_output(record)]


def _measured(
    model: Model,
    check: Check,
    instance: Instance,
    other: str,
    found: Difference,
    reading: Reading,
) -> dict[str, Any]:
    """What an alert's record says of the comparison, where there is one."""
    gap = found.mine - found.theirs
    live = [one for one in model.state.deploys if one.version == other]
    served = f"in {found.windows} windows of both" if found.windows else "in the week before"
    return {
        "value": found.mine,
        "reference": found.theirs,
        "limit": rules.limit_value(check, instance.severity, reading),
        "reference_span": f"v{other} {served}",
        "rows": found.rows,
        "labelled": found.rows if on_labels(check.metric) else 0,
        "versus": Versus(
            version=other,
            low=gap - found.half,
            high=gap + found.half,
            windows=found.windows,
            deployed_ms=live[-1].time_ms if live else None,
            note=live[-1].note if live else "",
        ),
    }
