"""What checks that compare versions keep: figures of windows, paired with those of another version.

A window of a version is paired once, in order. Windows that both served are compared one by one.
Those that it served alone in its first week are compared with what the other served in the week
before, by the hour of the day where that was a day at least; what comes later differs by the time
of the year. State: a sum for each window that waits for labels and each hour of a week, and the
sums of the comparison.
"""

from collections.abc import Iterable

import msgspec

from inferwatch.core import sequential
from inferwatch.core.figure import Figure
from inferwatch.core.intervals import Z
from inferwatch.core.metrics import class_of
from inferwatch.core.sequential import Difference, Sample, Strata
from inferwatch.core.watermark import UNSET

RATES = (
    "accuracy",
    "precision",
    "recall",
    "specificity",
    "error_rate",
    "availability",
    "timeout_rate",
    "positive_rate",
)
"""Shares of rows that were counted on their own denominator."""
AMOUNTS = ("latency.mean", "mae")
"""Means of rows, none of which is below 0."""
HOUR_MS = 3_600_000
DAY_HOURS, WEEK_HOURS = 24, 168


class Round(msgspec.Struct, array_like=True):
    """One judged window of one version; `unknown` says why its sample has no rows."""

    sample: Sample
    rows: int
    first_offset: int
    unknown: str = ""


class Side(msgspec.Struct):
    """One version before one check.

    `rounds` are windows by their start, `hours` older ones by hour; `noted` and `rows` are of the
    newest that is no round any more, `paired` is the start of the window that was paired last.
    `other` is the version that it is compared with, "" where none served before it, None until it
    is known. `before` are rows of the other before `first`, the start of this one's first window,
    `alone` those of windows that the other did not serve: where `hourly` by the hour of the day,
    else all as of hour 0.
    """

    rounds: dict[int, Round] = {}
    hours: dict[int, Sample] = {}
    noted: int = UNSET
    rows: int = 0
    paired: int = UNSET
    other: str | None = None
    first: int = UNSET
    hourly: bool = False
    before: dict[int, Sample] = {}
    alone: dict[int, Sample] = {}
    strata: Strata = msgspec.field(default_factory=Strata)


def compares(metric: str) -> bool:
    """Whether rows of two versions can be compared by the metric."""
    of_class = class_of(metric) not in ("", "*") and metric.endswith((".precision", ".recall"))
    return metric in RATES or metric in AMOUNTS or of_class


def sample_of(metric: str, figure: Figure) -> Sample:
    """The rows that a known figure of a window was made of; those of an amount by its interval."""
    value, n = figure.value or 0.0, figure.n
    if metric not in AMOUNTS:
        counted = float(round(value * n))
        return Sample(n, counted, counted)
    half = 0.0 if figure.high is None else (figure.high - value) / Z
    total = value * n
    return Sample(n, total, total * value + half * half * n * (n - 1))


def unpaired(side: Side) -> list[int]:
    """Starts of the windows that are to be paired, in order."""
    return sorted(start for start in side.rounds if start > side.paired)


def newest(side: Side, start: int) -> tuple[int, int]:
    """The newest window that began by `start`, and its rows."""
    begun = max((one for one in side.rounds if one <= start), default=side.noted)
    return begun, side.rounds[begun].rows if begun in side.rounds else side.rows


def begin(side: Side, start: int, name: str, other: Side | None) -> None:
    """The first window of `side` is known, and with it what the other served before."""
    side.other, side.first = name, start
    if other is None:
        return
    newest = [(at // HOUR_MS, one.sample) for at, one in other.rounds.items() if at < start]
    before = [*other.hours.items(), *newest]
    hours = [hour for hour, _ in before]
    side.hourly = max(hours, default=0) - min(hours, default=0) >= DAY_HOURS - 1
    for hour, sample in before:
        _add(side.before, _place(side, hour), sample)


def pair(side: Side, start: int, other: Side | None) -> None:
    """Take the window into the comparison: with that of the other, or as one served alone.

    What has no figure, or is a single row, tells nothing.
    """
    side.paired = start
    mine = side.rounds[start].sample
    theirs = other.rounds.get(start) if other is not None else None
    if theirs is None:
        if mine.n and start < side.first + WEEK_HOURS * HOUR_MS:
            _add(side.alone, _place(side, start // HOUR_MS), mine)
    elif min(mine.n, theirs.sample.n) > 1:
        side.strata.add(mine, theirs.sample)


def difference(side: Side) -> Difference:
    """By windows of both, or by those before, whichever has more to tell.

    Which it is depends on rows alone and never on what they say.
    """
    live = sequential.together(side.strata)
    after = sequential.apart(side.alone, side.before)
    return live if live.weight >= after.weight else after


def forget(sides: Iterable[Side], start: int) -> None:
    """Windows that began by `start` are paired with no other any more: add them to their hours."""
    for side in sides:
        for at in sorted(at for at in side.rounds if at <= start):
            side.noted, side.rows = at, side.rounds[at].rows
            _add(side.hours, at // HOUR_MS, side.rounds.pop(at).sample)
        oldest = max(side.hours, default=0) - WEEK_HOURS
        for hour in [one for one in side.hours if one <= oldest]:
            del side.hours[hour]


def _place(side: Side, hour: int) -> int:
    return hour % DAY_HOURS if side.hourly else 0


def _add(into: dict[int, Sample], hour: int, sample: Sample) -> None:
    into.setdefault(hour, Sample()).add(sample)
