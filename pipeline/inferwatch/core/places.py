"""The values of a segment column that are told apart, once there are more than places for them.

The first values that come take the places; nothing is counted before one finds none. From then on
SpaceSaving counts them all, and after each stretch of rows, counted in the state, a value that is
heavier takes the place of the lightest: one that has surely twice its rows and ten, or one above
1/m of all rows of m places, which is surely at least half as heavy. So equal values do not take
turns, a flood of values that come once takes no place, and a value of more than 1/m of the rows
has one. What was counted weighs half a week later.
"""

import heapq

import msgspec

from inferwatch.core.sketches import space_saving
from inferwatch.core.sketches.space_saving import Counters

STRETCH_ROWS = 20  # a place
COUNTERS = 10  # a place: ten times fewer rows than entitle to a place are the most an error can be
SURE_ROWS = 10
WEEK_MS = 604_800_000


class Places(msgspec.Struct):
    """Of one column: `taken` gives the codes of the values that have a place.

    `former` are values that had one, with the watermark at which they lost it, while windows or
    labels may still name them. `rows` of the model were counted since the last decision, the first
    in the `week` since 1970.
    """

    taken: dict[str, int]
    former: dict[str, int] = {}
    counters: Counters = msgspec.field(default_factory=Counters)
    rows: int = 0
    week: int = -1


def rows_left(places: Places, most: int) -> int:
    """Rows until the next decision, for `most` places."""
    return max(1, STRETCH_ROWS * most - places.rows)


def count(places: Places, words: list[str], rows: int, most: int) -> None:
    """Take in `rows` rows of the model, those with a value as `words`, in the order of the log."""
    space_saving.update(places.counters, words, COUNTERS * most)
    places.rows += rows


def age(places: Places, now_ms: int) -> None:
    """Halve what was counted for every week that has begun since."""
    week = now_ms // WEEK_MS
    if places.week >= 0 and week > places.week:
        space_saving.halve(places.counters, min(week - places.week, 63))
    places.week = max(places.week, week)


def risen(places: Places, most: int) -> list[tuple[str | None, str]]:
    """Who loses a place to whom, None for a place that was free; `most` places, no more changes
    than former values can be remembered.
    """
    counters, share = places.counters, sum(places.counters.most.values()) / most
    taken = [(counters.at_most(value), value) for value in places.taken]
    heapq.heapify(taken)
    room, free = most - len(places.former), most - len(taken)
    found: list[tuple[str | None, str]] = []
    for value in _candidates(places, 0 if free > 0 else taken[0][0], share):
        if free > 0:
            free -= 1
            heapq.heappush(taken, (counters.at_most(value), value))
            found.append((None, value))
        elif room > 0 and _heavier(counters, value, taken[0][0], share):
            room -= 1
            _, gone = heapq.heapreplace(taken, (counters.at_most(value), value))
            found.append((gone, value))
    return found


def _candidates(places: Places, lightest: int, share: float) -> list[str]:
    """Values without a place that are heavier than the lightest with one, the surest first."""
    counters = places.counters
    found = [
        value
        for value in counters.most
        if value not in places.taken and _heavier(counters, value, lightest, share)
    ]
    return sorted(found, key=lambda value: (-counters.at_least(value), value))


def _heavier(counters: Counters, value: str, lightest: int, share: float) -> bool:
    """Whether a value takes the place of one that has had `lightest` rows at most."""
    at_least = counters.at_least(value)
    if at_least >= 2 * lightest + SURE_ROWS:
        return True
    return counters.at_most(value) > share and 2 * at_least > lightest
