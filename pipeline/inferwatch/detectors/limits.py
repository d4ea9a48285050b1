"""Parameters of detectors are checked once, where they come in."""

import math

from inferwatch.errors import ConfigError


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
