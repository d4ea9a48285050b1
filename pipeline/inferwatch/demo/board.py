"""What the demo knows while it runs: written by the reading threads, shown by the screen."""

import json
import threading
from collections.abc import Callable
from typing import IO

import msgspec
from confluent_kafka import Consumer, TopicPartition

from inferwatch.connection import Connection
from inferwatch.records.outputs import AlertRecord, WindowRecord, word

POLL_S = 0.1


class Board:
    """Progress of the producer, windows and alerts as published, messages as delivered."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows_sent = self.labels_sent = self.delivered = 0
        self.producer_done = False
        self.windows: dict[tuple[int, str], WindowRecord] = {}
        self.alerts: dict[str, AlertRecord] = {}
        self.messages: list[str] = []
        self.blind: dict[int, str] = {}

    def progress(self, line: str) -> None:
        """A line of the producer."""
        said = json.loads(line)
        with self.lock:
            self.rows_sent, self.labels_sent = said["rows"], said["labels"]
            self.delivered = said.get("delivered", 0)
            self.producer_done = bool(said.get("done"))

    def window(self, record: WindowRecord) -> None:
        """A published window; the highest revision stays, `blind` keeps why one began unknown."""
        key = record.window.start, record.segment
        with self.lock:
            if not record.segment and "accuracy" in record.unknown:
                self.blind.setdefault(record.window.start, record.unknown["accuracy"])
            known = self.windows.get(key)
            if known is None or known.revision < record.revision:
                features = record.features or (known.features if known else {})
                self.windows[key] = msgspec.structs.replace(record, features=features)

    def alert(self, record: AlertRecord) -> None:
        """A published transition; repeats carry the same id."""
        with self.lock:
            self.alerts.setdefault(record.id, record)

    def message(self, line: str) -> None:
        """A line of a notification as the console channel delivered it."""
        with self.lock:
            if line.startswith("["):
                self.messages.append(line)
            elif self.messages:
                self.messages[-1] += "\n" + line

    def whole(self) -> list[WindowRecord]:
        """Windows over all rows, in order."""
        with self.lock:
            found = [record for (_, segment), record in self.windows.items() if not segment]
        return sorted(found, key=lambda record: record.window.start)

    def lowest_segment(self, start: int) -> tuple[str, float] | None:
        """The segment with the lowest accuracy in the window that starts at row `start`."""
        with self.lock:
            known = [
                (record.metrics["accuracy"], segment)
                for (at, segment), record in self.windows.items()
                if at == start and segment and "accuracy" in record.metrics
            ]
        return (min(known)[1], min(known)[0]) if known else None

    def condition(self, alert: str) -> str:
        """Condition of the newest transition of the alert; "ok" before the first."""
        with self.lock:
            named = [record for record in self.alerts.values() if record.alert == alert]
        return (
            max(named, key=lambda record: (record.at_ms, record.seq)).condition if named else "ok"
        )


def follow_lines(stream: IO[bytes], take: Callable[[str], None]) -> None:
    """Hand every line of a child's output on, in a thread of its own, until it ends."""

    def run() -> None:
        for line in stream:
            text = line.decode(errors="replace").rstrip("\n")
            if text:
                take(text)

    threading.Thread(target=run, daemon=True).start()


class Follower:
    """Reads the two output topics from their beginning into a board, until closed."""

    def __init__(self, connection: Connection, board: Board) -> None:
        self._board = board
        read = connection.topic("windows.v1"), connection.topic("alerts.v1")
        self._consumer = Consumer(
            connection.librdkafka(
                **{
                    "group.id": "inferwatch-demo",
                    "enable.auto.commit": False,
                    "log_level": 0,
                    "error_cb": lambda _: None,
                }
            )
        )
        topics = self._consumer.list_topics(timeout=10.0).topics
        self._consumer.assign(
            [
                TopicPartition(name, partition, 0)
                for name in read
                for partition in topics[name].partitions
            ]
        )
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.is_set():
            message = self._consumer.poll(POLL_S)
            if message is None or message.error() is not None:
                continue
            kind = word(dict(message.headers() or []))
            if kind == "window":
                self._board.window(msgspec.json.decode(message.value(), type=WindowRecord))
            elif kind == "alert":
                self._board.alert(msgspec.json.decode(message.value(), type=AlertRecord))

    def close(self) -> None:
        """End the thread and the consumer."""
        self._closed.set()
        self._thread.join()
        self._consumer.close()
