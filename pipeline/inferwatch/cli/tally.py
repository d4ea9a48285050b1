"""Which alerts tell how often, and what people said of them: the topic alone answers."""

from collections.abc import Iterable, Sequence

import msgspec

from inferwatch.cli.table import table
from inferwatch.records.outputs import AlertRecord

DAY_MS = 86_400_000
JUDGED = ("useful", "noise")


class Tally(msgspec.Struct):
    """One alert of one model, over all its versions, features and segments.

    `fired` counts beginnings, `useful` and `noise` what people said of them; `firing_ms` is how
    long those that are over lasted, together. `first_ms` to `last_ms` is the span of its records.
    """

    model: str
    alert: str
    fired: int = 0
    firing: int = 0
    useful: int = 0
    noise: int = 0
    firing_ms: int = 0
    first_ms: int = 0
    last_ms: int = 0


def tally(records: Iterable[AlertRecord]) -> list[Tally]:
    """Of each alert, by its transitions in their order; the most often noise first, then fired."""
    found: dict[tuple[str, str], Tally] = {}
    since_ms: dict[str, int] = {}
    for one in records:
        mine = found.setdefault(
            (one.model, one.alert), Tally(one.model, one.alert, first_ms=one.at_ms)
        )
        mine.first_ms, mine.last_ms = min(mine.first_ms, one.at_ms), max(mine.last_ms, one.at_ms)
        if one.reason in JUDGED:
            mine.useful += one.reason == "useful"
            mine.noise += one.reason == "noise"
        elif one.condition == "firing" and one.fingerprint not in since_ms:
            mine.fired += 1
            mine.firing += 1
            since_ms[one.fingerprint] = one.at_ms
        elif one.condition == "ok" and one.fingerprint in since_ms:
            mine.firing -= 1
            mine.firing_ms += max(0, one.at_ms - since_ms.pop(one.fingerprint))
    order = found.values()
    return sorted(order, key=lambda one: (-one.noise, -one.fired, one.model, one.alert))


def lines(found: Sequence[Tally]) -> str:
    """A table of them."""
    heads = [
        "ALERT",
        "MODEL",
        "FIRED",
        "FIRES NOW",
        "USEFUL",
        "NOISE",
        "LASTED (HOURS EACH)",
        "DAYS",
    ]
    return table(heads, [_row(one) for one in found])


def _row(one: Tally) -> list[str]:
    over = one.fired - one.firing
    lasted = f"{one.firing_ms / over / 3_600_000:.1f}" if over else ""
    days = f"{(one.last_ms - one.first_ms) / DAY_MS:.1f}"
    numbers = (one.fired, one.firing, one.useful, one.noise)
    return [one.alert, one.model, *map(str, numbers), lasted, days]
