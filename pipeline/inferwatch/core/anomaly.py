"""Is a figure of this window out of line with the windows before it?

How far out is what a detector of `inferwatch.detectors` says. Here is what it is asked: figures of
past windows, the newest last, and the one in question behind them. `seasonal` is given one figure
an hour of the model's own clock instead, so that slots stay hours when summer time comes.

A score follows from the figures that are kept and from nothing else. So a checkpoint holds figures
and no detector, a changed method or limit keeps the past, and the figures are those of the window
when it closed: what labels restate later is not among them. Cost: that of the detector for as many
values as are kept, 5 µs (`ewma`) to 300 µs (`auto`, `seasonal`) a figure and window.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.detectors.auto import Auto
from inferwatch.detectors.ewma_residual import EWMAResidual
from inferwatch.detectors.iqr import IQR
from inferwatch.detectors.mad import MAD
from inferwatch.detectors.scoring import Scoring
from inferwatch.detectors.seasonal import Seasonal
from inferwatch.detectors.zscore import ZScore
from inferwatch.errors import ConfigError
from inferwatch.records.definition import Check

Floats = NDArray[np.float64]
Params = Mapping[str, float]
Offsets = Sequence[tuple[int, int]]
"""From which time on a clock is ahead of UTC by how much, both in ms, ascending."""

HOUR_MS = 3_600_000
WINDOWS_MAX = 1_000
PERIODS = (24, 168)
HOURS_MAX = 8 * 168
CLOCK_MOVES = 3
"""Hours by which a local clock may have moved while hours were kept."""


class SeriesMethod(msgspec.Struct, frozen=True):
    """How a method reads the figures of windows.

    :param detector: what scores, made with the parameters that are its own.
    :param PARAMS: what a check may set, with the defaults of checks. `window` is how many figures
        are kept, `debounce` of how many scores one must be the highest; the detector takes the
        others.
    """

    detector: Callable[..., Scoring]
    PARAMS: dict[str, float]


SERIES_METHODS = {
    "zscore": SeriesMethod(
        ZScore,
        {"window": 200.0, "past_min": 12.0, "floor": 0.01, "level_floor": 0.01, "debounce": 1.0},
    ),
    "mad": SeriesMethod(
        MAD,
        {"window": 200.0, "past_min": 12.0, "floor": 0.1, "level_floor": 0.01, "debounce": 1.0},
    ),
    "iqr": SeriesMethod(
        IQR,
        {"window": 200.0, "past_min": 12.0, "floor": 0.01, "level_floor": 0.01, "debounce": 1.0},
    ),
    "ewma": SeriesMethod(
        EWMAResidual,
        {
            "window": 200.0,
            "past_min": 12.0,
            "lambda_val": 0.2,
            "alpha": 0.005,
            "level_floor": 0.01,
            "debounce": 1.0,
        },
    ),
    "seasonal": SeriesMethod(
        Seasonal,
        {
            "period": 168.0,
            "cycles": 8.0,
            "past_min": 3.0,
            "floor": 0.1,
            "level_floor": 0.01,
            "debounce": 1.0,
        },
    ),
    "auto": SeriesMethod(
        Auto,
        {"window": 500.0, "past_min": 30.0, "smooth": 5.0, "level_floor": 0.01, "debounce": 20.0},
    ),
}
OURS = ("window", "debounce")


class Score(msgspec.Struct, frozen=True):
    """How far out a figure is, without sign, or why nobody can say.

    `peak` is false where one of the scores before it, within `debounce`, was as high.
    """

    value: float | None
    unknown: str = ""
    peak: bool = True


def params_problem(method: str, params: Params) -> str:
    """What a method could not work with, "" where it can.

    Cost: that of a detector made and thrown away.
    """
    given = SERIES_METHODS[method].PARAMS | dict(params)
    wholes = [name for name in (*OURS, "past_min", "period", "cycles") if name in given]
    for name in wholes:
        if not given[name].is_integer() or not 1 <= given[name] <= WINDOWS_MAX:
            return f"{name} is {given[name]:g}: a whole number in [1, {WINDOWS_MAX:,}]"
    if "window" in given and given["past_min"] > given["window"]:
        return f"past_min is {given['past_min']:g}: at most the window, {given['window']:g}"
    if "period" in given and given["period"] not in PERIODS:
        return f"period is {given['period']:g}: 24, the hours of a day, or 168, those of a week"
    if "period" in given and given["period"] * given["cycles"] > HOURS_MAX:
        return f"cycles is {given['cycles']:g}: period · cycles of at most {HOURS_MAX:,} hours"
    try:
        _detector(method, given)
    except ConfigError as error:
        return f"{error.problem}: {error.fix}"
    return ""


def kept(check: Check) -> int:
    """How many past figures, of windows or of hours, the check compares with."""
    given = SERIES_METHODS[check.method].PARAMS | check.params
    return int(given["window"] if "window" in given else given["period"] * given["cycles"])


def alike(check: Check, past: Sequence[float] | Floats) -> list[float]:
    """Those of the past figures that tell what is usual now: by hour the same hour's, and those
    that there are.
    """
    known = np.asarray(past, np.float64)
    if by_hour(check.method):
        known = known[:: int((SERIES_METHODS[check.method].PARAMS | check.params)["period"])]
    return [value for value in known.tolist() if math.isfinite(value)]


def by_hour(method: str) -> bool:
    """Whether the method is given one figure an hour."""
    return "period" in SERIES_METHODS[method].PARAMS


def keep(past: list[float], value: float, most: int) -> None:
    """Add the figure of a window to those kept."""
    past.append(value)
    del past[:-most]


def keep_hour(hours: dict[int, float], began_ms: int, value: float, most: int) -> None:
    """Let the figure of a window stand for the hour in which it began, unless one does.

    The mean of an hour's windows would spread less than the windows that are held against it.
    """
    hour = began_ms // HOUR_MS
    if hour in hours:
        return
    hours[hour] = value
    oldest = max(hours) - most - CLOCK_MOVES
    for past in [past for past in hours if past < oldest]:
        del hours[past]


def hourly(hours: Mapping[int, float], now_ms: int, offsets: Offsets, most: int) -> Floats:
    """The figures of the `most` hours of the local clock before that of `now_ms`, the newest last.

    NaN stands where an hour has none, as that which a clock leaves out in spring; of the one that
    it shows twice in autumn the second counts.

    :param hours: figures by hours since 1970, UTC.
    """
    past = np.full(most, np.nan)
    times_ms = np.fromiter(hours, np.int64, len(hours)) * HOUR_MS
    now = _local_hours(np.array([now_ms]), offsets)[0]
    place = most - (now - _local_hours(times_ms, offsets))
    there = (place >= 0) & (place < most)
    past[place[there]] = np.fromiter(hours.values(), np.float64, len(hours))[there]
    return past


def _local_hours(times_ms: NDArray[np.int64], offsets: Offsets) -> NDArray[np.int64]:
    if offsets:
        since, ahead = np.array(offsets, np.int64).T
        found = np.searchsorted(since, times_ms, side="right") - 1
        times_ms = times_ms + ahead[np.maximum(found, 0)]
    return times_ms // HOUR_MS


def score(method: str, params: Params, past: Sequence[float] | Floats, value: float) -> Score:
    """How far `value` is out of line with `past`, the newest last.

    :param params: of a check; its defaults stand for what is left out.
    """
    given = SERIES_METHODS[method].PARAMS | dict(params)
    known = np.asarray(past, np.float64)
    if "window" in given:
        known = known[max(0, len(known) - int(given["window"])) :]
    unknown = _blind(method, given, known, value)
    if unknown:
        return Score(None, unknown)
    scores = _detector(method, given).score_many(np.append(known, value))
    found = float(scores[-1])
    if not math.isfinite(found):
        return Score(None, "no spread yet" if _is_flat(known) else "not finite")
    before = scores[max(0, len(known) + 1 - int(given["debounce"])) : -1]
    return Score(found, peak=not bool(np.any(before >= found)))


def _detector(method: str, given: Params) -> Scoring:
    own = {name: value for name, value in given.items() if name not in OURS}
    return SERIES_METHODS[method].detector(**own)


def _blind(method: str, given: Params, known: Floats, value: float) -> str:
    """Why nothing can be said before anything is asked, "" where it can."""
    if not math.isfinite(value):
        return "not finite"
    same = known[:: int(given["period"])] if by_hour(method) else known
    n, need = int(np.isfinite(same).sum()), int(given["past_min"])
    unit = "cycles" if by_hour(method) else "windows"
    return f"{n} of {need} {unit}" if n < need else ""


def _is_flat(known: Floats) -> bool:
    values = known[np.isfinite(known)]
    return bool(values.min() == values.max())
