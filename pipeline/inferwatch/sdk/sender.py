"""The background thread that packs rows and hands them to librdkafka.

One daemon thread and one producer a process, both made with the first row, so that a fork before it
costs nothing and a child after it starts its own.
"""

import itertools
import logging
import threading
import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from inferwatch.connection import Connection
from inferwatch.records import batch as batches
from inferwatch.records.raw import JSON, MSGPACK, headers
from inferwatch.sdk import pack, resources
from inferwatch.sdk.buffer import Buffer, Event, Item, Label, Reason, Row

BATCH_ROWS = 500
BATCH_BYTES = 192 * 1024
LINGER_S = 1.0
RESOURCES_EVERY_S = 10.0
log = logging.getLogger("inferwatch.sdk")
# librdkafka's own defaults hold up to 1 GiB for five minutes: too much inside somebody's server
PRODUCER = {
    "acks": "all",
    "enable.idempotence": True,
    "partitioner": "murmur2_random",
    "queue.buffering.max.messages": 20_000,
    "queue.buffering.max.kbytes": 16_384,
    "linger.ms": 50,
    "batch.size": 262_144,
    "compression.type": "lz4",
    "message.timeout.ms": 30_000,
    "message.max.bytes": 1_000_000,
    "socket.keepalive.enable": True,
    "reconnect.backoff.max.ms": 10_000,
    "delivery.report.only.error": False,
}


class Sender:
    """Moves rows from the buffer to the topic until it is stopped."""

    def __init__(
        self, connection: Connection, model: str, emitter: str, instance: str, buffer: Buffer
    ) -> None:
        self._connection, self._model, self._emitter = connection, model, emitter
        self._instance, self._buffer = instance, buffer
        self._seq = itertools.count()
        self._ids = itertools.count()
        self._said: set[str] = set()
        self._stop = threading.Event()
        self._deadline_s = float("inf")
        self._producer: Any = None
        self._thread = threading.Thread(target=self._run, name="inferwatch-sender", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Send what is left, for at most `timeout_s`; then what is left is dropped and counted."""
        self._deadline_s = time.monotonic() + timeout_s
        self._stop.set()
        self._buffer.close()
        self._thread.join(timeout_s + 0.1)

    def _run(self) -> None:
        try:
            self._send_until_stopped()
        except Exception as error:  # the server must live, whatever happens here
            self._say("failed", f"the sender ended: {error!r}")
            self._buffer.close()
            self._drop_rest("not_delivered")

    def _send_until_stopped(self) -> None:
        from confluent_kafka import Producer

        settings = PRODUCER | {"client.id": f"inferwatch-{self._emitter}", "log_level": 2}
        settings["error_cb"] = self._on_error
        self._producer = Producer(self._connection.librdkafka(**settings))
        sampler = resources.Sampler()
        due_s = time.monotonic()
        while not (self._stop.is_set() and self._buffer.idle()):
            items = self._buffer.take(BATCH_ROWS, LINGER_S, 4 * BATCH_BYTES)
            if items:
                self._send(items)
            self._producer.poll(0)
            if time.monotonic() > self._deadline_s:
                break
            if items and isinstance(items[0], Row) and time.monotonic() >= due_s:
                due_s = time.monotonic() + RESOURCES_EVERY_S
                self._sample(sampler, items[0].version)
        self._producer.flush(max(0.0, min(self._deadline_s - time.monotonic(), 60.0)))
        self._drop_rest("closed")

    def _drop_rest(self, reason: Reason) -> None:
        while items := self._buffer.take(BATCH_ROWS, 0.0, 1):
            if not isinstance(items[0], Event):
                self._buffer.settle(len(items), reason)
        left = self._buffer.counters().pending
        if left:
            self._buffer.settle(left, "not_delivered")

    def _sample(self, sampler: resources.Sampler, version: str) -> None:
        record = sampler.sample(self._model, version, self._instance or self._emitter)
        if record is not None:
            self._produce("resource", msgspec.json.encode(record), JSON, 0)

    def _send(self, items: list[Item]) -> None:
        first = items[0]
        if isinstance(first, Event):
            self._produce(first.word, msgspec.json.encode(first.record), JSON, 0)
            return
        try:
            body = self._encode(items)
        except Exception as error:  # one unreadable row must not cost the others
            if len(items) == 1:
                self._buffer.settle(1, "bad_row")
                self._say("bad_row", f"a row cannot be read and is dropped: {error!r}")
                return
            self._halve(items)
            return
        if len(body) <= BATCH_BYTES:
            word = "inference" if isinstance(first, Row) else "label"
            self._produce(word, body, MSGPACK, len(items))
        elif len(items) == 1:
            self._buffer.settle(1, "too_large")
            self._say("too_large", f"a row of {len(body)} bytes is dropped, at most {BATCH_BYTES}")
        else:
            self._halve(items)

    def _halve(self, items: list[Item]) -> None:
        middle = len(items) // 2
        self._send(items[:middle])
        self._send(items[middle:])

    def _encode(self, items: list[Item]) -> bytes:
        counters = self._buffer.counters()
        said = {"emitted": counters.emitted, "dropped": counters.dropped}
        if isinstance(items[0], Row):
            rows = [item for item in items if isinstance(item, Row)]
            fields = pack.rows(self._model, self._emitter, self._instance, rows)
            batch = pack.inference_batch(fields, seq=0, **said)
        else:
            labels = [item for item in items if isinstance(item, Label)]
            batch = pack.label_batch(self._model, self._emitter, labels, seq=0, **said)  # type: ignore[assignment]
        if len(batches.encode(batch)) > BATCH_BYTES and len(items) > 1:
            return b"\0" * (BATCH_BYTES + 1)
        # the number is taken last: a batch that is split or refused leaves no hole
        return batches.encode(msgspec.structs.replace(batch, seq=next(self._seq)))

    def _produce(self, word: str, body: bytes, content_type: str, rows: int) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        described = headers(
            word,
            id=f"{self._emitter}-{next(self._ids)}",
            source=f"inferwatch-sdk/{self._model}",
            time=now,
            content_type=content_type,
        )

        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                self._say("not_delivered", f"rows are lost: {error}")
            if rows:
                self._buffer.settle(rows, None if error is None else "not_delivered")

        while True:
            try:
                self._producer.produce(
                    self._connection.topic("events.v1"),
                    value=body,
                    key=self._model.encode(),
                    headers=list(described.items()),
                    on_delivery=delivered,
                )
                return
            except BufferError:
                # librdkafka is full: wait here, where the server's threads do not
                self._producer.poll(0.1)
                if time.monotonic() > self._deadline_s:
                    self._buffer.settle(rows, "not_delivered")
                    return

    def _on_error(self, error: Any) -> None:
        self._say("broker", f"the broker cannot be reached: {error}")

    def _say(self, reason: str, text: str) -> None:
        """Each kind of trouble is told once; the counters tell how often."""
        if reason not in self._said:
            self._said.add(reason)
            log.warning("inferwatch: %s", text)
