"""Workers under a supervisor, and the group as the broker sees it."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, TopicPartition
from workers import Worker, until

from inferwatch.connection import Connection
from inferwatch.errors import Exit

RESTART_S = 1.0
ASKED = {-signal.SIGKILL: 137, -signal.SIGTERM: 143}
ALLOWED = {Exit.DONE, Exit.UNAVAILABLE, Exit.STALLED, 137, 143}


@dataclass
class Fleet:
    """Workers that are started again when they end, as a supervisor would. `exits` holds the name
    and code of each that ended by itself.
    """

    connection: Connection
    folder: Path
    embedded: bool
    options: tuple[str, ...] = ()
    more: Mapping[str, object] = field(default_factory=dict)
    workers: dict[str, Worker] = field(default_factory=dict)
    exits: list[tuple[str, int]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    _started_s: dict[str, float] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Fleet":
        threading.Thread(target=self._supervise, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with self._lock:
            for worker in self.workers.values():
                worker.child.process.send_signal(signal.SIGCONT)
                worker.child.stop()

    def start(self, name: str) -> Worker:
        """A worker of this name, from now on."""
        with self._lock:
            worker = Worker(
                self.connection,
                self.folder,
                embedded=self.embedded,
                name=name,
                options=self.options,
                **self.more,
            )
            self.workers[name], self._started_s[name] = worker, time.monotonic()
            return worker

    def _supervise(self) -> None:
        while not self._ended.wait(0.1):
            with self._lock:
                for name, worker in list(self.workers.items()):
                    early = time.monotonic() - self._started_s[name] < RESTART_S
                    if not early and not worker.child.running():
                        code = worker.child.process.returncode
                        self.exits.append((name, ASKED.get(code, code)))
                        self.words.append(worker.child.last_words())
                        self.start(name)

    def kill(self, *names: str) -> None:
        """SIGKILL; the supervisor starts them again."""
        with self._lock:
            for name in names:
                self.workers[name].child.process.kill()

    def leave(self, name: str) -> tuple[int, float]:
        """SIGTERM for good; exit code and seconds that it took."""
        with self._lock:
            worker = self.workers.pop(name)
        started_s = time.monotonic()
        return worker.child.stop(), time.monotonic() - started_s

    def send_signal(self, name: str, number: signal.Signals) -> None:
        """A signal to a worker."""
        os.kill(self.workers[name].child.process.pid, number)

    def until_ready(self, patience_s: float = 60.0) -> None:
        """Wait for all of them."""
        until(
            lambda: all(ready_now(worker) for worker in list(self.workers.values())),
            f"all workers are ready; ended so far: {self.exits}",
            patience_s=patience_s,
        )

    def unexpected(self) -> list[str]:
        """Last words of those that ended as no worker may."""
        return [
            f"{name} ended with {code}:\n{words}"
            for (name, code), words in zip(self.exits, self.words, strict=True)
            if code not in ALLOWED
        ]


def ready_now(worker: Worker) -> bool:
    """Whether it says so itself."""
    from inferwatch.runtime.processes import ready

    return ready(worker.address)


class Group:
    """Offsets of the workers' group and of the events topic, from the broker."""

    def __init__(self, connection: Connection, partitions: int) -> None:
        self._consumer = Consumer(
            connection.librdkafka(
                **{"group.id": f"{connection.prefix}worker", "log_level": 0, "error_cb": _quiet}
            )
        )
        topic = connection.topic("events.v1")
        self._places = [TopicPartition(topic, number) for number in range(partitions)]

    def __enter__(self) -> "Group":
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def committed(self) -> dict[int, int]:
        """Next offset by partition, as soon as a coordinator answers."""
        found: dict[int, int] = {}

        def answered() -> bool:
            with contextlib.suppress(KafkaException):
                places = self._consumer.committed(self._places, timeout=3)
                found.update({place.partition: max(0, place.offset) for place in places})
            return bool(found)

        until(answered, "the coordinator tells the group's offsets")
        return found

    def ends(self) -> dict[int, int]:
        """End of each partition, as soon as the broker answers."""
        found: dict[int, int] = {}

        def answered() -> bool:
            with contextlib.suppress(KafkaException):
                for place in self._places:
                    found[place.partition] = self._consumer.get_watermark_offsets(place, 5)[1]
                return True
            return False

        until(answered, "the broker tells the ends of partitions")
        return found

    def has_reached(self, offsets: Mapping[int, int]) -> bool:
        """Whether the group has committed as far as `offsets`, in every partition."""
        committed = self.committed()
        return all(committed[number] >= offset for number, offset in offsets.items())


def _quiet(_: object) -> None:
    """What matters comes back from the calls."""
