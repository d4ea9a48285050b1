"""Limits that a check finds by itself: from the version's own past windows, for so many alarms.

A drift figure of a window without a change is not zero: it depends on the window's rows, and rows
of one user or hour come together, which no p-value knows. So the figure's own past tells what is
usual. Figures are taken as lognormal, whose tail is heavier than that of χ², their centre and
spread by median and MAD, so that a past with a drift in it still tells the usual. The limit is the
quantile that is passed once a week by chance in all that the window's calibrated checks look at; of
200 moving-block bootstraps, which keep neighbouring windows together, the upper decile of that.
Below an effect of three tenths of a deviation nothing is told, however sure.

Sources: H. Künsch, Ann. Statist. 17 (1989), the block bootstrap; block length n^⅓, P. Hall, J.
Horowitz, B.-Y. Jing, Biometrika 82 (1995). Cost: a millisecond an alert, at its 24th, 48th and 96th
window, after which the past is forgotten. State until then: 9 bytes a window and alert.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from scipy.special import ndtri

from inferwatch.core.drift import WINDOW_METHODS
from inferwatch.records.definition import Check, Limit

AT_WINDOWS = (24, 48, 96)
BOOTSTRAPS = 200
UPPER = 0.9
MAD_TO_SD = 1.4826
ALARMS_A_WEEK = 1.0
WEEK_MS = 604_800_000
CHANCES = (1e-7, 0.01)
EFFECTS = {name: round(0.6 * limit, 6) for name, limit in WINDOW_METHODS.items()} | {"psi": 0.09}
"""The least change worth telling, by method: about what three tenths of a deviation give."""


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


def calibrate(found: Calibration, end_ms: int, alerts: int, overlap: int, seed: int) -> None:
    """Make the limit of the figures so far.

    :param end_ms: end of the newest window.
    :param alerts: how many share the budget of alarms.
    :param overlap: windows that share rows with one of them, at least 1.
    """
    windows = len(found.past)
    apart_ms = max(1, (end_ms - found.first_ms) // (windows - 1))
    chance = ALARMS_A_WEEK * apart_ms / WEEK_MS / max(1, alerts)
    found.limit = unusual(found.past, min(max(chance, CHANCES[0]), CHANCES[1]), overlap, seed)
    found.windows = windows
    if windows == AT_WINDOWS[-1]:
        found.past = []


def unusual(past: Sequence[float], chance: float, overlap: int, seed: int) -> float:
    """The figure that a window like the `past` ones passes with this chance, or seldomer.

    :param past: figures ≥ 0 in the order of their windows.
    """
    values = np.array(past)
    usual = max(float(np.median(values)), 1e-9)
    logs = np.log(np.maximum(values, usual * 1e-6))
    n = len(logs)
    length = min(n, max(overlap, math.ceil(n ** (1 / 3))))
    generator = np.random.default_rng(seed)
    starts = generator.integers(0, n, (BOOTSTRAPS, math.ceil(n / length)))
    places = (starts[:, :, None] + np.arange(length)).reshape(BOOTSTRAPS, -1)[:, :n] % n
    drawn = logs[places]
    centre = np.median(drawn, axis=1)
    spread = MAD_TO_SD * np.median(np.abs(drawn - centre[:, None]), axis=1)
    return float(np.exp(np.quantile(centre - ndtri(chance) * spread, UPPER)))


def is_calibrated(check: Check) -> bool:
    """Whether the check finds one of its limits by itself."""
    return any(limit is not None and limit.calibrated for limit in (check.warn, check.fail))


def number(method: str, found: Calibration | None) -> float:
    """The limit in force: the method's own one until it is calibrated, never below its effect."""
    if found is None or found.limit is None:
        return WINDOW_METHODS[method]
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
    return f"limit of the method, {so_far} of {AT_WINDOWS[0]} windows to calibrate on"
