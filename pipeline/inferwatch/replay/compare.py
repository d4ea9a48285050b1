"""Two replays of the same records held against each other: what fired in both, what in one alone,
and windows whose figures are others.

Firings of one alert, version, feature and segment are the same where they fired at the same moment;
of the others, where they overlap, from the beginning of what they were judged by to their end. In
the order of time each is taken once: where one firing of A overlaps two of B, the second is in B
alone.
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from inferwatch.records.outputs import WindowRecord
from inferwatch.replay.recorded import Firing, Recorded, grouped, lines
from inferwatch.replay.scoring import FOREVER_MS, WEEK_MS

EXAMPLES_MAX = 5
FIGURES_MAX = 3
NO_FIGURES = {
    *("id", "revision", "limits", "reference", "first_offset", "last_offset", "partition")
}
"""Fields of a window that say where it stands and by which rules; all others are its figures."""

Key = tuple[str, str, str, str, int, int, int]


class Pair(msgspec.Struct, frozen=True):
    """A firing in both, or in one alone; never None twice."""

    a: Firing | None
    b: Firing | None

    def either(self) -> Firing:
        """The one whose names are asked for: they are the same in both."""
        found = self.a or self.b
        assert found is not None
        return found

    def later_ms(self) -> int | None:
        """How much later B told it than A; below 0 for sooner, None where it is in one alone."""
        if self.a is None or self.b is None:
            return None
        return self.b.told_ms - self.a.told_ms

    def differs(self) -> bool:
        """Whether it is in one alone, or fired or ended at another event time."""
        if self.a is None or self.b is None:
            return True
        return (self.a.at_ms, self.a.end_ms) != (self.b.at_ms, self.b.end_ms)


class Rule(msgspec.Struct, kw_only=True):
    """One alert of one model in both replays; every firing is counted once.

    `moved` of those in `both` fired or ended at another time. `later_median_ms` is over `both`, and
    None where that is 0. Rates are over the time that each replay watched, None without any.
    """

    alert: str
    model: str
    both: int
    moved: int
    only_a: int
    only_b: int
    later_median_ms: int | None
    a_per_week: float | None
    b_per_week: float | None


class Differing(msgspec.Struct, kw_only=True):
    """A window in both with other figures; `figures` names some of them, with A's and B's value.

    `start` and `end` are event time in ms, or, for `rows` > 0, row numbers.
    """

    model: str
    version: str
    segment: str
    window: str
    start: int
    end: int
    rows: int
    figures: dict[str, tuple[Any, Any]]


class Windows(msgspec.Struct, kw_only=True):
    """Windows by model, version, segment and span, each by its last revision.

    `both = same + differ`; `examples` are the first that differ.
    """

    same: int
    differ: int
    only_a: int
    only_b: int
    examples: list[Differing]


class Comparison(msgspec.Struct):
    """What two replays have in common and what not. `firings` are in the order of event time."""

    rules: list[Rule]
    firings: list[Pair]
    windows: Windows

    def differs(self) -> bool:
        """Whether a firing or a figure is another; when it was told does not count."""
        seen = self.windows
        others = seen.differ or seen.only_a or seen.only_b
        return bool(others) or any(pair.differs() for pair in self.firings)


def compare(a: Recorded, b: Recorded) -> Comparison:
    """Hold two replays against each other. Memory: some 400 bytes a window of either."""
    pairs = sorted(_pairs(a.firings, b.firings), key=lambda pair: pair.either().at_ms)
    mine = grouped(pairs, lambda pair: pair.either().rule())
    named = {(model, alert) for run in (a, b) for model in run.rules for alert in run.rules[model]}
    rules = [_rule(a, b, *rule, mine.get(rule, [])) for rule in sorted(named)]
    return Comparison(rules, pairs, _windows(a.folder, b.folder))


def _names(one: Firing) -> tuple[str, ...]:
    return one.model, one.alert, one.version, one.feature, one.segment


def _pairs(a: Sequence[Firing], b: Sequence[Firing]) -> Iterator[Pair]:
    mine_by, theirs_by = grouped(a, _names), grouped(b, _names)
    for names in sorted({*mine_by, *theirs_by}):
        at_once = grouped(theirs_by.get(names, []), lambda one: one.at_ms)
        alone: deque[Firing] = deque()
        for one in mine_by.get(names, []):
            same = at_once.get(one.at_ms)
            if same:
                yield Pair(one, same.pop(0))
            else:
                alone.append(one)
        yield from _overlapping(alone, deque(one for same in at_once.values() for one in same))


def _overlapping(mine: deque[Firing], theirs: deque[Firing]) -> Iterator[Pair]:
    while mine and theirs:
        if _end_ms(mine[0]) <= theirs[0].began_ms:
            yield Pair(mine.popleft(), None)
        elif _end_ms(theirs[0]) <= mine[0].began_ms:
            yield Pair(None, theirs.popleft())
        else:
            yield Pair(mine.popleft(), theirs.popleft())
    yield from (Pair(one, None) for one in mine)
    yield from (Pair(None, one) for one in theirs)


def _end_ms(one: Firing) -> int:
    """Excluded; what began and ended at one moment has that."""
    return FOREVER_MS if one.end_ms is None else max(one.end_ms, one.began_ms + 1)


def _rule(a: Recorded, b: Recorded, model: str, alert: str, pairs: Sequence[Pair]) -> Rule:
    later_ms = [found for one in pairs if (found := one.later_ms()) is not None]
    only_a = sum(one.b is None for one in pairs)
    only_b = sum(one.a is None for one in pairs)
    return Rule(
        alert=alert,
        model=model,
        both=len(later_ms),
        moved=sum(one.differs() for one in pairs) - only_a - only_b,
        only_a=only_a,
        only_b=only_b,
        later_median_ms=round(median(later_ms)) if later_ms else None,
        a_per_week=_per_week(a, model, len(later_ms) + only_a),
        b_per_week=_per_week(b, model, len(later_ms) + only_b),
    )


def _per_week(run: Recorded, model: str, firings: int) -> float | None:
    first_ms, last_ms = run.watched.get(model, (0, 0))
    return firings * WEEK_MS / (last_ms - first_ms) if last_ms > first_ms else None


def _windows(a: Path, b: Path) -> Windows:
    mine, theirs = _digests(a), _digests(b)
    differing = sorted(key for key in mine.keys() & theirs.keys() if mine[key] != theirs[key])
    shown = differing[:EXAMPLES_MAX]
    figures = [_figures_of(folder, shown) if shown else {} for folder in (a, b)]
    both = len(mine.keys() & theirs.keys())
    return Windows(
        same=both - len(differing),
        differ=len(differing),
        only_a=len(mine) - both,
        only_b=len(theirs) - both,
        examples=[_differing(key, *(found[key] for found in figures)) for key in shown],
    )


def _records(folder: Path) -> Iterator[tuple[Key, int, dict[str, Any]]]:
    """Of each line which window it is of, its revision and its figures."""
    for one in lines(folder, "windows", WindowRecord):
        span = one.window
        key = one.model, one.version, one.segment, span.name, span.start, span.end, span.rows
        fields = msgspec.to_builtins(one)
        yield key, one.revision, {name: fields[name] for name in fields if name not in NO_FIGURES}


def _digests(folder: Path) -> dict[Key, bytes]:
    """Of the figures of each window's last revision, whatever the order of lines."""
    found: dict[Key, tuple[int, bytes]] = {}
    for key, revision, figures in _records(folder):
        if key not in found or revision >= found[key][0]:
            encoded = msgspec.json.encode(figures, order="sorted")
            found[key] = revision, hashlib.blake2b(encoded, digest_size=16).digest()
    return {key: digest for key, (_, digest) in found.items()}


def _figures_of(folder: Path, keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
    found: dict[Key, tuple[int, dict[str, Any]]] = {}
    for key, revision, figures in _records(folder):
        if key in keys and (key not in found or revision >= found[key][0]):
            found[key] = revision, dict(_flat("", figures))
    return {key: figures for key, (_, figures) in found.items()}


def _flat(above: str, value: Any) -> Iterator[tuple[str, Any]]:
    """`metrics.accuracy` and its value, `features.amount.psi` and its value."""
    if not isinstance(value, dict):
        yield above, value
        return
    for name, inner in value.items():
        yield from _flat(f"{above}.{name}" if above else name, inner)


def _differing(key: Key, mine: dict[str, Any], theirs: dict[str, Any]) -> Differing:
    model, version, segment, window, start, end, rows = key
    names = [name for name in sorted({*mine, *theirs}) if mine.get(name) != theirs.get(name)]
    return Differing(
        model=model,
        version=version,
        segment=segment,
        window=window,
        start=start,
        end=end,
        rows=rows,
        figures={name: (mine.get(name), theirs.get(name)) for name in names[:FIGURES_MAX]},
    )
