"""Figures of past windows, which inspectors hold those of a new one against.

Each window with rows enough is kept, usual or not: to leave the odd ones out would trim the past by
its own limit, a little more with every turn, until usual windows are beyond it. The newest stand
apart instead, so that an incident is not held against itself at once; what lasts becomes usual.
"""

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.sketches import binned

KEPT_MAX = 500
APART = 20
WINDOWS_MIN = 100
KNOWN_MIN = 0.9


class Past(msgspec.Struct):
    """`figures` of past windows, the oldest first: float32[n, F] of `names`, NaN where unknown.

    What float32 does not hold counts as its largest, 3.4e38.
    """

    names: list[str] = []
    figures: NDArray[np.float32] = msgspec.field(
        default_factory=lambda: np.empty((0, 0), np.float32)
    )


def add(past: Past, figures: Mapping[str, float]) -> None:
    """Keep the figures of one more window. Cost: a copy of what is kept, 0.1 ms."""
    new = sorted(name for name in figures if name not in past.names)
    past.names += new
    blank = np.full((len(past.figures), len(new)), np.nan, np.float32)
    row = binned.narrow(np.array([[figures.get(name, np.nan) for name in past.names]]))
    kept = np.concatenate([np.concatenate([past.figures, blank], axis=1), row])
    past.figures = kept[-(KEPT_MAX + APART) :]


def settled(past: Past | None) -> int:
    """How many windows a new one can be held against: all but those that stand apart."""
    return 0 if past is None else max(0, len(past.figures) - APART)


def beside(past: Past, figures: Mapping[str, float]) -> tuple[list[str], NDArray[np.float32]]:
    """Names, and float32[F, 1 + n]: a window's figures before those of n past windows.

    They are the figures that the window knows and at least nine in ten past windows know. Past
    windows that lack one of them are left out, so n may be less than `settled`.
    """
    before = past.figures[: settled(past)]
    known = ~np.isnan(before)
    often = known.sum(axis=0) >= KNOWN_MIN * len(before)
    names = sorted(name for name, yes in zip(past.names, often, strict=True) if yes)
    names = [name for name in names if name in figures]
    places = [past.names.index(name) for name in names]
    whole = before[known[:, places].all(axis=1)][:, places]
    own = binned.narrow(np.array([[figures[name] for name in names]], np.float64))
    return names, np.ascontiguousarray(np.concatenate([own, whole]).T)
