"""The process's one way out: a librdkafka producer and the daemon thread that feeds it.

Both are made at the first row, shared by all monitors of a connection, and never inherited: after
a fork the child starts with neither. While the client's queue is full the thread waits, rows stay
in their buffers, and what then finds a buffer full is dropped there.
"""

import atexit
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from inferwatch.connection import Connection
from inferwatch.sdk import forks
from inferwatch.sdk.emitter import Emitter
from inferwatch.sdk.notice import LOGGER, warn_once
from inferwatch.sdk.resources import Sample
from inferwatch.sdk.sampling import Sampling

TICK_S = 0.25
TICK_WATCHED_S = 0.01  # while someone waits in flush()
EXIT_TIMEOUT_S = 2.0

SETTINGS = {
    "acks": "all",
    "enable.idempotence": True,
    "partitioner": "murmur2_random",  # as Java and aiokafka: a model has one partition for all
    "queue.buffering.max.messages": 20_000,
    "queue.buffering.max.kbytes": 16_384,
    "linger.ms": 50,
    "compression.type": "lz4",
    "message.timeout.ms": 30_000,
    "message.max.bytes": 1_000_000,
    "socket.keepalive.enable": True,
    "reconnect.backoff.max.ms": 10_000,
    "log_level": 2,  # what the server's operator needs comes through error_cb, once
}


class Transport:
    """Producer, thread and the emitters they serve."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._topic = connection.topic("events.v1")
        self._producer: Any = None
        self._emitters: list[Emitter] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def attach(self, emitter: Emitter) -> None:
        """Serve `emitter` until it is closed and empty; starts the thread with the first one."""
        with self._lock:
            if emitter not in self._emitters:
                self._emitters = [*self._emitters, emitter]
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="inferwatch-sdk", daemon=True)
                thread.start()
                self._thread = thread

    def wake(self) -> None:
        """A batch is complete, or someone waits."""
        self._wake.set()

    def finish(self, timeout_s: float) -> int:
        """Refuse new rows and wait for what is there; answers how many records are left."""
        deadline_s = time.monotonic() + timeout_s
        for emitter in self._emitters:
            emitter.buffer.close()
        self.wake()
        for emitter in self._emitters:
            emitter.buffer.wait(max(0.0, deadline_s - time.monotonic()))
        return sum(emitter.buffer.left() for emitter in self._emitters)

    def _run(self) -> None:
        _prepare()
        sampling = Sampling()
        while True:
            watched = any(emitter.buffer.waiters for emitter in self._emitters)
            self._wake.wait(TICK_WATCHED_S if watched else TICK_S)
            self._wake.clear()
            try:
                self._send_due()
                self._send_sample(sampling.newest())
            except Exception as problem:
                warn_once("sender", type(problem).__name__, f"trouble: {type(problem).__name__}")

    def _send_due(self) -> None:
        while sum(emitter.send_next(self._send) for emitter in self._emitters):  # each in turn
            self._poll(0)
        self._poll(0)
        if any(emitter.finished() for emitter in self._emitters):
            with self._lock:
                self._emitters = [e for e in self._emitters if not e.finished()]

    def _send_sample(self, taken: Sample | None) -> None:
        for emitter in self._emitters:
            if taken is not None and not emitter.buffer.closed:
                emitter.send_sample(taken, self._send)

    def _send(
        self,
        key: bytes,
        value: bytes,
        headers: dict[str, bytes],
        report: Callable[[str | None], None],
    ) -> None:
        """Queue a record in the client; waits, in this thread only, while its queue is full."""
        from confluent_kafka import KafkaException

        def delivered(error: Any, _: Any) -> None:
            report(None if error is None else self._why(error))

        while True:
            if self._producer is None:
                self._producer = _producer(self._connection)
            try:
                self._producer.produce(
                    self._topic, value, key, headers=headers, on_delivery=delivered
                )
                return
            except BufferError:
                self._poll(TICK_S)
            except KafkaException as problem:
                if problem.args[0].fatal():
                    self._give_up_producer()
                raise

    def _why(self, error: Any) -> str:
        return str(
            self._connection.failure(error.code(), f"topic {self._topic}", error.str(), "Write")
        )

    def _poll(self, timeout_s: float) -> None:
        if self._producer is not None:
            self._producer.poll(timeout_s)

    def _give_up_producer(self) -> None:
        """After a fatal error a producer never sends again: count its queue as lost, forget it."""
        self._producer.purge()
        self._producer.flush(1.0)
        self._producer = None

    def forget(self) -> None:
        """In a forked child: never touch the parent's client, not even to free it.

        Freeing joins threads that the child does not have: it hangs or ends in a crash.
        """
        if self._producer is not None:
            import ctypes

            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._producer))


def _producer(connection: Connection) -> Any:
    from confluent_kafka import Producer

    return Producer(
        {
            **SETTINGS,
            "client.id": f"inferwatch-sdk/{socket.gethostname()}/{os.getpid()}",
            "error_cb": lambda error: warn_once("kafka", error.name(), error.str()),
            **connection.librdkafka(),
        }
    )


_transports: dict[tuple[object, ...], Transport] = {}
_lock = threading.Lock()


def _prepare() -> None:
    """Import all that a sender needs, so that no fork finds half of it."""
    with forks.importing, contextlib.suppress(Exception):  # told for each record that it stops
        import_module("confluent_kafka")


def transport(connection: Connection) -> Transport:
    """The transport of this process for `connection`."""
    properties = tuple(sorted(connection.properties.items()))
    key = (connection.bootstrap_servers, properties, connection.prefix)
    with _lock:
        if not _transports:
            # Here and not at import: a child of multiprocessing forgets what was registered before.
            atexit.unregister(_finish_all)
            atexit.register(_finish_all)
        return _transports.setdefault(key, Transport(connection))


def begin_anew() -> None:
    """After a fork, in the child: whoever holds a lock of the parent's is not in this process."""
    global _lock
    _lock = threading.Lock()
    forks.begin_anew()
    for inherited in _transports.values():
        inherited.forget()
    _transports.clear()


def _finish_all() -> None:
    deadline_s = time.monotonic() + EXIT_TIMEOUT_S
    left = sum(
        transport.finish(max(0.0, deadline_s - time.monotonic()))
        for transport in _transports.values()
    )
    if left:
        LOGGER.warning("%d rows or deploys were not delivered before the process ended", left)
