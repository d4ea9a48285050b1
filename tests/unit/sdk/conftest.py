"""A monitor whose records land in a list instead of Kafka, sent by the test when it wants."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from inferwatch.connection import Connection
from inferwatch.records.batch import InferenceBatch, LabelBatch
from inferwatch.records.events import Deploy, Resource
from inferwatch.sdk import monitor as monitor_module
from inferwatch.sdk import notice

TYPES = {
    b"io.inferwatch.inference.v1": InferenceBatch,
    b"io.inferwatch.label.v1": LabelBatch,
    b"io.inferwatch.deploy.v1": Deploy,
    b"io.inferwatch.resource.v1": Resource,
}


class Wire:
    """Stands where the transport stands. `answer` is what Kafka says to each record."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, bytes]] = []
        self.records: list[Any] = []
        self.answer: str | None = None
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1

    def send(
        self,
        key: bytes,
        value: bytes,
        headers: dict[str, bytes],
        report: Callable[[str | None], None],
    ) -> None:
        json = headers["content-type"] == b"application/json"
        decode = msgspec.json.decode if json else msgspec.msgpack.decode
        record = decode(value, type=TYPES[headers["ce_type"]])
        assert key == record.model.encode()
        self.bodies.append(value)
        self.headers.append(headers)
        self.records.append(record)
        report(self.answer)

    def monitor(self, model: str = "risk/fraud", version: str = "12", **settings: Any) -> Any:
        connection = Connection("127.0.0.1:1")
        made = monitor_module.Monitor(model, version, connection=connection, **settings)
        made._transport = self
        return made

    def drain(self, monitor: Any) -> list[Any]:
        """Send all that `monitor` holds; answers all records sent so far."""
        monitor._emitter.buffer.seal()
        while monitor._emitter.send_next(self.send):
            pass
        return self.records


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr(notice, "_told", set())
    monkeypatch.delenv("INFERWATCH_DISABLED", raising=False)
    monkeypatch.delenv("INFERWATCH_HASH_KEY", raising=False)
    return Wire()
