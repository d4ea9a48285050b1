"""Predictions that wait for their truth, joined by prediction id in either order.

Early, late, doubled and corrected labels all end in the batch answer: a correction takes the old
contribution back exactly. Above the memory cap the join runs on a sample of ids chosen by their
hash, the same on both sides, and `sampled` says which share that is.
"""

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

from inferwatch.core import early, sample
from inferwatch.core.columns import Block
from inferwatch.core.early import Early
from inferwatch.core.id_index import IdIndex, Slots
from inferwatch.core.joined import Joined
from inferwatch.core.pending import (
    ANSWER_BYTES,
    NONE_MS,
    SLAB_ROWS,
    Answers,
    Known,
    Pending,
    Slab,
    slab_bytes,
    slab_of,
    some,
    taken,
    together,
    unknown,
    widened,
)
from inferwatch.core.sample import Hashes
from inferwatch.core.watermark import NEVER
from inferwatch.records.ids import Ids, pack
from inferwatch.records.rows import Codes, Floats

ROW_BITS = 20
ROW_MASK = (1 << ROW_BITS) - 1


class Join:
    """The join of one model: `state` is what a checkpoint keeps, the rest follows from it."""

    def __init__(self, state: Pending) -> None:
        self.state = state
        self.index: dict[str, IdIndex] = {}
        self.known: dict[int, Known] = {}
        for key, slab in state.slabs.items():
            self._index(slab.version).put(sample.hashes(slab.ids), key << ROW_BITS)
            self.known[key] = unknown(len(slab.ids), len(slab.value))
        for piece in state.answers.values():
            truth = piece.truth if len(piece.truth) else np.full(len(piece.slot), np.nan)
            columns = (piece.slot, piece.label, piece.at_ms, truth)
            for answer in zip(*(column.tolist() for column in columns), strict=True):
                self._learn(*answer)
        for answer in state.answered:
            self._learn(*answer)

    def _index(self, version: str) -> IdIndex:
        found = self.index.get(version)
        if found is None:
            found = self.index[version] = IdIndex()
        return found

    def sampled(self) -> float:
        """Share of ids that take part."""
        return float(1.0 / (1 << self.state.shift))

    def sample(self, block: Block) -> NDArray[np.bool_] | None:
        """Mask of the rows that take part; None while all do."""
        if not self.state.shift:
            return None
        return sample.kept(block.hashes, self.state.shift)

    def predict(
        self,
        block: Block,
        late: NDArray[np.uint16],
        oldest_ms: NDArray[np.int64],
        sampled: NDArray[np.bool_] | None = None,
        *,
        values: bool,
    ) -> tuple[list[Joined], NDArray[np.bool_]]:
        """Remember the predictions of `block` that the sample keeps: `sampled` as from `sample`.

        `oldest_ms` is the label horizon before each row. Gives those whose label was here already,
        and the mask of the kept rows whose id was.
        """
        rows = slab_of(block, late, slice(None), sampled, values=values)
        if not len(rows.row):
            return [], np.zeros(0, np.bool_)
        hashes = block.hashes if sampled is None else block.hashes[sampled]
        first, again = self._remember(rows, hashes)
        oldest_ms = oldest_ms if sampled is None else oldest_ms[sampled]
        return self._meet(rows, hashes, first, oldest_ms), again

    def remember(
        self,
        block: Block,
        late: NDArray[np.uint16],
        span: slice,
        sampled: NDArray[np.bool_] | None = None,
        *,
        values: bool,
    ) -> NDArray[np.bool_]:
        """`predict` of the rows of `span`, none of which has a label yet: the mask alone."""
        rows = slab_of(block, late, span, sampled, values=values)
        if not len(rows.row):
            return np.zeros(0, np.bool_)
        hashes = block.hashes[span]
        return self._remember(rows, hashes if sampled is None else hashes[sampled[span]])[1]

    def _remember(self, rows: Slab, hashes: Hashes) -> tuple[int, NDArray[np.bool_]]:
        """Put rows behind those of their version; gives the slot of the first, and the mask of
        those whose id was there.
        """
        key, base = self._append(rows)
        first = key << ROW_BITS | base
        again = self._index(rows.version).put(hashes, first)
        self.state.collisions += int(np.count_nonzero(again))
        return first, again

    def room(self, version: str) -> tuple[int, int]:
        """How many rows fill the open slab, and the time of the oldest that may expire."""
        state = self.state
        key = state.open.get(version)
        held = 0 if key is None else len(state.slabs[key].ids)
        due = [int(state.slabs[key].time_ms[0]) for key in state.open.values()]
        due += [slab.newest_ms for slab in islice(state.slabs.values(), 1)]
        due += [label.at_ms for label in islice(state.early.values(), 1)]
        return SLAB_ROWS - held, min(due, default=NEVER)

    def _append(self, rows: Slab) -> tuple[int, int]:
        """Put rows behind those of their version; gives the slab and the place of the first."""
        state = self.state
        key = state.open.get(rows.version)
        if key is not None and bool(len(state.slabs[key].value)) != bool(len(rows.value)):
            del state.open[rows.version]
            key = None
        if key is None:
            key, state.next_slab = state.next_slab, state.next_slab + 1
            state.slabs[key], base = rows, 0
            self.known[key] = unknown(len(rows.ids), len(rows.value))
            state.open[rows.version] = key
        else:
            base = len(state.slabs[key].ids)
            state.slabs[key] = together(state.slabs[key], rows)
            known, more = self.known[key], unknown(len(rows.ids), len(rows.value))
            self.known[key] = Known(
                np.concatenate([known.label, more.label]),
                np.concatenate([known.at_ms, more.at_ms]),
                np.concatenate([known.truth, more.truth]),
            )
        if state.slabs[key].full():
            del state.open[rows.version]
        state.bytes += slab_bytes(rows)
        return key, base

    def _meet(
        self, rows: Slab, hashes: Hashes, first: int, oldest_ms: NDArray[np.int64]
    ) -> list[Joined]:
        """Rows that a label waits for; past the horizon they take none, as of one behind them."""
        held = self.state.early
        if not held:
            return []
        met: dict[int, int] = {}
        for row, id_ in early.awaited(held, rows.ids, hashes):
            label = early.claim(held, id_, rows.version, int(oldest_ms[row]))
            if label is None:
                continue
            if rows.time_ms[row] < oldest_ms[row]:
                self.state.too_late += 1
                continue
            self._write(first + row, label.label, label.truth, label.time_ms)
            met[first + row] = label.time_ms
        return [_delayed(self.gather(rows.version, [*met], 1), [*met], met)] if met else []

    def label(
        self,
        ids: Ids,
        version: str | None,
        label: Codes,
        truth: Floats,
        time_ms: NDArray[np.int64],
        since_ms: NDArray[np.int64],
        oldest_ms: int,
    ) -> list[Joined]:
        """Join one batch of labels; gives what to take back first, then what to add, by version.

        `oldest_ms` is the event time before which a prediction no longer takes a label, `since_ms`
        that from which labels wait whose predictions are not here.
        """
        versions = sorted(self.index) if version is None else [version]
        added: dict[str, list[int]] = {}
        removed: dict[str, list[tuple[int, int, float]]] = {}
        first: dict[int, int] = {}
        hashes = sample.hashes(ids)
        mine = np.flatnonzero(self._taking_part(hashes)).tolist()
        slots = {
            name: self.index[name].get(hashes).tolist() for name in versions if name in self.index
        }
        columns = (label.tolist(), truth.tolist(), time_ms.tolist(), since_ms.tolist())
        for at in mine:
            code, value, at_ms, waits_ms = (column[at] for column in columns)
            found = False
            for name, places in slots.items():
                slot = places[at]
                if slot < 0 or not self._is(slot, ids.raw(at)):
                    continue
                found = True
                self._apply(name, slot, code, value, at_ms, oldest_ms, added, removed, first)
            if not found:
                self._hold(ids[at], Early(version, code, value, at_ms, waits_ms))
        joined = [self._taken_back(name, old) for name, old in removed.items()]
        return joined + [
            _delayed(self.gather(name, slots, 1), slots, first) for name, slots in added.items()
        ]

    def _taking_part(self, hashes: Hashes) -> NDArray[np.bool_]:
        return sample.kept(hashes, self.state.shift)

    def _is(self, slot: int, id_: bytes) -> bool:
        """Whether the prediction has this very id: two ids may share a hash."""
        return self.state.slabs[slot >> ROW_BITS].ids.raw(slot & ROW_MASK) == id_

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
        first: dict[int, int],
    ) -> None:
        key, row = slot >> ROW_BITS, slot & ROW_MASK
        known = self.known[key]
        if self.state.slabs[key].time_ms[row] < oldest_ms:
            self.state.too_late += 1
            return
        before_ms = int(known.at_ms[row])
        if before_ms == NONE_MS:
            added.setdefault(version, []).append(slot)
            first[slot] = at_ms
        else:
            old_code = int(known.label[row])
            old_value = float(known.truth[row]) if len(known.truth) else float("nan")
            if old_code == code and (old_value == value or not len(known.truth)):
                self.state.repeated += 1
                if at_ms > before_ms:  # what comes later, but is older than this, corrects nothing
                    self._write(slot, code, value, at_ms)
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
        state = self.state
        self._learn(slot, code, at_ms, value)
        state.answered.append((slot, code, at_ms, value))
        state.bytes += ANSWER_BYTES
        if len(state.answered) >= SLAB_ROWS:
            slots, labels, times, truths = zip(*state.answered, strict=True)
            state.answers[state.next_answers] = Answers(
                np.array(slots, np.int64),
                np.array(labels, np.int32),
                np.array(times, np.int64),
                some(truths),
            )
            state.next_answers += 1
            state.answered = []

    def _learn(self, slot: int, code: int, at_ms: int, value: float) -> None:
        known = self.known.get(slot >> ROW_BITS)
        if known is None:  # the slab has expired, the piece that holds its answers not yet
            return
        row = slot & ROW_MASK
        known.label[row], known.at_ms[row] = code, at_ms
        if len(known.truth):
            known.truth[row] = value

    def _hold(self, id_: str, label: Early) -> None:
        early.hold(self.state.early, id_, label)

    def _taken_back(self, version: str, old: list[tuple[int, int, float]]) -> Joined:
        joined = self.gather(version, [slot for slot, _, _ in old], -1)
        joined.label = np.array([code for _, code, _ in old], np.int32)
        joined.truth = np.array([value for _, _, value in old])
        return joined

    def gather(self, version: str, slots: Sequence[int] | Slots, sign: int) -> Joined:
        """Columns of the predictions in `slots`, in that order."""
        places = np.asarray(slots, np.int64)
        rows, n = places & ROW_MASK, len(places)
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
            delay_ms=np.full(n, np.nan),
        )
        for key, mine in _by_slab(places):
            slab, known, picked = self.state.slabs[key], self.known[key], rows[mine]
            joined.time_ms[mine] = slab.time_ms[picked]
            joined.row[mine] = slab.row[picked]
            joined.predicted[mine] = slab.predicted[picked]
            joined.score[mine] = slab.score[picked]
            joined.late[mine] = slab.late[picked]
            joined.label[mine] = known.label[picked]
            for name, codes in slab.segments.items():
                column = joined.segments.setdefault(name, np.full(n, -1, np.int32))
                column[mine] = codes[picked]
            if len(slab.value):
                joined.value[mine] = slab.value[picked]
                joined.truth[mine] = known.truth[picked]
            if slab.scores is not None:
                joined.scores = widened(joined.scores, len(slab.scores), n)
                joined.scores[: len(slab.scores), mine] = slab.scores[:, picked]
        return joined

    def labelled(self, version: str, first_row: int, end_row: int, oldest_ms: int) -> Joined:
        """Labelled predictions of `version` with row numbers in `[first_row, end_row)`, those that
        are not past `oldest_ms`, however long their slabs are kept.
        """
        slots = []
        for key, slab in self.state.slabs.items():
            if slab.version != version or slab.row[-1] < first_row or slab.row[0] >= end_row:
                continue
            inside = (slab.row >= first_row) & (slab.row < end_row)
            inside &= (self.known[key].at_ms != NONE_MS) & (slab.time_ms >= oldest_ms)
            slots += [key << ROW_BITS | row for row in np.flatnonzero(inside).tolist()]
        return self.gather(version, slots, 1)

    def expire(self, oldest_ms: int) -> None:
        """Forget predictions and early labels that are past the horizon, oldest slabs first."""
        state = self.state
        for version, key in [*state.open.items()]:
            if state.slabs[key].time_ms[0] < oldest_ms:
                del state.open[version]  # or a version of few rows would keep all that came behind
        first = self._expire_slabs(oldest_ms)
        while state.answers:
            number = next(iter(state.answers))
            if int(state.answers[number].slot.max()) >= first:
                break
            state.bytes -= ANSWER_BYTES * len(state.answers.pop(number).slot)
        state.orphans += early.expire(state.early, oldest_ms)

    def _expire_slabs(self, oldest_ms: int) -> int:
        """Forget the oldest slabs while they are past the horizon: the first slot that is left."""
        state, known = self.state, len(self.state.slabs)
        while state.slabs:
            key = next(iter(state.slabs))
            if state.slabs[key].newest_ms >= oldest_ms:
                break
            self._forget(key)
        first = next(iter(state.slabs), state.next_slab) << ROW_BITS
        if len(state.slabs) < known:
            for index in self.index.values():
                index.forget(first)
            self.index = {name: index for name, index in self.index.items() if not index.empty()}
        return first

    def _forget(self, key: int) -> None:
        slab = self.state.slabs.pop(key)
        del self.known[key]
        if self.state.open.get(slab.version) == key:
            del self.state.open[slab.version]
        self.state.bytes -= slab_bytes(slab)

    def room_bytes(self, most_bytes: int) -> int:
        """What the state may still take; below 0 it is to shrink."""
        return most_bytes - self.state.bytes - 100 * len(self.state.early)

    def shrink(self, most_bytes: int) -> list[tuple[Joined, Joined]]:
        """Halve the sample until the state fits; gives, by version, all rows and labelled rows that
        left.
        """
        left: list[tuple[Joined, Joined]] = []
        while self.room_bytes(most_bytes) < 0 and self.state.shift < 32:
            self.state.shift += 1
            shift = self.state.shift
            held = list(self.state.early)
            for place in np.flatnonzero(~sample.kept(sample.hashes(pack(held)), shift)).tolist():
                del self.state.early[held[place]]
            for version in sorted(self.index):
                left += self._leaving(version)
            self._compact()
        return left

    def _leaving(self, version: str) -> list[tuple[Joined, Joined]]:
        """All rows and labelled rows that leave the sample, if any."""
        gone = self._gone(version)
        if not len(gone):
            return []
        labelled = gone[self._labelled(gone)]
        return [(self.gather(version, gone, -1), self.gather(version, labelled, -1))]

    def _gone(self, version: str) -> Slots:
        """Slots of the predictions that the sample no longer keeps, older ones of an id too."""
        gone = [
            np.flatnonzero(~self._kept(slab)) + (key << ROW_BITS)
            for key, slab in self.state.slabs.items()
            if slab.version == version
        ]
        return np.concatenate([np.empty(0, np.int64), *gone])

    def _kept(self, slab: Slab) -> NDArray[np.bool_]:
        return sample.kept(sample.hashes(slab.ids), self.state.shift)

    def _labelled(self, slots: Slots) -> NDArray[np.bool_]:
        """Which of the predictions have a label."""
        found = np.zeros(len(slots), np.bool_)
        for key, mine in _by_slab(slots):
            found[mine] = self.known[key].at_ms[slots[mine] & ROW_MASK] != NONE_MS
        return found

    def _compact(self) -> None:
        """Cut everything anew out of the rows that the sample still keeps."""
        state = self.state
        slabs, known = state.slabs, self.known
        state.slabs, state.open, state.answers, state.answered = {}, {}, {}, []
        state.bytes, self.index, self.known = 0, {}, {}
        for key, slab in slabs.items():
            keep = self._kept(slab)
            if not keep.any():
                continue
            hashes = sample.hashes(slab.ids)
            at, base = self._append(taken(slab, keep))
            self._index(slab.version).put(hashes[keep], at << ROW_BITS | base)
            answer, rows = known[key], np.flatnonzero(keep)
            for new in np.flatnonzero(answer.at_ms[rows] != NONE_MS).tolist():
                row, slot = rows[new], at << ROW_BITS | (base + new)
                truth = float(answer.truth[row]) if len(answer.truth) else float("nan")
                self._write(slot, int(answer.label[row]), truth, int(answer.at_ms[row]))


def _by_slab(slots: Slots) -> Iterator[tuple[int, slice | NDArray[np.int64]]]:
    """The slabs of some slots, and which of these are in each. Cost: a sort where they are not in
    order.
    """
    keys = slots >> ROW_BITS
    order = None if (keys[1:] >= keys[:-1]).all() else np.argsort(keys, kind="stable")
    ordered = keys if order is None else keys[order]
    bounds = [*np.flatnonzero(np.diff(ordered, prepend=-1)).tolist(), len(keys)]
    for first, end in pairwise(bounds):
        mine = slice(first, end) if order is None else order[first:end]
        yield int(ordered[first]), mine


def _delayed(joined: Joined, slots: list[int], first: dict[int, int]) -> Joined:
    """`joined` with the delays of first labels, whose own times are `first` by slot.

    A label that says it was before its prediction came at once.
    """
    times = np.array([first.get(slot, NONE_MS) for slot in slots], np.int64)
    delays = np.maximum(times - joined.time_ms, 0)
    joined.delay_ms = np.where(times == NONE_MS, np.nan, delays)
    return joined
