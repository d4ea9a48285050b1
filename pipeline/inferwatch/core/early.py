"""Labels that came before their predictions: held by id, for each version by itself.

A label without a version waits for the first answer that comes. Of one version's labels the last by
their own time rules; so it does of those with and without a version that meet the same answer.
"""

from collections.abc import Iterable

import msgspec
import numpy as np

from inferwatch.core import sample
from inferwatch.core.sample import Hashes
from inferwatch.records.ids import Ids, pack

OTHERS_MAX = 15
"""Versions beside the newest whose labels of one id wait; the oldest give way."""


class Early(msgspec.Struct, omit_defaults=True):
    """A label whose prediction has not come yet.

    `at_ms` is the watermark when it came; before the first row, when there is none, its own time,
    but not past its record's.
    `others` are the labels of other versions that wait for the same id, and came before it.
    """

    version: str | None
    label: int
    truth: float
    time_ms: int
    at_ms: int
    others: list["Early"] = []


def hold(held: dict[str, Early], id_: str, label: Early) -> None:
    """Let a label wait, behind all that came before it."""
    waiting = _waiting(held.get(id_))
    mine = [one for one in waiting if one.version == label.version]
    if mine and mine[0].time_ms > label.time_ms:
        return
    held.pop(id_, None)
    held[id_] = _together([label, *(one for one in waiting if one not in mine)])


def awaited(held: dict[str, Early], ids: Ids, hashes: Hashes) -> list[tuple[int, str]]:
    """Rows whose ids labels wait for, and the ids: each id at its first row, in order of rows.

    `hashes` are those of `ids`. Cost: a look at each hash where fewer labels wait than rows came,
    else at each id.
    """
    rows: Iterable[int] = range(len(ids))
    if len(held) < len(ids):
        rows = np.flatnonzero(np.isin(hashes, sample.hashes(pack(held)))).tolist()
    found: dict[str, int] = {}
    for row in rows:
        id_ = ids[row]
        if id_ in held:
            found.setdefault(id_, row)
    return [(row, id_) for id_, row in found.items()]


def claim(held: dict[str, Early], id_: str, version: str, oldest_ms: int) -> Early | None:
    """The label of an answer of `version`, which waits no more; None where there is none, and where
    `expire` at `oldest_ms` would forget it.
    """
    waiting = [one for one in _waiting(held.get(id_)) if held[id_].at_ms >= oldest_ms]
    mine = [one for one in waiting if one.version in (None, version)]
    if not mine:
        return None
    rest = [one for one in waiting if one not in mine]
    if rest:
        held[id_] = _together(rest)
    else:
        del held[id_]
    return max(mine, key=lambda one: one.time_ms)


def expire(held: dict[str, Early], oldest_ms: int) -> int:
    """Forget what came before `oldest_ms`; how many labels that were."""
    gone = 0
    while held:
        id_ = next(iter(held))
        if held[id_].at_ms >= oldest_ms:
            break
        gone += len(_waiting(held.pop(id_)))
    return gone


def _waiting(newest: Early | None) -> list[Early]:
    """Every label of an id, the newest first."""
    return [] if newest is None else [newest, *newest.others]


def _together(labels: list[Early]) -> Early:
    """The newest first, as it keeps the others."""
    kept = labels[: 1 + OTHERS_MAX]
    newest, *others = (msgspec.structs.replace(one, others=[]) for one in kept)
    newest.others = others
    return newest
