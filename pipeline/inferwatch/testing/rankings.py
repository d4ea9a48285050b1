"""Streams of a model that ranks, as a search service would send them, the same for the same seed.

Items of a query come in one batch or over several, some without a score or a query; names of
queries come again after minutes. What was clicked comes early, late, doubled, corrected or never.
Two versions answer, rows are out of order or late, batches are repeated, rules change, and while it
is worse the best items stand last.
`definition` watches it on windows so short that they close all the time.
"""

import heapq
import math
from random import Random
from typing import Any

import msgspec

from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Reference,
    Window,
)
from inferwatch.records.events import Deploy, MonitorChange
from inferwatch.records.raw import RawRecord
from inferwatch.testing.builders import TIME_MS, raw_event, raw_inference, raw_labels, raw_tick

MODEL = "ranking/search"
START_MS = TIME_MS // 60_000 * 60_000
MINUTE_MS = 60_000
ITEMS_MAX = 6
NAMES = 40
"""So many queries have names of their own; the next has the first's again."""


def definition(model: str, change: int = 0) -> Definition:
    """What a ranking is watched by; the `change`-th changed definition moves a limit."""

    def below(value: float) -> Limit:
        return Limit(direction="below", value=value, clear=value)

    return Definition(
        model=ModelFacts(
            task="ranking",
            label_delay_ms=3 * MINUTE_MS,
            label_wait_ms=3 * MINUTE_MS,
            label_horizon_ms=8 * MINUTE_MS,
            segments=["country"],
            restate_every_ms=MINUTE_MS,
        ),
        reference=Reference(min_rows=60),
        windows=[
            Window(name="fast", size_ms=MINUTE_MS, grace_ms=10_000),
            Window(name="slow", size_ms=3 * MINUTE_MS, step_ms=MINUTE_MS, grace_ms=10_000),
            Window(name="batch", rows=60),
        ],
        checks=[
            Check(
                alert="OrderLost",
                metric="ndcg@5",
                window="slow",
                need=Need(labels=10, coverage=0.5),
                fail=below(0.7 + 0.01 * change),
            ),
            Check(
                alert="FirstHit",
                metric="mrr",
                window="batch",
                segment_by=["country"],
                need=Need(coverage=0.4),
                warn=Limit(direction="drop", value=0.1, relative=True, clear=0.1),
            ),
            Check(
                alert="NothingFound",
                metric="irrelevant_rate",
                window="fast",
                need=Need(labels=5),
                warn=Limit(direction="above", value=0.6, clear=0.6),
            ),
            Check(alert="Silent", metric="traffic", method="absent", for_ms=4 * MINUTE_MS),
        ],
    )


class _Service:
    """The search service and those who say what was clicked."""

    def __init__(self, draw: Random) -> None:
        self.draw = draw
        self.rows = self.batches = self.labelled = self.queries = self.changes = 0
        self.version = "1"
        self.open: list[tuple[str, str]] = []  # queries that go on, with their country
        self.owed: list[tuple[int, str, float]] = []

    def answers(self, now_ms: int, queries_max: int, trouble: float) -> RawRecord:
        """Items of queries that go on, and of new ones."""
        draw, items = self.draw, []
        going, self.open = self.open, []
        for query in [*going, *(self._query() for _ in range(1 + draw.randrange(queries_max)))]:
            items += [query] * draw.randint(1, ITEMS_MAX)
            if draw.random() < 0.2:
                self.open.append(query)
        draw.shuffle(items)
        ids = [f"i{self.rows + at}" for at in range(len(items))]
        self.rows, self.batches = self.rows + len(ids), self.batches + 1
        times = [self._event_time(now_ms) for _ in ids]
        worth = [float(draw.choice([0, 0, 0, 1, 2])) for _ in ids]
        for id_, at_ms, one in zip(ids, times, worth, strict=True):
            self._owe(id_, at_ms, one)
        return raw_inference(
            n=len(ids),
            model=MODEL,
            version="1" if draw.random() < 0.2 else self.version,
            offset=-1,
            emitter="search@a",
            seq=self.batches,
            record_time_ms=now_ms,
            time_ms=times,
            ids=ids,
            entity=[name for name, _ in items],
            score=[self._score(one, trouble) for one in worth],
            segments={"country": [country for _, country in items]},
        )

    def _query(self) -> tuple[str, str]:
        self.queries += 1
        name = f"q{self.queries % NAMES}" if self.draw.random() < 0.95 else ""
        return name, self.draw.choice(["DE", "FR"])

    def _score(self, worth: float, trouble: float) -> float:
        if self.draw.random() < 0.01:
            return math.nan
        signal = 0.3 * worth * (1.0 - 2.0 * trouble) + 0.3 * self.draw.random() + 0.3
        return round(min(max(signal, 0.0), 1.0), 1)  # so that there are ties

    def _event_time(self, now_ms: int) -> int:
        late = 4 * MINUTE_MS if self.draw.random() < 0.04 else 15_000
        return now_ms - int(self.draw.random() * late)

    def _owe(self, id_: str, at_ms: int, worth: float) -> None:
        """What will be said of an item, if anything, and when."""
        draw = self.draw
        if draw.random() < 0.03:
            return
        due_ms = at_ms + int(draw.expovariate(1 / 60_000))
        heapq.heappush(self.owed, (due_ms, id_, worth))
        if draw.random() < 0.05:
            heapq.heappush(self.owed, (due_ms + 20_000, id_, worth))
        if draw.random() < 0.05:
            heapq.heappush(self.owed, (due_ms + 40_000, id_, float(draw.choice([0, 3]))))

    def labels(self, now_ms: int) -> RawRecord | None:
        """What is due by now; the label of an item to come may be among it."""
        due = []
        while self.owed and self.owed[0][0] <= now_ms and len(due) < 60:
            due.append(heapq.heappop(self.owed))
        if self.draw.random() < 0.1:
            due.append((now_ms - 1, f"i{self.rows + self.draw.randrange(20)}", 1.0))
        if not due:
            return None
        self.labelled += 1
        return raw_labels(
            model=MODEL,
            offset=-1,
            emitter="clicks",
            seq=self.labelled,
            record_time_ms=now_ms,
            time_ms=[due_ms for due_ms, _, _ in due],
            ids=[id_ for _, id_, _ in due],
            label=[worth for _, _, worth in due],
        )

    def word(self, now_ms: int) -> RawRecord:
        """A second version, or other rules."""
        event: Any
        if self.version == "1":
            self.version = "2"
            event = Deploy(model=MODEL, version="2", time_ms=now_ms)
        else:
            self.changes += 1
            event = MonitorChange(model=MODEL, definition=definition(MODEL, self.changes))
        return raw_event(event, offset=-1, time_ms=now_ms)


def stream(seed: int, *, records: int = 120, queries_per_batch: int = 3) -> list[RawRecord]:
    """`records` records in log order, without places: `streams.placed` gives them.

    Record times ascend by 0 to 16 s. One batch in thirty is sent twice. From 0.5 to 0.7 of the
    stream the order is turned round.
    """
    draw = Random(f"ranking/{seed}")
    service, found, now_ms = _Service(draw), list[RawRecord](), START_MS
    while len(found) < records:
        now_ms += int(draw.random() * 16_000)
        chance, done = draw.random(), len(found) / records
        raw: RawRecord | None
        if chance < 0.15:
            raw = raw_tick(offset=-1, time_ms=now_ms)
        elif chance < 0.17:
            raw = service.word(now_ms)
        elif chance < 0.50:
            raw = service.labels(now_ms)
        elif chance < 0.53 and found:
            raw = msgspec.structs.replace(draw.choice(found), time_ms=now_ms)
        else:
            raw = service.answers(now_ms, queries_per_batch, 1.0 if 0.5 < done < 0.7 else 0.0)
        if raw is not None:
            found.append(raw)
    return found
