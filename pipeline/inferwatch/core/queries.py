"""The join of a ranking: rows belong to queries, and a query counts as a whole.

The rows of a query name it in `entity`. It counts while each of its rows is labelled and has a
score: a row that comes later takes it back until that one too has its label, a corrected label
changes it. So what counts follows from the rows and labels there are, whatever their order. It
stands where its first row does: in that row's window and segments. Once that row is past the label
horizon it changes no more, and a row that names it begins a new one. Where the join samples, it
samples queries, and a label that comes before its row is lost.

State: 16 bytes a waiting row, in its slab. Memory: about 100 bytes a waiting row beside it.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import sample
from inferwatch.core.columns import Block
from inferwatch.core.early import Early
from inferwatch.core.joined import Joined
from inferwatch.core.labels import ROW_BITS, ROW_MASK, Join
from inferwatch.core.metrics import ranking
from inferwatch.core.pending import Pending, Slab
from inferwatch.core.sample import Hashes
from inferwatch.records.ids import Ids
from inferwatch.records.rows import Codes, Floats

ROWS_MAX = 1_000
NONE = -1
Name = tuple[str, int]
"""A version with the hash of a query, or with the number of its first row."""


class Query(msgspec.Struct):
    """Rows of one query by their slots, in log order, one more than `ROWS_MAX` at most."""

    time_ms: int
    slots: list[int]


class QueryJoin(Join):
    """A join that gives, beside labelled rows, the queries that became whole or are no more."""

    def __init__(self, state: Pending, horizon_ms: int) -> None:
        super().__init__(state)
        self.horizon_ms = horizon_ms
        self._clear()
        for key, slab in state.slabs.items():
            self._add(slab, key << ROW_BITS)

    def _clear(self) -> None:
        self.newest: dict[Name, int] = {}
        self.queries: dict[Name, Query] = {}

    def sample(self, block: Block) -> NDArray[np.bool_] | None:
        """Mask of the rows whose query takes part; None while all do."""
        if not self.state.shift:
            return None
        return sample.kept(_drawn(_named(block), block.hashes), self.state.shift)

    def predict(
        self,
        block: Block,
        late: NDArray[np.uint16],
        oldest_ms: NDArray[np.int64],
        sampled: NDArray[np.bool_] | None = None,
        *,
        values: bool,
    ) -> tuple[list[Joined], NDArray[np.bool_]]:
        """As of any join; and the queries whose worth the rows change, taken back and added."""
        version, hashes = block.version, block.hashes
        block.query = self._placed(block)
        kept = slice(None) if sampled is None else sampled
        touched = [*self._of_slots(version, hashes[kept]), *block.query[1, kept].tolist()]
        before = self._whole(version, touched, -1)
        met, again = super().predict(block, late, oldest_ms, sampled, values=values)
        after = self._whole(version, touched, 1)
        return [*_changed(before, after), *met, *_changed(after, before)], again

    def _placed(self, block: Block) -> NDArray[np.int64]:
        """int64[2, n]: hash of each row's query and number of its first row, NONE without one."""
        hashes, first = _named(block).view(np.int64), []
        now_ms = np.maximum(block.before_ms, block.time_ms)
        oldest_ms = np.maximum(now_ms - self.horizon_ms, self.state.closed_ms)
        begun: dict[int, tuple[int, int]] = {}
        rows = (hashes.tolist(), block.row.tolist(), block.time_ms.tolist(), oldest_ms.tolist())
        for name, row, at_ms, least_ms in zip(*rows, strict=True):
            if not name:
                first.append(NONE)
                continue
            known = begun.get(name) or self._begun(block.version, name)
            if known is None or known[1] < least_ms:
                known = (row, at_ms)
            begun[name] = known
            first.append(known[0])
        return np.stack([hashes, np.array(first, np.int64)])

    def _begun(self, version: str, name: int) -> tuple[int, int] | None:
        """First row and its time of the newest query of this name."""
        first = self.newest.get((version, name))
        return None if first is None else (first, self.queries[version, first].time_ms)

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
        """As of any join; and the queries whose worth the labels change, taken back and added."""
        self.state.closed_ms = max(self.state.closed_ms, oldest_ms)
        hashes = sample.hashes(ids)
        touched = {
            name: self._of_slots(name, hashes)
            for name in (sorted(self.index) if version is None else [version])
            if name in self.index
        }
        before = [one for name, first in touched.items() for one in self._whole(name, first, -1)]
        joined = super().label(ids, version, label, truth, time_ms, since_ms, oldest_ms)
        after = [one for name, first in touched.items() for one in self._whole(name, first, 1)]
        return [*_changed(before, after), *joined, *_changed(after, before)]

    def _of_slots(self, version: str, hashes: Hashes) -> list[int]:
        """First rows of the queries of the predictions with these ids."""
        slots = self._index(version).get(hashes)
        found = []
        for slot in slots[slots >= 0].tolist():
            slab = self.state.slabs[slot >> ROW_BITS]
            if slab.query is not None:
                found.append(int(slab.query[1, slot & ROW_MASK]))
        return found

    def _whole(self, version: str, touched: list[int], sign: int) -> list[Joined]:
        """The queries, by their first rows, that are open and have a label, as rows of their first.

        Those that are not whole are NaN: nothing to add, but their window has been touched.
        """
        open_ = [
            query
            for first in dict.fromkeys(touched)
            if (query := self.queries.get((version, first))) is not None
            and query.time_ms >= self.state.closed_ms
        ]
        if not open_:
            return []
        rows = self.gather(version, [slot for query in open_ for slot in query.slots], sign)
        mine, ends = self._current(version, open_), np.cumsum([len(q.slots) for q in open_])
        heads, worths = [], []
        for query, end in zip(open_, ends.tolist(), strict=True):
            part = slice(end - len(query.slots), end)
            score, truth = rows.score[part][mine[part]], rows.truth[part][mine[part]]
            if np.isfinite(truth).any():
                heads.append(query.slots[0])
                short = len(query.slots) <= ROWS_MAX
                worths.append(ranking.worth(score if short else np.full(1, np.nan), truth))
        if not heads:
            return []
        joined = self.gather(version, heads, sign)
        joined.queries = np.stack(worths, axis=1)
        return [joined]

    def _current(self, version: str, queries: list[Query]) -> NDArray[np.bool_]:
        """Which of the queries' rows no later row of the same id has replaced."""
        slots = np.array([slot for query in queries for slot in query.slots], np.int64)
        if not self.state.collisions:
            return np.ones(len(slots), np.bool_)
        return np.asarray(self._index(version).get(self._hashes(slots)) == slots)

    def _hashes(self, slots: NDArray[np.int64]) -> Hashes:
        """Hashes of the ids at these slots."""
        found, keys = np.empty(len(slots), np.uint64), slots >> ROW_BITS
        for key in np.unique(keys).tolist():
            of_slab = sample.hashes(self.state.slabs[key].ids)
            found[keys == key] = of_slab[slots[keys == key] & ROW_MASK]
        return found

    # ── what the join keeps, as it comes and goes ────────────────────────────────────────────────

    def _append(self, rows: Slab) -> tuple[int, int]:
        key, base = super()._append(rows)
        self._add(rows, key << ROW_BITS | base)
        return key, base

    def _add(self, rows: Slab, slot: int) -> None:
        """Rows that are at `slot` and behind it; those of a query whose first is gone are left."""
        if rows.query is None:
            return
        columns = (*rows.query.tolist(), rows.row.tolist(), rows.time_ms.tolist())
        for at, (name, first, row, at_ms) in enumerate(zip(*columns, strict=True), slot):
            query = self.queries.get((rows.version, first))
            if first == row:
                self.queries[rows.version, first] = Query(at_ms, [at])
                self.newest[rows.version, name] = first
            elif query is not None and len(query.slots) <= ROWS_MAX:
                query.slots.append(at)

    def _forget(self, key: int) -> None:
        slab = self.state.slabs[key]
        if slab.query is not None:
            began = slab.query[:, slab.query[1] == slab.row]
            for name, first in began.T.tolist():
                self.queries.pop((slab.version, first), None)
                if self.newest.get((slab.version, name)) == first:
                    del self.newest[slab.version, name]
        super()._forget(key)

    # ── above the memory cap ─────────────────────────────────────────────────────────────────────

    def _taking_part(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Any label may be of a query of the sample: a label does not name it."""
        return np.ones(len(hashes), np.bool_)

    def _hold(self, id_: str, label: Early) -> None:
        if not self.state.shift:
            super()._hold(id_, label)

    def _kept(self, slab: Slab) -> NDArray[np.bool_]:
        hashes = sample.hashes(slab.ids)
        if slab.query is not None:
            hashes = _drawn(slab.query[0].view(np.uint64), hashes)
        return sample.kept(hashes, self.state.shift)

    def _leaving(self, version: str) -> list[tuple[Joined, Joined]]:
        """As of any join; and the queries that leave as a whole."""
        names = [item for item in self.newest.items() if item[0][0] == version]
        hashes = np.array([name for (_, name), _ in names], np.int64).view(np.uint64)
        kept = sample.kept(hashes, self.state.shift).tolist()
        gone = [first for (_, first), stays in zip(names, kept, strict=True) if not stays]
        whole = [(self.gather(version, [], -1), one) for one in self._whole(version, gone, -1)]
        return [*whole, *super()._leaving(version)]

    def _compact(self) -> None:
        self._clear()
        super()._compact()


def _changed(queries: list[Joined], other: list[Joined]) -> list[Joined]:
    """Those of the queries that `other` does not have with the same worth, NaN equal to NaN.

    The rest must not touch their windows, which would be published anew as they were.
    """
    known = {worth for one in other for worth in _worths(one)}
    parts = [
        one.take(np.array([worth not in known for worth in _worths(one)], np.bool_))
        for one in queries
    ]
    return [part for part in parts if len(part.row)]


def _worths(queries: Joined) -> list[tuple[str, int, bytes]]:
    """Version, first row and worth of each query."""
    worths = () if queries.queries is None else queries.queries.T
    rows = zip(queries.row.tolist(), worths, strict=True)
    return [(queries.version, row, worth.tobytes()) for row, worth in rows]


def _named(block: Block) -> Hashes:
    """Hash of each row's query, 0 where it names none."""
    return np.zeros(len(block.row), np.uint64) if block.entities is None else block.entities


def _drawn(named: Hashes, hashes: Hashes) -> Hashes:
    """What the sample is drawn by: the query, of a row without one its id."""
    return np.where(named == 0, hashes, named)
