"""How versions compare so far, by a model's checkpoint: also where nothing fires."""

from collections.abc import Sequence

import msgspec

from inferwatch.core import alerts, duel
from inferwatch.core.model import ModelState


class Compared(msgspec.Struct, frozen=True, omit_defaults=True):
    """Figures of a version and of another, and between what their difference surely lies.

    Of the `windows` that both served, 0 where the other served before; `unknown` says what is
    lacking.
    """

    version: str
    value: float | None = None
    reference: float | None = None
    low: float | None = None
    high: float | None = None
    windows: int = 0
    rows: int = 0
    unknown: str = ""


def of(state: ModelState, version: str) -> dict[str, Compared]:
    """By alert, in the order of the file; nothing of a version that has no other."""
    found = {}
    for check in state.definition.checks:
        side = state.duels.get(alerts.key(check, version, "", ""))
        if side is None or not side.other:
            continue
        seen = duel.difference(side)
        gap = seen.mine - seen.theirs
        found[check.alert] = (
            Compared(side.other, unknown=seen.unknown)
            if seen.unknown
            else Compared(
                side.other,
                seen.mine,
                seen.theirs,
                gap - seen.half,
                gap + seen.half,
                seen.windows,
                seen.rows,
            )
        )
    return found


def row(alert: str, one: Compared) -> Sequence[str]:
    """ "Worse", "0.871 against 0.902 of v11 in 12 windows of both", "surely -0.044 to -0.017"."""
    if one.unknown:
        return ["", alert, f"against v{one.version}", f"unknown: {one.unknown}"]
    served = f"in {one.windows} windows of both" if one.windows else "in the week before"
    return [
        "",
        alert,
        f"{one.value:.4g} against {one.reference:.4g} of v{one.version} {served}",
        f"surely {one.low:+.3g} to {one.high:+.3g}",
    ]
