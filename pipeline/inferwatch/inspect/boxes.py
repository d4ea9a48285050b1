"""Boxes in the space of columns: rows whose values lie between given ends, and their words."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inferwatch.inspect.scaling import Matrix

NAME_MAX = 60
LARGEST, NO_VALUE, MISSING = 1e38, -2e38, -3e38
"""What is infinite counts as ±`LARGEST`; what is missing stands below it, beyond `NO_VALUE`."""
Rule = dict[int, tuple[float, float]]
"""By column, between which ends its rows lie: (low, high]."""


def without_holes(rows: Matrix) -> Matrix:
    """The rows as boxes are cut from them: as float32 holds them, what is missing a number."""
    known = np.where(np.isnan(rows), MISSING, np.clip(rows, -LARGEST, LARGEST))
    return known.astype(np.float32).astype(np.float64)


def halves(rows: Matrix, seed: int) -> tuple[Matrix, Matrix]:
    """Two halves drawn by `seed`."""
    mixed = rows[np.random.default_rng(seed).permutation(len(rows))]
    return mixed[::2], mixed[1::2]


def within(rows: Matrix, rule: Rule) -> NDArray[np.bool_]:
    """Which of the rows, as `without_holes` gives them, are in the box."""
    inside = np.ones(len(rows), np.bool_)
    for at, (low, high) in rule.items():
        inside &= (rows[:, at] > low) & (rows[:, at] <= high)
    return inside


def roundest(values: Matrix, place: int) -> float:
    """The number of fewest digits that cuts ordered `values` behind the one at `place`."""
    low, high = values[place : place + 2].tolist()
    if low < NO_VALUE:
        return NO_VALUE
    edge = low / 2 + high / 2
    shorter = (float(f"{edge:.{digits}g}") for digits in range(1, 17))
    return next((one for one in shorter if low <= one < high), edge)


def words(names: Sequence[str], rule: Rule, rows: Sequence[Matrix]) -> str:
    """ "amount > 512 and age ≤ 30", of columns that have gaps in any of `rows`, or none."""
    gaps = np.any([np.isnan(some).any(axis=0) for some in rows], axis=0)
    return " and ".join(said(names[at], *rule[at], gaps=bool(gaps[at])) for at in sorted(rule))


def said(name: str, low: float, high: float, *, gaps: bool) -> str:
    """ "amount > 512", "10 < age ≤ 30", "age ≤ 30 or missing", "age is missing"."""
    name = name if len(name) <= NAME_MAX else name[: NAME_MAX - 1] + "…"
    if high == NO_VALUE:
        return f"{name} is missing"
    if high == math.inf:
        return f"{name} is there" if low == NO_VALUE else f"{name} > {low:,.15g}"
    if low == -math.inf:
        return f"{name} ≤ {high:,.15g}" + " or missing" * gaps
    if low == NO_VALUE:
        return f"{name} ≤ {high:,.15g}"
    return f"{low:,.15g} < {name} ≤ {high:,.15g}"
