"""Limits that a check finds by itself: from the version's own past windows, for so many alarms.

A drift figure of a window without a change is not zero: it depends on the window's rows, and rows
of one user or hour come together, which no p-value knows. So the figure's own past tells what is
usual. The squares of some distances are near multiples of χ², whose cube root is normal; the other
figures are taken as lognormal, whose tail is heavier. Centre and spread are median and MAD, so that
a past with a drift in it still tells the usual. The limit is the quantile that is passed once a
week by chance in all that the window's calibrated checks look at; of 200 moving-block bootstraps,
which keep neighbouring windows together, the 95th percentile of that, of the heavier tail the 90th.
Before the first limit only what is large is told (`STARTS`), later nothing below three tenths of a
deviation.

Sources: E. Wilson, M. Hilferty, PNAS 17 (1931), the cube root; H. Künsch, Ann. Statist. 17 (1989),
the block bootstrap; block length n^⅓, P. Hall, J. Horowitz, B.-Y. Jing, Biometrika 82 (1995). Cost:
a millisecond an alert, at its 24th, 48th and 96th window, after which the past is forgotten. State
until then: 9 bytes a window and alert.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from inferwatch.core.drift import EMBEDDING_METHODS, WINDOW_METHODS
from inferwatch.records.definition import Check, Limit

AT_WINDOWS = (24, 48, 96)
BOOTSTRAPS = 200
UPPER, UPPER_HEAVY = 0.95, 0.9
MAD_TO_SD = 1.4826
ALARMS_A_WEEK = 1.0
WEEK_MS = 604_800_000
CHANCES = (1e-7, 0.01)
USUAL = WINDOW_METHODS | EMBEDDING_METHODS
EFFECTS = {name: round(0.6 * limit, 6) for name, limit in USUAL.items()} | {"psi": 0.09}
"""The least change worth telling, by method: about what three tenths of a deviation give."""
STARTS = {name: 2.5 * limit for name, limit in USUAL.items()} | {"psi": 1.5}
"""The limit before there is a past, by method: about what one and a quarter deviations give.

Where fifty users send all rows of a window, most windows pass the number of the method itself.
"""
LIKE_CHI = frozenset({"jensenshannon", "hellinger", "total_variation"})
"""Methods whose figure to the power of ⅔, the cube root of its square, is taken as normal."""
REACH = 2.5
"""So many times what nine in ten past windows stay under is the most that such a limit may be.

A figure that follows the hour has a spread but no tail, and its limit would be beyond reach.
"""


class Calibration(msgspec.Struct):
    """What one alert has found: `limit` from `windows` past ones, None until there are enough.

    `past` are the figures so far, `first_ms` the end of the first of their windows.
    """

    past: list[float] = []
    windows: int = 0
    first_ms: int = 0
    limit: float | None = None


def add(found: Calibration, value: float, end_ms: int) -> bool:
    """Take in the figure of a window; True where a limit should be made of those so far."""
    if found.windows == AT_WINDOWS[-1]:
        return False
    found.first_ms = found.first_ms if found.past else end_ms
    found.past.append(value)
    return len(found.past) in AT_WINDOWS


def calibrate(
    found: Calibration, method: str, end_ms: int, alerts: int, overlap: int, seed: int
) -> None:
    """Make the limit of the figures so far, those of `method`.

    :param end_ms: end of the newest window.
    :param alerts: how many share the budget of alarms.
    :param overlap: windows that share rows with one of them, at least 1.
    """
    windows = len(found.past)
    apart_ms = max(1, (end_ms - found.first_ms) // (windows - 1))
    chance = ALARMS_A_WEEK * apart_ms / WEEK_MS / max(1, alerts)
    chance = min(max(chance, CHANCES[0]), CHANCES[1])
    found.limit = unusual(found.past, method, chance, overlap, seed)
    found.windows = windows
    if windows == AT_WINDOWS[-1]:
        found.past = []


def unusual(past: Sequence[float], method: str, chance: float, overlap: int, seed: int) -> float:
    """The figure that a window like the `past` ones passes with this chance, or seldomer.

    :param past: figures ≥ 0 of `method`, in the order of their windows.
    """
    if method in LIKE_CHI:
        found = _bound(np.power(past, 2 / 3), chance, UPPER, overlap, seed) ** 1.5
        return float(min(found, REACH * np.quantile(past, 0.9)))
    values = np.array(past)
    usual = max(float(np.median(values)), 1e-9)
    logs = np.log(np.maximum(values, usual * 1e-6))
    return float(np.exp(_bound(logs, chance, UPPER_HEAVY, overlap, seed)))


def _bound(
    values: NDArray[np.float64], chance: float, upper: float, overlap: int, seed: int
) -> float:
    """The same of values that are normal: the quantile `upper` of what bootstraps say of it."""
    n = len(values)
    length = min(n, max(overlap, math.ceil(n ** (1 / 3))))
    generator = np.random.default_rng(seed)
    starts = generator.integers(0, n, (BOOTSTRAPS, math.ceil(n / length)))
    places = (starts[:, :, None] + np.arange(length)).reshape(BOOTSTRAPS, -1)[:, :n] % n
    drawn = values[places]
    centre = np.median(drawn, axis=1)
    spread = MAD_TO_SD * np.median(np.abs(drawn - centre[:, None]), axis=1)
    return float(np.quantile(centre - ndtri(chance) * spread, upper))


def is_calibrated(check: Check) -> bool:
    """Whether the check finds one of its limits by itself."""
    return any(limit is not None and limit.calibrated for limit in (check.warn, check.fail))


def number(method: str, found: Calibration | None) -> float:
    """The limit in force: the start of the method, once calibrated never below its effect."""
    if found is None or found.limit is None:
        return STARTS[method]
    return max(EFFECTS[method], found.limit)


def ruled(check: Check, found: Calibration | None) -> Check:
    """The check with the number in force for its calibrated limit."""
    value = number(check.method, found)

    def given(limit: Limit | None) -> Limit | None:
        if limit is None or not limit.calibrated:
            return limit
        return msgspec.structs.replace(limit, value=value, clear=value)

    return msgspec.structs.replace(check, warn=given(check.warn), fail=given(check.fail))


def said(found: Calibration | None) -> str:
    """How the limit came, for people."""
    if found is not None and found.limit is not None:
        return f"limit calibrated on {found.windows} past windows"
    so_far = 0 if found is None else len(found.past)
    return f"limit before calibration, {so_far} of {AT_WINDOWS[0]} windows to calibrate on"
