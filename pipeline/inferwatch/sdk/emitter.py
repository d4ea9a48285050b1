"""One model's rows in one process: their names, their buffer and their batches in sequence.

A fork begins a new emitter in the child; what the parent has in its buffer stays the parent's.
"""

import hashlib
import itertools
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol

import msgspec

from inferwatch.records.batch import InferenceBatch, LabelBatch, encode
from inferwatch.records.events import Deploy, Resource
from inferwatch.records.raw import COLUMNS_MAX, JSON, MSGPACK, headers
from inferwatch.sdk import pack, table
from inferwatch.sdk.buffer import Buffer, Chunk, Drop, Kind, Taken
from inferwatch.sdk.notice import warn_once
from inferwatch.sdk.privacy import Privacy
from inferwatch.sdk.resources import Sample
from inferwatch.sdk.table import Row, Table
from inferwatch.sdk.values import now_ms

BATCH_BYTES_MAX = 192 << 10


class Send(Protocol):
    """Hands a record to Kafka's client; `report` is called once with the error, or None."""

    def __call__(
        self,
        key: bytes,
        value: bytes,
        headers: dict[str, bytes],
        report: Callable[[str | None], None],
    ) -> None: ...


class Emitter:
    """`send_next` and `send_sample` belong to the sender's thread, all else to any thread."""

    def __init__(
        self, model: str, instance: str, privacy: Privacy, rows_max: int, bytes_max: int
    ) -> None:
        host = hashlib.blake2b(socket.gethostname().encode(), digest_size=3).hexdigest()
        self.name = f"{host}-{os.getpid()}-{os.urandom(4).hex()}"
        self.model = model
        self.instance = instance or f"{socket.gethostname()}/{os.getpid()}"
        self.buffer = Buffer(rows_max, bytes_max)
        self.version = ""
        self.abandoned = False
        self._privacy = privacy
        self._numbers = itertools.count()
        self._records = itertools.count()
        self._seq = 0

    def next_id(self) -> str:
        """A prediction id: unique, and alike enough to compress."""
        return f"{self.name}-{next(self._numbers)}"

    def next_ids(self, n: int) -> list[str]:
        """As `next_id`, n times."""
        prefix = self.name
        return [f"{prefix}-{number}" for number in itertools.islice(self._numbers, n)]

    def abandon(self) -> None:
        """The monitor is gone. Takes no lock: the garbage collector may run inside of one."""
        self.abandoned = True

    def finished(self) -> bool:
        """Closed, and nothing left to deliver."""
        if self.abandoned and not self.buffer.closed:
            self.buffer.close()
        return self.buffer.closed and not self.buffer.left()

    def send_next(self, send: Send) -> bool:
        """Send the next chunk that is due; False when there is none."""
        taken = self.buffer.take()
        if taken is None:
            return False
        kind, version = taken.chunk.lane
        if kind == "deploy":
            self._send_event("deploy", taken.chunk.items[0], send, self._deployed)
            return True
        try:
            rows = _table(taken.chunk)
        except Exception as problem:
            self._lost(taken.chunk.rows, Drop.INTERNAL, type(problem).__name__)
            return True
        self._send_rows(kind, version, rows, taken, send)
        return True

    def send_sample(self, sample: Sample, send: Send) -> None:
        """Send a resource sample."""
        record = Resource(
            model=self.model,
            version=self.version,
            instance=self.instance,
            time_ms=now_ms(),
            **msgspec.structs.asdict(sample),
        )
        self._send_event("resource", record, send, partial(self._told, "resource"))

    def _send_rows(
        self, kind: Kind, version: str | None, rows: Table, taken: Taken, send: Send
    ) -> None:
        """Send `rows` as one batch, or in halves where it is too large or has vectors of several
        sizes; `taken` counts along.
        """
        if not rows.vectors_fit(BATCH_BYTES_MAX):
            self._send_halves(kind, version, rows, taken, send)
            return
        head = pack.Head(
            model=self.model,
            emitter=self.name,
            seq=self._seq,
            emitted=taken.emitted,
            dropped=taken.dropped,
            instance=self.instance,
        )
        try:
            batch: InferenceBatch | LabelBatch
            if kind == "label":
                batch = pack.labels(rows, version, head)
            else:
                batch = pack.inference(rows, version or "", head, self._privacy)
            body, fits = encode(batch), pack.columns(batch) <= COLUMNS_MAX
        except Exception as problem:
            self._lost(rows.rows, Drop.INTERNAL, type(problem).__name__)
            return
        if fits and len(body) <= BATCH_BYTES_MAX:
            self._send_body(kind, body, rows.rows, send)
        elif rows.rows == 1:
            why = f"a row has more than {BATCH_BYTES_MAX} bytes or {COLUMNS_MAX} columns"
            self._lost(1, Drop.TOO_LARGE, why)
            taken.dropped[Drop.TOO_LARGE] = taken.dropped.get(Drop.TOO_LARGE, 0) + 1
        else:
            self._send_halves(kind, version, rows, taken, send)

    def _send_halves(
        self, kind: Kind, version: str | None, rows: Table, taken: Taken, send: Send
    ) -> None:
        half, total = rows.rows // 2, taken.emitted
        taken.emitted = total - (rows.rows - half)
        self._send_rows(kind, version, rows.part(0, half), taken, send)
        taken.emitted = total
        self._send_rows(kind, version, rows.part(half, rows.rows), taken, send)

    def _send_body(self, kind: Kind, body: bytes, rows: int, send: Send) -> None:
        envelope = self._headers(kind, f"{self.name}-{self._seq}", MSGPACK)
        self._seq += 1
        try:
            send(self.model.encode(), body, envelope, partial(self._report, rows))
        except Exception as problem:
            self._lost(rows, Drop.NOT_DELIVERED, f"{type(problem).__name__}: {problem}")

    def _send_event(
        self,
        word: str,
        record: Deploy | Resource,
        send: Send,
        report: Callable[[str | None], None],
    ) -> None:
        envelope = self._headers(word, f"{self.name}-{word}-{next(self._records)}", JSON)
        try:
            send(self.model.encode(), msgspec.json.encode(record), envelope, report)
        except Exception as problem:
            report(f"{type(problem).__name__}: {problem}")

    def _report(self, rows: int, error: str | None) -> None:
        if error is None:
            self.buffer.settle(rows)
        else:
            self._lost(rows, Drop.NOT_DELIVERED, error)

    def _deployed(self, error: str | None) -> None:
        self.buffer.settle_between()
        self._told("deploy", error)

    def _told(self, word: str, error: str | None) -> None:
        if error is not None:
            warn_once(self.model, word, f"a {word} record was not delivered: {error}")

    def _lost(self, rows: int, reason: Drop, why: str) -> None:
        self.buffer.settle(rows, reason)
        warn_once(self.model, reason, f"rows dropped, {reason}: {why}")

    def _headers(self, word: str, id: str, content_type: str) -> dict[str, bytes]:
        return headers(
            word,
            id=id,
            source=f"inferwatch-sdk/{self.instance}",
            time=datetime.now(UTC).isoformat(timespec="milliseconds"),
            content_type=content_type,
        )


def _table(chunk: Chunk) -> Table:
    """The chunk's rows and tables as one table, in order."""
    parts: list[Table] = []
    for single, group in itertools.groupby(chunk.items, key=lambda item: isinstance(item, Row)):
        items: list[Any] = list(group)
        parts.extend([table.of_rows(items)] if single else items)
    return table.join(parts)
