"""A figure that is known, or the reason why it is not."""

import math

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """`value` from `n` rows with the interval [`low`, `high`]; `unknown` says why there is none."""

    value: float | None
    n: int = 0
    low: float | None = None
    high: float | None = None
    unknown: str = ""


def known(value: float, n: int, why: str) -> Figure:
    """`value` as a figure; unknown where it is not finite."""
    return Figure(value, n) if math.isfinite(value) else Figure(None, n, unknown=why)
