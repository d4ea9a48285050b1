"""The bridge's way out: an idempotent producer that leaves no gap, and waits while it is full.

A batch that fails must take all later ones with it: the fold drops rows at or below the highest
source offset it knows, so a later batch without the earlier one would lose rows. librdkafka's
gapless guarantee makes such a failure fatal, and the process ends; the next begins at what is
committed.
"""

import time
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from inferwatch.connection import REFUSALS, Connection
from inferwatch.errors import DeniedError, TransientError
from inferwatch.ingest.groups import Source

PENDING_MAX_BYTES = 16 << 20
WAIT_S = 0.1
CAUSE_S = 2.0
CONSEQUENCES = (KafkaError._FATAL, KafkaError._GAPLESS_GUARANTEE, KafkaError._PURGE_QUEUE)
FULL_MAX_S = 60.0
LIMITS = {
    "queue.buffering.max.messages": 20_000,
    "queue.buffering.max.kbytes": 32_768,
    "linger.ms": 20,
    "compression.type": "lz4",
    "log_level": 2,
}
PROMISES = {
    "acks": "all",
    "enable.idempotence": True,
    "enable.gapless.guarantee": True,
    "message.timeout.ms": 0,  # a batch is never given up; the process is
    "message.max.bytes": 1_000_000,
    "partitioner": "murmur2_random",
}


class Sender:
    """Puts records on the events topic, in order."""

    def __init__(self, connection: Connection) -> None:
        self.pending_bytes = 0
        self.topic = connection.topic("events.v1")
        self._connection = connection
        self._failure: KafkaError | None = None
        self._cause: KafkaError | None = None
        self._producer = Producer(
            {**LIMITS, **connection.librdkafka(**PROMISES), "error_cb": self._told}
        )

    def send(
        self, source: Source, first: int, key: bytes | None, value: bytes | None, headers: Any
    ) -> bool:
        """Queue a record that holds rows of `source` from offset `first` on; False where it is
        larger than any record may be.

        :raises DeniedError: the brokers refuse it.
        :raises TransientError: the producer has failed, or was full for a minute.
        """
        token, size = source.sends(first), len(value or b"")

        def delivered(error: KafkaError | None, _: Any) -> None:
            self.pending_bytes -= size
            if error is None:
                source.acknowledged(token)
            else:
                self._failure = self._failure or error
                if error.code() not in CONSEQUENCES:
                    self._cause = self._cause or error

        deadline_s = time.monotonic() + FULL_MAX_S
        while True:
            self.check()
            try:
                self._producer.produce(
                    self.topic, value, key, headers=headers, on_delivery=delivered
                )
            except BufferError:
                if time.monotonic() > deadline_s:
                    raise TransientError(f"topic {self.topic}: nothing is acknowledged") from None
                self._serve(WAIT_S)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    source.acknowledged(token)
                    return False
                self._failure = self._failure or error.args[0]
            else:
                self.pending_bytes += size
                return True

    def full(self) -> bool:
        """Whether so much waits for the brokers that no more should be read."""
        return self.pending_bytes > PENDING_MAX_BYTES

    def poll(self, timeout_s: float = 0.0) -> None:
        """Take acknowledgements; raises as `check`."""
        self._serve(timeout_s)
        self.check()

    def flush(self, timeout_s: float) -> bool:
        """Whether the brokers have everything within `timeout_s`; raises as `check`."""
        deadline_s = time.monotonic() + timeout_s
        while len(self._producer) and time.monotonic() < deadline_s:
            self.poll(WAIT_S)
        return len(self._producer) == 0

    def check(self) -> None:
        """Raise what the brokers have answered.

        :raises DeniedError: they refuse a right.
        :raises TransientError: a record was not taken, for another reason.
        """
        if self._failure is None:
            return
        deadline_s = time.monotonic() + CAUSE_S
        while self._cause is None and len(self._producer) and time.monotonic() < deadline_s:
            self._serve(WAIT_S)  # the reports of what failed say why
        raise self._error(self._cause or self._failure)

    def _serve(self, timeout_s: float) -> None:
        try:
            self._producer.poll(timeout_s)
        except KafkaException as error:
            self._failure = self._failure or error.args[0]

    def _told(self, error: KafkaError) -> None:
        if error.fatal() or error.code() in (*REFUSALS, KafkaError._AUTHENTICATION):
            self._failure = self._failure or error

    def _error(self, error: KafkaError) -> DeniedError | TransientError:
        if error.code() == KafkaError._AUTHENTICATION:
            who = self._connection.principal()
            return DeniedError(f"the brokers do not accept {who}: {error.str()}")
        return self._connection.failure(error.code(), f"topic {self.topic}", error.str(), "Write")
