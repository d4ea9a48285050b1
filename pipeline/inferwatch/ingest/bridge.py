"""Single JSON events of another topic become batches of ours; what is none is sent on as it is.

A source offset is committed when every record with rows up to it is acknowledged, so a crash loses
nothing. What is read again after it goes out in other batches, whose rows the fold knows by their
source offsets. Memory is bounded by what may be open, on its way and fetched ahead, about 150 MB.
"""

import gc
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from inferwatch import reach
from inferwatch.connection import REFUSALS, Connection
from inferwatch.core.output import FORWARDED
from inferwatch.errors import (
    ConfigError,
    DeniedError,
    Exit,
    TransientError,
    UsageError,
)
from inferwatch.ingest import plain
from inferwatch.ingest.groups import AGE_MAX_S, Batch, Group, Source, fullest
from inferwatch.ingest.sender import Sender
from inferwatch.records.raw import MSGPACK, headers
from inferwatch.telemetry.metrics import BridgeMetrics

READ_ROWS = 500
READ_S = 0.1
OPEN_MAX_BYTES = 32 << 20
COMMIT_S = 1.0
STATUS_S = 10.0
DRAIN_S = 20.0
REVOKED_S = 5.0
PATIENCE_S = 10.0
STALLED_S = 60.0
LIMITS = {
    "session.timeout.ms": 10_000,
    "queued.max.messages.kbytes": 16_384,
    "fetch.queue.backoff.ms": 20,  # behind a full queue; by default a second of reading nothing
    "log_level": 2,
}
PROMISES = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
}


def run(
    connection: Connection,
    topic: str,
    group: str,
    serve: Callable[["Status"], object] = lambda _: None,
) -> int:
    """Move rows until SIGTERM or Ctrl-C; the exit code. `serve` shows how it goes, over HTTP.

    :raises UsageError: `topic` is the one that is written to.
    :raises ConfigError: a topic is not there.
    :raises DeniedError: the brokers refuse a right.
    :raises TransientError: no broker answers, or a record was not taken.
    """
    if topic == connection.topic("events.v1"):
        raise UsageError(f"--from {topic}: workers read this topic themselves")
    bridge = Bridge(connection, topic, group)
    serve(bridge.status)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: bridge.stop())
    return bridge.run()


class Bridge:
    """One process of the group that reads `topic`."""

    def __init__(self, connection: Connection, topic: str, group: str) -> None:
        self._connection, self._topic, self._group = connection, topic, group
        self._sources: dict[int, Source] = {}
        self._stopped = False
        self._refused: KafkaError | None = None
        self._sender = Sender(connection)
        self.status = Status(topic)
        self._consumer = Consumer(
            {
                **LIMITS,
                **connection.librdkafka(**{"group.id": group, **PROMISES}),
                "error_cb": self._told,
            }
        )

    def stop(self) -> None:
        """Read no more, finish what is open."""
        self._stopped = True

    def run(self) -> int:
        """Until stopped; raises as the module's `run`."""
        there, consumer = self._connection, self._consumer
        reach.partitions(there, consumer, self._topic, key="--from", fix="check the name")
        reach.partitions(there, consumer, self._sender.topic, operation="Write")
        self._consumer.subscribe(
            [self._topic],
            on_assign=self._assigned,
            on_revoke=self._revoked,
            on_lost=self._lost,
        )
        commit_s = time.monotonic()
        gc.freeze()  # the collector need not walk all modules for every few thousand rows
        while not self._stopped:
            self._step()
            now_s = time.monotonic()
            if now_s - commit_s >= COMMIT_S:
                self._commit()
                commit_s = now_s
            self.status.tell(now_s)
        return self._drain()

    def _step(self) -> None:
        if self._refused is not None:
            raise self._failure(self._refused)
        if self._sender.full():
            self._sender.poll(READ_S)
            return
        self._take(self._consumer.consume(READ_ROWS, READ_S))
        self._close(time.monotonic() - AGE_MAX_S)
        open_bytes = sum(source.open_bytes for source in self._sources.values())
        if open_bytes > OPEN_MAX_BYTES:
            for source, group in fullest(self._sources.values(), open_bytes // 2):
                self._send(source, group)
        self._sender.poll()

    def _take(self, messages: list[Any]) -> None:
        now_s = time.monotonic()
        for message in messages:
            problem = message.error()
            if problem is not None:
                self._problem(problem)
                continue
            source, offset = self._sources.get(message.partition()), message.offset()
            if source is None:
                continue  # taken away while it was fetched: whoever has the partition reads it
            if offset < source.position:
                self.status.repeated += 1
                continue
            body, described = message.value(), message.headers()
            event = plain.read(described, body)
            if event is None:
                event, body = plain.carefully(described, body) or (None, None)
            if event is None:
                self._forward(source, message)
            else:
                full = source.add(event, body, message, now_s)
                if full is not None:
                    self._send(source, full)
            source.position = offset + 1

    def _forward(self, source: Source, message: Any) -> None:
        place = f"{source.emitter}@{message.offset()}"
        described = [header for header in message.headers() or () if header[0] != FORWARDED]
        described.append((FORWARDED, place.encode()))  # by it a repeat is known
        what = (message.key(), message.value(), described)
        if self._sender.send(source, message.offset(), *what):
            self.status.forwarded += 1
        else:
            self.status.lose(place)

    def _send(self, source: Source, group: Group) -> None:
        word = "label" if isinstance(group.events[0], plain.Label) else "inference"
        key = group.events[0].model.encode()
        made = datetime.now(UTC).isoformat()
        for found in group.batches(source.emitter):
            if not isinstance(found, Batch):
                self._forward(source, found)
                continue
            id_ = f"{source.emitter}-{found.first}"
            described = headers(
                word, id=id_, source=source.emitter, time=made, content_type=MSGPACK
            )
            if not self._sender.send(source, found.first, key, found.body, list(described.items())):
                raise AssertionError(f"a batch of {len(found.body)} bytes")
            self.status.batches += 1
            self.status.rows += found.rows

    def _close(self, before_s: float) -> None:
        for source in self._sources.values():
            for group in source.due(before_s):
                self._send(source, group)

    def _commit(self) -> None:
        places = [
            TopicPartition(self._topic, number, source.settled())
            for number, source in self._sources.items()
            if source.settled() > source.committed
        ]
        if not places:
            return
        try:
            done = self._consumer.commit(offsets=places, asynchronous=False)
        except KafkaException as error:
            self._problem(error.args[0])  # in a rebalance: the next commit holds these too
            return
        for place in done:
            if place.error is None:
                self._sources[place.partition].committed = place.offset
            else:
                self._problem(place.error)

    def _assigned(self, _: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            self._sources[place.partition] = Source(self._topic, place.partition)
        self.status.partitions, self.status.assigned = len(self._sources), True

    def _revoked(self, _: Consumer, places: list[TopicPartition]) -> None:
        self._close(time.monotonic())
        self._sender.flush(REVOKED_S)
        self._commit()
        self._lost(self._consumer, places)

    def _lost(self, _: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            self._sources.pop(place.partition, None)
        self.status.partitions = len(self._sources)

    def _drain(self) -> int:
        self._close(time.monotonic())
        sent = self._sender.flush(DRAIN_S)
        self._commit()
        self._consumer.close()
        self.status.tell(time.monotonic(), last=True)
        return Exit.DONE if sent else Exit.DRAIN_DEADLINE

    def _told(self, error: KafkaError) -> None:
        if error.fatal() or error.code() in (*REFUSALS, KafkaError._AUTHENTICATION):
            self._refused = error

    def _problem(self, error: KafkaError) -> None:
        """Raise what only the operator can change; show the rest in the status, it passes."""
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise ConfigError(
                f"there is no topic {self._topic}", key="--from", fix="check the name"
            )
        if error.fatal() or error.code() in REFUSALS:
            raise self._failure(error)
        self.status.trouble = error.str()

    def _failure(self, error: KafkaError) -> DeniedError | TransientError:
        if error.code() == KafkaError._AUTHENTICATION:
            who = self._connection.principal()
            return DeniedError(f"the brokers do not accept {who}: {error.str()}")
        group = error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
        place = f"group {self._group}" if group else f"topic {self._topic}"
        return self._connection.failure(error.code(), place, error.str())


class Status:
    """What was done, as a line on standard error, at most every ten seconds and if it changed.

    Health endpoints and metrics read it from another thread.
    """

    def __init__(self, topic: str) -> None:
        self.metrics = BridgeMetrics()
        self.metrics.ready.set_function(self.ready)
        self.assigned = False
        self._beat_s = time.monotonic()
        self.rows = self.batches = self.forwarded = self.repeated = self.partitions = 0
        self.trouble = ""
        self._lost, self._lost_last = 0, ""
        self._topic = topic
        self._told_s, self._line = time.monotonic(), ""

    def lose(self, place: str) -> None:
        """A record that no topic of ours can hold."""
        self._lost += 1
        self._lost_last = place

    def tell(self, now_s: float, last: bool = False) -> None:
        """One more step is done; print the line if it is time."""
        self._beat_s = now_s
        self.metrics.partitions.set(self.partitions)
        self.metrics.count(
            {
                "rows": self.rows,
                "batches": self.batches,
                "forwarded": self.forwarded,
                "repeated": self.repeated,
                "lost": self._lost,
            }
        )
        if not last and now_s - self._told_s < STATUS_S:
            return
        self._told_s = now_s
        line = self._words()
        if line != self._line:
            print(f"inferwatch ingest: {line}", file=sys.stderr, flush=True)
        self._line, self.trouble = line, ""

    def alive(self) -> bool:
        """False when no step was done for a minute."""
        return time.monotonic() - self._beat_s < STALLED_S

    def ready(self) -> bool:
        """In the group, and moving or with nothing to move."""
        return self.assigned and self.alive()

    def health(self) -> dict[str, Any]:
        """What the health paths answer."""
        return {
            "assigned": self.assigned,
            "partitions": self.partitions,
            "seconds_without_progress": round(time.monotonic() - self._beat_s, 1),
        }

    def _words(self) -> str:
        words = [
            f"{self.rows} rows in {self.batches} batches",
            f"{self.forwarded} forwarded",
            f"{self.partitions} partitions of {self._topic}",
        ]
        if self.repeated:
            words.append(f"{self.repeated} read again")
        if self._lost:
            words.append(f"{self._lost} too large to forward, last {self._lost_last}")
        return " · ".join([*words, *([self.trouble] if self.trouble else [])])
