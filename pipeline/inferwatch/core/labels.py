"""Predictions that wait for their truth, joined by prediction id in either order.

Early, late, doubled and corrected labels all end in the batch answer: a correction takes the old
contribution back exactly. Above the memory cap the join runs on a sample of ids chosen by their
hash, the same on both sides, and `sampled` says which share that is.
"""

import hashlib

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.columns import Block
from inferwatch.records.rows import Codes, Floats

ROW_BITS = 20
ROW_MASK = (1 << ROW_BITS) - 1
ROW_BYTES = 42


class Slab(msgspec.Struct):
    """The predictions of one batch, in order; `row` numbers the rows of the version.

    `late` has bit w set where the row came too late for window definition w. `labelled_ms` is the
    event time of the label, -1 without one. `value` and `truth` are empty unless it is a
    regression.
    """

    version: str
    ids: list[str]
    row: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    predicted: Codes
    score: Floats
    segments: dict[str, Codes]
    late: NDArray[np.uint16]
    label: Codes
    labelled_ms: NDArray[np.int64]
    value: Floats
    truth: Floats


class Early(msgspec.Struct):
    """A label whose prediction has not come yet."""

    version: str | None
    label: int
    truth: float
    time_ms: int
    at_ms: int


class Pending(msgspec.Struct):
    """State of the join. `shift` s keeps one id in 2^s."""

    slabs: dict[int, Slab] = {}
    next_slab: int = 0
    early: dict[str, Early] = {}
    bytes: int = 0
    shift: int = 0
    repeated: int = 0
    conflicts: int = 0
    collisions: int = 0
    orphans: int = 0
    too_late: int = 0


class Joined(msgspec.Struct):
    """Predictions with their labels: to add (`sign` 1) or to take back (-1), as they came."""

    version: str
    sign: int
    time_ms: NDArray[np.int64]
    row: NDArray[np.int64]
    predicted: Codes
    value: Floats
    score: Floats
    late: NDArray[np.uint16]
    segments: dict[str, Codes]
    label: Codes
    truth: Floats

    def take(self, keep: NDArray[np.bool_]) -> "Joined":
        """The rows that `keep` picks."""
        return Joined(
            version=self.version,
            sign=self.sign,
            time_ms=self.time_ms[keep],
            row=self.row[keep],
            predicted=self.predicted[keep],
            value=self.value[keep],
            score=self.score[keep],
            late=self.late[keep],
            segments={name: codes[keep] for name, codes in self.segments.items()},
            label=self.label[keep],
            truth=self.truth[keep],
        )


class Join:
    """The join of one model: `state` is what a checkpoint keeps, `index` follows from it."""

    def __init__(self, state: Pending) -> None:
        self.state = state
        self.index: dict[str, dict[str, int]] = {}
        for key in sorted(state.slabs):
            self._index(key, state.slabs[key])

    def _index(self, key: int, slab: Slab) -> None:
        first = key << ROW_BITS
        slots = self.index.setdefault(slab.version, {})
        slots.update(zip(slab.ids, range(first, first + len(slab.ids)), strict=True))

    def sampled(self) -> float:
        """Share of ids that take part."""
        return float(1.0 / (1 << self.state.shift))

    def sample(self, block: Block) -> NDArray[np.bool_] | None:
        """Mask of the rows that take part; None while all do."""
        if not self.state.shift:
            return None
        return np.fromiter((self.keeps(id_) for id_ in block.ids), np.bool_, len(block.ids))

    def keeps(self, id_: str) -> bool:
        """Whether the sample holds this id."""
        return not self.state.shift or id_hash(id_) >> (64 - self.state.shift) == 0

    def predict(self, block: Block, late: NDArray[np.uint16], *, values: bool) -> list[Joined]:
        """Remember the predictions of `block`, of which the sample keeps every row (`sample`).

        Gives those whose label was here already.
        """
        state = self.state
        slots = self.index.setdefault(block.version, {})
        state.collisions += sum(id_ in slots for id_ in block.ids)
        n = len(block.ids)
        key, state.next_slab = state.next_slab, state.next_slab + 1
        slab = Slab(
            version=block.version,
            ids=block.ids,
            row=block.row,
            time_ms=block.time_ms,
            predicted=block.predicted,
            score=block.score,
            segments=block.segments,
            late=late,
            label=np.full(n, -1, np.int32),
            labelled_ms=np.full(n, -1, np.int64),
            value=block.value if values else np.empty(0),
            truth=np.full(n, np.nan) if values else np.empty(0),
        )
        state.slabs[key] = slab
        state.bytes += slab_bytes(slab)
        self._index(key, slab)
        return self._meet(block, key)

    def _meet(self, block: Block, key: int) -> list[Joined]:
        early = self.state.early
        if not early:
            return []
        met = []
        for row, id_ in enumerate(block.ids):
            label = early.get(id_)
            if label is None or label.version not in (None, block.version):
                continue
            slot = key << ROW_BITS | row
            if self.index[block.version].get(id_) != slot:
                continue
            del early[id_]
            self._write(slot, label.label, label.truth, label.time_ms)
            met.append(slot)
        return [self.gather(block.version, met, 1)] if met else []

    def label(
        self,
        ids: list[str],
        version: str | None,
        label: Codes,
        truth: Floats,
        time_ms: NDArray[np.int64],
        now_ms: int,
        oldest_ms: int,
    ) -> list[Joined]:
        """Join one batch of labels; gives what to take back first, then what to add, by version.

        `oldest_ms` is the event time before which a prediction no longer takes a label.
        """
        versions = list(self.index) if version is None else [version]
        added: dict[str, list[int]] = {}
        removed: dict[str, list[tuple[int, int, float]]] = {}
        rows = zip(ids, label.tolist(), truth.tolist(), time_ms.tolist(), strict=True)
        for id_, code, value, at_ms in rows:
            if not self.keeps(id_):
                continue
            found = False
            for name in versions:
                slot = self.index.get(name, {}).get(id_)
                if slot is None:
                    continue
                found = True
                self._apply(name, slot, code, value, at_ms, oldest_ms, added, removed)
            if not found:
                self._hold(id_, Early(version, code, value, at_ms, now_ms))
        joined = [self._taken_back(name, old) for name, old in removed.items()]
        return joined + [self.gather(name, slots, 1) for name, slots in added.items()]

    def _apply(
        self,
        version: str,
        slot: int,
        code: int,
        value: float,
        at_ms: int,
        oldest_ms: int,
        added: dict[str, list[int]],
        removed: dict[str, list[tuple[int, int, float]]],
    ) -> None:
        slab, row = self.state.slabs[slot >> ROW_BITS], slot & ROW_MASK
        if slab.time_ms[row] < oldest_ms:
            self.state.too_late += 1
            return
        before_ms = int(slab.labelled_ms[row])
        if before_ms < 0:
            added.setdefault(version, []).append(slot)
        else:
            old_code = int(slab.label[row])
            old_value = float(slab.truth[row]) if len(slab.truth) else float("nan")
            if old_code == code and (old_value == value or not len(slab.truth)):
                self.state.repeated += 1
                return
            self.state.conflicts += 1
            if at_ms < before_ms:
                return
            if slot in added.get(version, ()):
                added[version].remove(slot)
            else:
                removed.setdefault(version, []).append((slot, old_code, old_value))
            added.setdefault(version, []).append(slot)
        self._write(slot, code, value, at_ms)

    def _write(self, slot: int, code: int, value: float, at_ms: int) -> None:
        slab, row = self.state.slabs[slot >> ROW_BITS], slot & ROW_MASK
        slab.label[row], slab.labelled_ms[row] = code, at_ms
        if len(slab.truth):
            slab.truth[row] = value

    def _hold(self, id_: str, label: Early) -> None:
        held = self.state.early.get(id_)
        if held is not None and held.time_ms > label.time_ms:
            return
        self.state.early[id_] = label

    def _taken_back(self, version: str, old: list[tuple[int, int, float]]) -> Joined:
        joined = self.gather(version, [slot for slot, _, _ in old], -1)
        joined.label = np.array([code for _, code, _ in old], np.int32)
        joined.truth = np.array([value for _, _, value in old])
        return joined

    def gather(self, version: str, slots: list[int], sign: int) -> Joined:
        """Columns of the predictions in `slots`, in that order."""
        places = np.array(slots, np.int64)
        keys, rows = places >> ROW_BITS, places & ROW_MASK
        n = len(slots)
        joined = Joined(
            version=version,
            sign=sign,
            time_ms=np.empty(n, np.int64),
            row=np.empty(n, np.int64),
            predicted=np.empty(n, np.int32),
            value=np.full(n, np.nan),
            score=np.empty(n),
            late=np.empty(n, np.uint16),
            segments={},
            label=np.empty(n, np.int32),
            truth=np.full(n, np.nan),
        )
        for key in np.unique(keys).tolist():
            slab, mine = self.state.slabs[key], keys == key
            picked = rows[mine]
            joined.time_ms[mine] = slab.time_ms[picked]
            joined.row[mine] = slab.row[picked]
            joined.predicted[mine] = slab.predicted[picked]
            joined.score[mine] = slab.score[picked]
            joined.late[mine] = slab.late[picked]
            joined.label[mine] = slab.label[picked]
            for name, codes in slab.segments.items():
                column = joined.segments.setdefault(name, np.full(n, -1, np.int32))
                column[mine] = codes[picked]
            if len(slab.truth):
                joined.value[mine] = slab.value[picked]
                joined.truth[mine] = slab.truth[picked]
        return joined

    def labelled(self, version: str, first_row: int, end_row: int) -> Joined:
        """Labelled predictions of `version` with row numbers in `[first_row, end_row)`."""
        slots = []
        for key in sorted(self.state.slabs):
            slab = self.state.slabs[key]
            if slab.version != version or slab.row[-1] < first_row or slab.row[0] >= end_row:
                continue
            inside = (slab.row >= first_row) & (slab.row < end_row) & (slab.labelled_ms >= 0)
            slots += [key << ROW_BITS | row for row in np.flatnonzero(inside).tolist()]
        return self.gather(version, slots, 1)

    def expire(self, oldest_ms: int) -> None:
        """Forget predictions and early labels that are past the horizon."""
        state = self.state
        for key in sorted(state.slabs):
            slab = state.slabs[key]
            if int(slab.time_ms.max()) >= oldest_ms:
                continue
            self._forget(key, slab)
        while state.early:
            id_ = next(iter(state.early))
            if state.early[id_].at_ms >= oldest_ms:
                break
            del state.early[id_]
            state.orphans += 1

    def _forget(self, key: int, slab: Slab) -> None:
        slots = self.index[slab.version]
        for row, id_ in enumerate(slab.ids):
            if slots.get(id_) == (key << ROW_BITS | row):
                del slots[id_]
        self.state.bytes -= slab_bytes(slab)
        del self.state.slabs[key]

    def shrink(self, most_bytes: int) -> list[tuple[Joined, Joined]]:
        """Halve the sample until the state fits; gives, by version, all rows and labelled rows that
        left.
        """
        left: list[tuple[Joined, Joined]] = []
        while self.state.bytes + 100 * len(self.state.early) > most_bytes and self.state.shift < 32:
            self.state.shift += 1
            for id_ in [id_ for id_ in self.state.early if not self.keeps(id_)]:
                del self.state.early[id_]
            for version, slots in self.index.items():
                gone = [slot for id_, slot in slots.items() if not self.keeps(id_)]
                if gone:
                    rows = self.gather(version, gone, -1)
                    known = [slot for slot in gone if self._is_labelled(slot)]
                    left.append((rows, self.gather(version, known, -1)))
            self._compact()
        return left

    def _is_labelled(self, slot: int) -> bool:
        return bool(self.state.slabs[slot >> ROW_BITS].labelled_ms[slot & ROW_MASK] >= 0)

    def _compact(self) -> None:
        state, self.index, state.bytes = self.state, {}, 0
        for key in sorted(state.slabs):
            slab = _take(state.slabs[key], [self.keeps(id_) for id_ in state.slabs[key].ids])
            if not slab.ids:
                del state.slabs[key]
                continue
            state.slabs[key] = slab
            state.bytes += slab_bytes(slab)
            self._index(key, slab)


def _take(slab: Slab, keep: list[bool]) -> Slab:
    kept = np.array(keep, np.bool_)
    return Slab(
        version=slab.version,
        ids=[id_ for id_, keeps in zip(slab.ids, keep, strict=True) if keeps],
        row=slab.row[kept],
        time_ms=slab.time_ms[kept],
        predicted=slab.predicted[kept],
        score=slab.score[kept],
        segments={name: codes[kept] for name, codes in slab.segments.items()},
        late=slab.late[kept],
        label=slab.label[kept],
        labelled_ms=slab.labelled_ms[kept],
        value=slab.value[kept] if len(slab.value) else slab.value,
        truth=slab.truth[kept] if len(slab.truth) else slab.truth,
    )


def id_hash(id_: str) -> int:
    """64 bits that every process gets from the same id."""
    return int.from_bytes(hashlib.blake2b(id_.encode(), digest_size=8).digest(), "big")


def slab_bytes(slab: Slab) -> int:
    """Estimate of what the slab takes in a checkpoint."""
    row = ROW_BYTES + 4 * len(slab.segments) + (16 if len(slab.truth) else 0)
    return sum(map(len, slab.ids)) + row * len(slab.ids)
