"""Parameters of detectors are checked once, where they come in."""

import math

from inferwatch.errors import ConfigError

FAR = 1e300
"""Levels beyond it overflow as soon as they are subtracted."""


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


def given(target: float | None, sd: float | None) -> tuple[float, float]:
    """Level and standard deviation of a control chart, NaN for what is to be learnt.

    :raises ConfigError: a level that is not finite, a deviation that is not above 0.
    """
    if target is not None:
        within("target", target, -FAR, FAR)
    if sd is not None:
        within("sd", sd, 0.0, FAR, open_ends=True)
    return math.nan if target is None else float(target), math.nan if sd is None else float(sd)
