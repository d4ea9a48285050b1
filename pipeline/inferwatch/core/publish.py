"""The records of closed windows, and of those whose label figures changed since."""

from collections.abc import Mapping
from typing import Any

import msgspec

from inferwatch.core import calibration, figures, schema, windows
from inferwatch.core.model import Model, Position
from inferwatch.core.output import Output, window_output
from inferwatch.core.plan import WindowPlan
from inferwatch.core.rules import View
from inferwatch.core.views import closed_view
from inferwatch.core.windows import ALL, Closed, Pane, Track
from inferwatch.records import keys
from inferwatch.records.outputs import FOLD_VERSION, WindowRecord, identity


def record(
    model: Model,
    plan: WindowPlan,
    track: Track,
    pane: Pane,
    view: View,
    at: Position,
    held: Mapping[str, list[str]] | None = None,
) -> WindowRecord:
    """The record of a window that has just closed: revision 0.

    :param held: its segments that are not published, by column; the record of all rows counts them.
    """
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
        lost={} if view.segment else dict(view.lost),
        reference=None if view.segment else model.compared_with(view.version),
        limits=_limits(plan, track, view.segment),
        features=dict(view.features),
        schema_changes=schema.named(view.schema),
        withheld={} if view.segment else {name: len(of) for name, of in (held or {}).items()},
        instances=dict(view.instances),
        calibrated=view.calibrated,
        first_offset=pane.first_offset,
        last_offset=pane.last_offset,
        partition=at.partition,
        **_figures_of(view, model.join.sampled()),
    )


def _limits(plan: WindowPlan, track: Track, segment: str) -> dict[str, float]:
    """The limits that checks have found by themselves, by "alert feature"."""
    methods = {check.alert: check.method for check in plan.checks}
    found = {}
    for key, one in track.calibrations.items():
        alert, _, feature, of = keys.split(key)
        if of == segment and one.limit is not None and alert in methods:
            found[f"{alert} {feature}".strip()] = calibration.number(methods[alert], one)
    return found


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


def restate(
    model: Model, plan: WindowPlan, version: str, track: Track, at: Position
) -> list[Output]:
    """Publish label figures again where labels came: at most once in `restate_every`, at once when
    covered.
    """
    outputs = []
    for start in sorted(track.restating):
        closed = track.closed[start]
        if _restatement_due(model, plan, track, closed, at):
            del track.restating[start]
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
    predicted, labelled = windows.label_counts(plan, track, closed.start, ALL)
    coverage = labelled / predicted if predicted else 0.0
    if coverage >= 1.0 > before or coverage >= plan.coverage > before:
        return True
    return at.time_ms - closed.published_ms >= model.definition.model.restate_every_ms


def _restated(
    model: Model, plan: WindowPlan, version: str, track: Track, closed: Closed, segment: str
) -> WindowRecord:
    view = closed_view(model, plan, version, track, closed, segment)
    restated = msgspec.structs.replace(
        closed.base[segment],
        id=_window_id(model, plan, version, segment, closed.start, closed.revision),
        revision=closed.revision,
        late=0,
        **_figures_of(view, model.join.sampled()),
    )
    closed.base[segment] = restated
    return restated
