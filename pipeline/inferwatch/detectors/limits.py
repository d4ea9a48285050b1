"""Parameters and values of detectors are checked once, where they come in."""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inferwatch.errors import ConfigError

FAR = 1e300
"""Levels beyond it overflow as soon as they are subtracted."""


def column(values: ArrayLike) -> NDArray[np.floating]:
    """Values of one stream as kernels read them: float32[n] as it is, any other numbers, truths and
    None (missing) as float64[n]. Cost: that of a copy, if any.

    :raises ConfigError: they are no numbers, or rows of several columns.
    """
    found = np.asarray(values)
    kind = np.float32 if found.dtype == np.float32 else np.float64
    return _one_column(_numbers(found, kind))


def numbers(values: ArrayLike, *, by_row: bool) -> NDArray[np.float64]:
    """Values as float64[n], or float64[n, F] of a detector that takes rows; as `column` else."""
    found = _numbers(values, np.float64)
    return found if by_row else _one_column(found)


def _numbers(values: ArrayLike, kind: type) -> NDArray[Any]:
    try:
        return np.ascontiguousarray(values, kind)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"values: {error}", key="values", fix="give numbers") from None


def _one_column(values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim > 1:
        told = f"values of shape {values.shape}"
        raise ConfigError(told, key="values", fix="one detector for each column, values [n]")
    return values


def within(
    name: str, value: float, low: float, high: float = math.inf, *, open_ends: bool = False
) -> None:
    """Let a parameter pass that lies in `[low, high]`, or in `(low, high)` with `open_ends`.

    :raises ConfigError: it does not, or is no number.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    fits = low < number < high if open_ends else low <= number <= high
    if not fits or math.isinf(number):
        left, right = ("(", ")") if open_ends else ("[", "]")
        raise ConfigError(
            f"{name} is {value!r}", key=name, fix=f"a number in {left}{low:g}, {high:g}{right}"
        )


def whole(name: str, value: float, low: int, high: int) -> int:
    """A parameter that counts, as an int: whole and in `[low, high]`; 30.0 is 30.

    :raises ConfigError: it is not.
    """
    within(name, value, low, high)
    if int(value) != float(value):
        raise ConfigError(f"{name} is {value!r}", key=name, fix="a whole number")
    return int(value)


def switch(name: str, value: float) -> bool:
    """A parameter that is on or off: True, False, 1 or 0.

    :raises ConfigError: it is something else.
    """
    if not isinstance(value, int | float) or value not in (0, 1):
        raise ConfigError(f"{name} is {value!r}", key=name, fix="true or false")
    return bool(value)


def chart(
    min_instances: int, target: float | None, sd: float | None, sd_min: float
) -> tuple[tuple[int, float, float, float], dict[str, float]]:
    """What a control chart measures against, as `kernels.baseline` reads it, NaN for a level or a
    deviation that is to be learnt; and by name those parameters that were given.

    :raises ConfigError: a level that is not finite, a deviation that is not above 0, or another
        parameter out of its range.
    """
    rows = whole("min_instances", min_instances, 2, 10**9)
    if target is not None:
        within("target", target, -FAR, FAR)
    if sd is not None:
        within("sd", sd, 0.0, FAR, open_ends=True)
    within("sd_min", sd_min, 0.0, FAR)
    level = math.nan if target is None else float(target)
    spread = math.nan if sd is None else float(sd)
    given = {"sd_min": float(sd_min)} if sd_min else {}
    given |= {} if target is None else {"target": level}
    given |= {} if sd is None else {"sd": spread}
    return (rows, level, spread, float(sd_min)), given
