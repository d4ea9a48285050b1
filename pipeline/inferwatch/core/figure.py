"""A figure that is known, or the reason why it is not."""

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """`value` from `n` rows with the interval [`low`, `high`]; `unknown` says why there is none."""

    value: float | None
    n: int = 0
    low: float | None = None
    high: float | None = None
    unknown: str = ""
