"""What an inspector found, or why it found nothing."""

import msgspec

from inferwatch.records.events import ErrorSlice


class Change(msgspec.Struct, frozen=True):
    """Two columns, and their correlation `before`, in the reference, and `now`."""

    columns: tuple[int, int]
    before: float
    now: float


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`value` from `n` rows against `reference_n`; `unknown` says why there is none.

    [`low`, `high`] is its 95 % interval where there is one; `p_value` the chance of a value at
    least as large without a change, one-sided, for rows that do not depend on each other.
    `shares` says how much each column has to do with it, where the method knows; `spreads` how far
    each figure of a window is from the median of past windows, in standard deviations; `changes`
    are the correlations that changed most; `errors` says where the extra errors are.
    """

    value: float | None
    n: int
    reference_n: int
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    shares: tuple[float, ...] = ()
    spreads: tuple[float, ...] = ()
    changes: tuple[Change, ...] = ()
    errors: ErrorSlice | None = None
    unknown: str = ""
