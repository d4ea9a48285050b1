"""Who sends little streams: the servers of one model, its labeller, and the people on call."""

import heapq
from random import Random
from typing import Any, cast

import msgspec

from inferwatch.records.definition import Task
from inferwatch.records.events import Deploy, MonitorChange, ReferenceChange, Resource, Verdict
from inferwatch.records.outputs import alert_fingerprint
from inferwatch.records.raw import JSON, RawRecord, headers
from inferwatch.testing.builders import raw_event, raw_inference, raw_labels
from inferwatch.testing.request import CLASSES, MINUTE_MS, Request, calls
from inferwatch.testing.watches import definition

LIFE_MS = MINUTE_MS  # of a serving process, until it begins anew


class Senders:
    """Those of one model: they number rows and batches, and owe their labels."""

    def __init__(self, model: str, draw: Random) -> None:
        self.model, self.draw = model, draw
        self.task = cast(Task, model.split("/")[0])
        self.versions = ["1"]
        self.rows = self.changes = 0
        self.sent: dict[str, tuple[int, int, int]] = {}
        self.owed: list[tuple[int, str, str | None, float | str]] = []

    def number(self, emitter: str, rows: int) -> dict[str, Any]:
        """The next `seq` of a sender with its counters, now and then with a row it had to drop."""
        seq, emitted, dropped = self.sent.get(emitter, (0, 0, 0))
        lost = int(self.draw.random() < 0.05)
        counters = (seq + 1, emitted + rows + lost, dropped + lost)
        self.sent[emitter] = counters
        return {"emitter": emitter, "seq": seq, "emitted": counters[1]}

    def answers(self, now_ms: int, rows_max: int, trouble: float) -> RawRecord:
        """A batch of rows of one version from one of two instances."""
        draw = self.draw
        n = 1 + int(draw.random() * rows_max)
        version = self.versions[-1] if draw.random() < 0.8 else self.versions[0]
        rows = [Request(draw, self.task, trouble) for _ in range(n)]
        ids = [f"{self.model}#{self.rows + row}" for row in range(n)]
        self.rows += n
        times = [self._event_time(now_ms) for _ in rows]
        for row, id_, at_ms in zip(rows, ids, times, strict=True):
            self._owe(id_, version, row.truth, min(at_ms, now_ms))
        instance = draw.choice(["a", "b"])
        emitter = f"{self.model}@{instance}"
        numbers = self.number(emitter, n)
        columns = ["amount", "age"] if draw.random() < 0.9 else ["age", "amount"]
        return raw_inference(
            n=n,
            model=self.model,
            version=version,
            offset=-1,
            record_time_ms=now_ms,
            time_ms=times,
            ids=ids,
            numeric={name: [row.numeric[name] for row in rows] for name in columns},
            categories={"kind": [row.kind for row in rows]},
            prediction=[row.answer for row in rows],
            score=None
            if self.task == "regression"
            else [row.score for row in rows]
            if self.task == "binary"
            else {name: [row.score_of(name) for row in rows] for name in CLASSES},
            latency_ms=[row.latency_ms for row in rows],
            error=[row.error for row in rows],
            segments={
                "country": [row.country for row in rows],
                "channel": [row.channel for row in rows],
            },
            llm=calls(rows) if n % 3 else None,
            embedding=[row.embedding(2 + (n % 3 > 0)) for row in rows] if n % 4 else None,
            entity=[f"{row.country}{row.kind}" for row in rows] if n % 4 else None,
            instance=instance,
            dropped={"queue_full": self.sent[emitter][2]},
            **numbers,
        )

    def single(self, now_ms: int, trouble: float) -> RawRecord:
        """One row as a JSON event, without a sender's number."""
        row = Request(self.draw, self.task, trouble)
        id_ = f"{self.model}#{self.rows}"
        self.rows += 1
        self._owe(id_, self.versions[-1], row.truth, now_ms)
        body = {
            "model": self.model,
            "version": self.versions[-1],
            "prediction_id": id_,
            "timestamp": now_ms,
            "features": {"age": row.numeric["age"], "kind": row.kind},
            "prediction": row.answer,
            "latency_ms": row.latency_ms,
            "segments": {"country": row.country},
        }
        if self.task != "regression":
            body["proba"] = row.score
        kind = headers("inference", id=id_, source="test", time="", content_type=JSON)
        return RawRecord(
            "events.v1", 0, -1, now_ms, self.model.encode(), msgspec.json.encode(body), kind
        )

    def _event_time(self, now_ms: int) -> int:
        """Mostly some seconds ago, sometimes minutes, rarely by a clock that is far ahead."""
        chance = self.draw.random()
        if chance < 0.01:
            return now_ms + 1_200_000
        if chance < 0.05:
            return now_ms - int(self.draw.random() * 5 * MINUTE_MS)
        return now_ms - int(self.draw.random() * 15_000)

    def _owe(self, id_: str, version: str, truth: float | str, at_ms: int) -> None:
        """Plan what the labeller will say of a row, if anything, and when."""
        draw = self.draw
        if draw.random() < 0.1:
            return
        named = version if draw.random() < 0.5 else None
        due_ms = at_ms + int(draw.expovariate(1 / 60_000))
        heapq.heappush(self.owed, (due_ms, id_, named, truth))
        if draw.random() < 0.05:
            heapq.heappush(self.owed, (due_ms + 20_000, id_, named, truth))
        if draw.random() < 0.05:
            other = Request(draw, self.task, 0.0).truth
            heapq.heappush(self.owed, (due_ms + 40_000, id_, named, other))

    def labels(self, now_ms: int, rows_max: int) -> RawRecord | None:
        """A batch of what is due; an orphan or the label of a row to come may be among it."""
        draw = self.draw
        due = [heapq.heappop(self.owed) for _ in range(rows_max) if self._is_due(now_ms)]
        if draw.random() < 0.1:
            ahead = self.rows + int(draw.random() * 20)
            truth = Request(draw, self.task, 0.0).truth
            due.append((now_ms - 1, f"{self.model}#{ahead}", None, truth))
        if not due:
            return None
        versions = {named for _, _, named, _ in due}
        version = due[0][2] if len(versions) == 1 else None
        numbers = self.number(f"{self.model}@labels", len(due))
        return raw_labels(
            model=self.model,
            version=version,
            offset=-1,
            record_time_ms=now_ms,
            time_ms=[due_ms for due_ms, _, _, _ in due],
            ids=[id_ for _, id_, _, _ in due],
            label=[truth for _, _, _, truth in due],
            emitter=numbers["emitter"],
            seq=numbers["seq"],
        )

    def _is_due(self, now_ms: int) -> bool:
        return bool(self.owed) and self.owed[0][0] <= now_ms

    def word(self, now_ms: int) -> RawRecord:
        """What a person or a server says beside the rows."""
        draw, version = self.draw, self.versions[-1]
        chance = draw.random()
        event: Any
        if chance < 0.4:
            cpu, memory = draw.random(), draw.random()
            event = Resource(
                model=self.model,
                version=version,
                instance=draw.choice(["a", "b"]),
                time_ms=now_ms - 1_000,
                cpu=cpu,
                memory=memory,
                throttled=cpu * memory,
                started_ms=now_ms - 1_000 - now_ms % LIFE_MS,
                hardware=f"{1 + now_ms // LIFE_MS % 2} x core",
            )
        elif chance < 0.6:
            if len(self.versions) < 3:
                self.versions.append(str(len(self.versions) + 1))
            event = Deploy(model=self.model, version=self.versions[-1], time_ms=now_ms)
        elif chance < 0.8:
            event = self._verdict(now_ms)
        elif chance < 0.85:
            version = draw.choice([None, version])
            event = ReferenceChange(
                model=self.model,
                action=draw.choice(["accept", "reset"]),
                time_ms=now_ms,
                version=version,
                author="on call",
            )
        else:
            self.changes += 1
            event = MonitorChange(model=self.model, definition=definition(self.model, self.changes))
        return raw_event(event, offset=-1, time_ms=now_ms)

    def _verdict(self, now_ms: int) -> Verdict:
        draw = self.draw
        alert, feature = draw.choice(
            [("Errors", ""), ("FewRows", ""), ("FeatureDrift", "amount"), ("ErrorShift", "")]
        )
        kind: Any = draw.choice(["ack", "silence", "unsilence", "useful", "noise"])
        return Verdict(
            model=self.model,
            fingerprint=alert_fingerprint(alert, self.model, self.versions[-1], feature, ""),
            verdict=kind,
            time_ms=now_ms,
            until_ms=now_ms + 2 * MINUTE_MS if kind == "silence" else None,
            author="on call",
        )
