"""From compared counts to the drift of each column: its figures, or why there are none."""

import math
from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.drift import ks, wasserstein
from inferwatch.core.drift.together import Compared, population_sd
from inferwatch.core.figure import Figure
from inferwatch.kernels import distances as kernel
from inferwatch.records.definition import NumericProfile

SHARE_METHODS = {
    "jensenshannon": kernel.JENSEN_SHANNON,
    "hellinger": kernel.HELLINGER,
    "total_variation": kernel.TOTAL_VARIATION,
    "l_infinity": kernel.L_INFINITY,
}


class Drift(msgspec.Struct, frozen=True):
    """How far one column is from its reference.

    `statistic` is D for numbers and chi² for words, `effect` D or Cramér's V, `p_value` only ranks.
    `distances` are the other figures by their method's name.
    """

    psi: Figure
    statistic: Figure
    effect: Figure
    p_value: float | None
    numeric: bool
    distances: dict[str, Figure] = {}

    def by(self, method: str) -> Figure:
        """The figure that a check by `method` compares."""
        if method == "psi":
            return self.psi
        if method in ("ks", "chisquare"):
            return self.effect
        return self.distances.get(method, Figure(None, unknown="not measured"))


def of_numbers(compared: Compared) -> Iterator[Drift]:
    """Drift of each numeric column."""
    rows = zip(*_shares(compared), *_statistics(compared), strict=True)
    for shares, before, now, statistic, _, p_value, away, finite_before, finite_now in rows:
        found = _figure(statistic, finite_before, finite_now)
        reason = wasserstein.HUGE if math.isinf(away) else wasserstein.FLAT
        distance = _figure(away, finite_before, finite_now, reason)
        yield Drift(
            psi=_figure(shares[kernel.PSI], before, now),
            statistic=found,
            effect=found,
            p_value=None if found.value is None else p_value,
            numeric=True,
            distances=_distances(shares, before, now) | {"wasserstein": distance},
        )


def of_words(compared: Compared) -> Iterator[Drift]:
    """Drift of each column of words."""
    rows = zip(*_shares(compared), *_statistics(compared), strict=True)
    for shares, before, now, statistic, effect, p_value, *_ in rows:
        found = _figure(statistic, before, now)
        distance = Figure(None, now, unknown="words have no order")
        yield Drift(
            psi=_figure(shares[kernel.PSI], before, now),
            statistic=found,
            effect=_figure(effect, before, now),
            p_value=None if found.value is None else p_value,
            numeric=False,
            distances=_distances(shares, before, now) | {"wasserstein": distance},
        )


def of_rows(
    drift: Drift,
    profile: NumericProfile,
    reference: NDArray[np.floating],
    rows: NDArray[np.floating],
) -> Drift:
    """`drift` with KS and Wasserstein from the rows themselves; `reference` is sorted."""
    finite = rows[np.isfinite(rows)]
    statistic, p_value = ks.ks_rows(reference, finite)
    distance = wasserstein.wasserstein_rows(reference, finite, population_sd(profile))
    return msgspec.structs.replace(
        drift,
        statistic=statistic,
        effect=statistic,
        p_value=p_value,
        distances=drift.distances | {"wasserstein": distance},
    )


def _shares(compared: Compared) -> list[list[list[float]] | list[int]]:
    return [compared.shares.tolist(), compared.before.tolist(), compared.now.tolist()]


def _statistics(compared: Compared) -> list[list[float] | list[int]]:
    return [
        compared.statistic.tolist(),
        compared.effect.tolist(),
        compared.p_value.tolist(),
        compared.wasserstein.tolist(),
        compared.finite_before.tolist(),
        compared.finite_now.tolist(),
    ]


def _distances(shares: list[float], before: int, now: int) -> dict[str, Figure]:
    return {name: _figure(shares[place], before, now) for name, place in SHARE_METHODS.items()}


def _figure(value: float, before: int, now: int, otherwise: str = "") -> Figure:
    """A figure of `now` rows against `before`; `otherwise` says why it is not finite with both."""
    if math.isfinite(value):
        return Figure(value, now)
    if not before or not now:
        return Figure(None, now, unknown="no rows" if before else "no reference")
    return Figure(None, now, unknown=otherwise)
