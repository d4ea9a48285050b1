"""What was told of a version's columns, and what one more window adds.

Each kind of a column's values (`schema`) is here or not. That it came is told by the window of its
first value; that it went once a stretch of rows without one is no accident: by its gaps in the
reference or, where that lacks it, by those since it came. Rows are counted over windows. A kind
that came back is taken for gone again within a day only behind a stretch twice as long, so one that
flaps is told twice a day, as a rule. State: 100 bytes for each kind that is not as in the reference
or had no value lately.
"""

from collections.abc import Sequence

import msgspec

from inferwatch.core import schema
from inferwatch.core.schema import Seen
from inferwatch.core.watermark import UNSET
from inferwatch.records.definition import Profile
from inferwatch.records.outputs import Change, ColumnChange, SchemaChange

STEADY_MS = 86_400_000


class Kind(msgspec.Struct, array_like=True):
    """One kind of values of one column, `here` as was told.

    `blank` are the rows since its last value, in windows of which the first began at `since_ms`
    with the record at `first_offset`; `gap` is the stretch that it came back from last, at
    `back_ms`. Of the rows since it is kept, which of one that the reference lacks is since it came,
    `missing` of `rows` in windows with a value had none.
    """

    here: bool
    blank: int = 0
    since_ms: int = UNSET
    first_offset: int = -1
    gap: int = 0
    back_ms: int = UNSET
    rows: int = 0
    missing: int = 0


class Told(msgspec.Struct):
    """Of one version: `until` is the end of the last window that was looked at."""

    until: int = UNSET
    columns: dict[str, dict[str, Kind]] = {}


class Stretch(msgspec.Struct, frozen=True):
    """The rows of a window, and where they begin."""

    rows: int
    from_ms: int
    to_ms: int
    first_offset: int


def follow(told: Told, rows: Stretch, seen: Seen, profile: Profile) -> list[ColumnChange]:
    """What a window, which begins behind those before, changes, by name.

    Cost: 0.3 µs a column, 3 µs one that is not as usual.
    """
    known, found = schema.known(profile), []
    for name in dict.fromkeys([*known, *seen, *told.columns]):
        usual, values = known.get(name, ()), seen.get(name, {})
        if name not in told.columns and tuple(values) == usual:
            continue
        kinds = told.columns.setdefault(name, {})
        for kind in (*usual, *values):
            kinds.setdefault(kind, Kind(here=kind in usual))
        before = _here(kinds)
        for kind, one in kinds.items():
            _take(one, values.get(kind, 0), rows)
            if one.here and one.blank:
                own = one.missing, one.rows
                gaps = schema.gaps(profile, name, kind) if kind in usual else own
                one.here = not _is_gone(one, rows, gaps)
        now = _here(kinds)
        if now != before:
            moved = [one for kind, one in kinds.items() if (kind in before) != (kind in now)]
            since = min((one.since_ms, one.first_offset) for one in moved)
            found.append(_change(name, before, now, sorted(usual), *since))
        for kind in [kind for kind, one in kinds.items() if _is_usual(one, rows, kind in usual)]:
            del kinds[kind]
        if not kinds:
            del told.columns[name]
    return sorted(found, key=lambda change: change.column)


def _here(kinds: dict[str, Kind]) -> list[str]:
    return sorted(kind for kind, one in kinds.items() if one.here)


def _take(one: Kind, values: int, rows: Stretch) -> None:
    """Count a window; a value of a kind that was not here brings it back."""
    turns = not one.here if values else not one.blank
    if turns:
        one.since_ms, one.first_offset = rows.from_ms, rows.first_offset
    if not values:
        one.blank += rows.rows
        return
    if turns:
        one.gap, one.back_ms = one.blank, rows.to_ms
    one.here, one.blank = True, 0
    one.rows, one.missing = one.rows + rows.rows, one.missing + rows.rows - values


def _is_gone(one: Kind, rows: Stretch, gaps: tuple[int, int]) -> bool:
    """Whether a kind that was here is not any more, by the stretch since its last value."""
    gap = one.gap if rows.to_ms - one.back_ms < STEADY_MS else 0
    return one.blank >= 2 * gap and schema.is_told(one.blank, *gaps)


def _is_usual(one: Kind, rows: Stretch, usual: bool) -> bool:
    """Whether nothing need be remembered of it."""
    if one.here != usual or (usual and one.blank):
        return False
    return rows.to_ms - (one.back_ms if usual else one.since_ms) >= STEADY_MS


def _change(
    name: str, before: list[str], now: list[str], usual: Sequence[str], since_ms: int, offset: int
) -> ColumnChange:
    change: Change = "retyped" if before else "new"
    if not now:
        change = "gone"
    elif now == usual:
        change = "back"
    return ColumnChange(
        column=name, change=change, before=before, now=now, since_ms=since_ms, first_offset=offset
    )


def _whole(told: Told, name: str, usual: Sequence[str]) -> dict[str, Kind]:
    """A column's kinds with those that are as in the reference, of which nothing is kept."""
    return {kind: Kind(here=True) for kind in usual} | told.columns.get(name, {})


def standing(told: Told, profile: Profile, before_ms: int) -> dict[str, SchemaChange]:
    """What was told of columns, is not over, and began before a moment, by name."""
    known, found = schema.known(profile), {}
    for name in sorted(told.columns):
        usual = known.get(name, ())
        kinds = _whole(told, name, usual)
        moved = [one for kind, one in kinds.items() if one.here != (kind in usual)]
        if min((one.since_ms for one in moved), default=before_ms) < before_ms:
            here = _here(kinds)
            change: SchemaChange = "retyped" if here and usual else "new" if here else "gone"
            found[name] = change
    return found


def between(told: Told, theirs: Profile, mine: Profile) -> list[ColumnChange]:
    """How the columns of a version's reference differ from another version's, by name.

    :param told: what was told of the other one, whose reference is `theirs`.
    """
    before, after, found = schema.known(theirs), schema.known(mine), []
    for name in sorted(dict.fromkeys([*before, *after, *told.columns])):
        kinds = _whole(told, name, before.get(name, ()))
        now = dict.fromkeys(after.get(name, ()))
        for kind in _here(kinds):
            usual = kind in before.get(name, ())
            one = kinds[kind]
            gaps = schema.gaps(theirs, name, kind) if usual else (one.missing, one.rows)
            if not schema.is_told(mine.rows, *gaps):
                now[kind] = None
        if _here(kinds) != sorted(now):
            found.append(_change(name, _here(kinds), sorted(now), (), mine.from_ms, -1))
    return found
