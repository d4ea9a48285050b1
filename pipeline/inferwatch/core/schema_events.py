"""Records of columns that came, went or changed their kind: at most one a window and version.

The shortest window of the definition shows them, of all rows together. A version that has learnt a
reference of its own is held against the one that served before it, once.
"""

from collections import Counter

from inferwatch.core import schema, schema_told
from inferwatch.core.model import Model, Position
from inferwatch.core.output import Output, schema_output
from inferwatch.core.plan import WindowPlan
from inferwatch.core.rules import View
from inferwatch.core.schema_told import Stretch, Told
from inferwatch.core.windows import ALL, Pane
from inferwatch.records.definition import Profile
from inferwatch.records.outputs import (
    FOLD_VERSION,
    ColumnChange,
    SchemaChange,
    SchemaRecord,
    identity,
)


def close(model: Model, plan: WindowPlan, view: View, pane: Pane, at: Position) -> list[Output]:
    """What a window that has just closed shows of the schema; `view` is of all its rows."""
    profile, told = view.profile, model.state.schemas.get(view.version)
    if plan is not model.plan.soonest or profile is None:
        return []
    found: list[tuple[str, list[ColumnChange]]] = []
    if told is None:
        told = model.state.schemas[view.version] = Told()
        other = _served_before(model, view.version)
        if other:
            found.append((other, _between(model, other, profile)))
    if view.span.start >= told.until:
        told.until = view.span.end
        cell = pane.cells[ALL]
        rows = Stretch(cell.rows, pane.from_ms, pane.to_ms, pane.first_offset)
        seen = schema.seen(cell, model.state.columns, profile)
        found.append(("", schema_told.follow(told, rows, seen, profile)))
    return [
        schema_output(_record(model, plan, view, pane, versus, changes, at))
        for versus, changes in found
        if changes
    ]


def standing(model: Model, view: View) -> dict[str, SchemaChange]:
    """What is not as in the reference by the end of a window: as it shows itself, and of what was
    told what is not over. A longer one shows a column that goes only when all its rows lack it.
    """
    told = model.state.schemas.get(view.version)
    if told is None or view.profile is None:
        return dict(view.schema)
    found = schema_told.standing(told, view.profile, view.end_ms)
    return dict(sorted({**found, **view.schema}.items()))


def _served_before(model: Model, version: str) -> str:
    """Of the versions that came earlier and learnt a reference the one that served last."""
    if model.definition.reference.profile is not None:
        return ""
    state, known = model.state, list(model.state.rows)
    earlier = [
        name
        for name in reversed(known[: known.index(version)])
        if name in state.seen and name in state.learnt and state.learnt[name].profile is not None
    ]
    return max(earlier, key=lambda name: state.seen[name], default="")


def _between(model: Model, other: str, mine: Profile) -> list[ColumnChange]:
    theirs = model.state.learnt[other].profile
    assert theirs is not None
    return schema_told.between(model.state.schemas.get(other, Told()), theirs, mine)


def _record(
    model: Model,
    plan: WindowPlan,
    view: View,
    pane: Pane,
    versus: str,
    changes: list[ColumnChange],
    at: Position,
) -> SchemaRecord:
    place = ("schema", plan.digest, FOLD_VERSION, model.name, view.version, view.span.start, versus)
    return SchemaRecord(
        id=identity(*place),
        model=model.name,
        version=view.version,
        versus=versus,
        window=view.span,
        from_ms=pane.from_ms,
        to_ms=pane.to_ms,
        reference=model.compared_with(view.version),
        counts=dict(Counter(one.change for one in changes)),
        changes=changes,
        first_offset=pane.first_offset,
        last_offset=pane.last_offset,
        partition=at.partition,
    )
