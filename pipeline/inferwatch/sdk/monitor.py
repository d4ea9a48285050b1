"""`Monitor`: what a model server calls.

It never raises into the caller and never waits for a broker: a call appends to a bounded buffer, and
a background thread does the rest. docs/sdk.md says what is dropped when.
"""

import atexit
import contextlib
import itertools
import logging
import os
import secrets
import socket
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from inferwatch.connection import Connection
from inferwatch.errors import ConfigError
from inferwatch.records.events import Deploy
from inferwatch.sdk import frames
from inferwatch.sdk.buffer import Buffer, Counters, Event, Item, Label, Row
from inferwatch.sdk.privacy import Filter
from inferwatch.sdk.sender import Sender

log = logging.getLogger("inferwatch.sdk")
ROWS_MAX = 20_000
BYTES_MAX = 32 << 20
CLOSE_S = 2.0
_monitors: "weakref.WeakSet[Monitor]" = weakref.WeakSet()


class Call:
    """What `timed` fills in: set `prediction`, and `proba` where there is one."""

    prediction: Any = None
    proba: Any = None
    prediction_id: str = ""


class Monitor:
    """Reports the answers of one model.

    :param model: `team/model`. :param version: rows carry it until `deploy` names another.
    :param connection: brokers; by default what `INFERWATCH_BOOTSTRAP_SERVERS` says.
    :param include: globs of features that may leave the process; all by default.
    :param hash: globs of features that leave as keyed tokens only.
    :param instance: name of this replica; host and process by default.
    """

    def __init__(
        self,
        model: str,
        version: str = "1",
        *,
        connection: Connection | None = None,
        include: Sequence[str] | None = None,
        hash: Sequence[str] = (),
        instance: str = "",
        rows_max: int = ROWS_MAX,
        bytes_max: int = BYTES_MAX,
    ) -> None:
        self.model, self.version = str(model), str(version)
        self._instance = instance or f"{socket.gethostname()}-{os.getpid()}"
        self._filter = Filter(include, hash)
        self._limits = rows_max, bytes_max
        self._connection = self._find(connection)
        self._begin()
        _monitors.add(self)

    @staticmethod
    def _find(connection: Connection | None) -> Connection | None:
        if os.environ.get("INFERWATCH_DISABLED", "") not in ("", "0"):
            return None
        try:
            found = connection or Connection.from_environment()
        except ConfigError as error:
            log.warning("inferwatch: nothing is sent: %s", error)
            return None
        if found is None:
            log.warning("inferwatch: no broker is configured, nothing is sent; "
                        "set INFERWATCH_BOOTSTRAP_SERVERS")  # fmt: skip
        return found

    def _begin(self) -> None:
        """A fresh buffer and name: at the start, and in a forked child."""
        host = socket.gethostname().split(".")[0][:12]
        self.emitter = f"{host}-{os.getpid()}-{secrets.token_hex(3)}"
        self._next = itertools.count()
        self._buffer = Buffer(*self._limits)
        self._sender: Sender | None = None
        self._starting = threading.Lock()

    def log(
        self,
        *,
        features: Mapping[str, Any] | None = None,
        prediction: Any = None,
        proba: Any = None,
        timestamp: datetime | int | None = None,
        entity_id: Any = None,
        latency_ms: float | None = None,
        error: Any = None,
        segments: Mapping[str, Any] | None = None,
        prediction_id: Any = None,
    ) -> str:
        """Report one answer; gives its prediction id, by which a label can name it later.

        Numbers are numeric features, everything else is a category; None and NaN are missing. `proba` is the
        probability of the positive class, or a mapping from class to probability. `timestamp` is a datetime or
        whole milliseconds, now by default. `error` says what kind of failure it was.
        """
        id_ = str(prediction_id) if prediction_id is not None else self._new_id()
        try:
            row = Row(
                self.version,
                id_,
                to_ms(timestamp),
                self._filter.features(features or {}),
                prediction,
                dict(proba) if isinstance(proba, Mapping) else proba,
                latency_ms,
                None if error is None else kind_of(error),
                dict(segments or {}),
                self._filter.entity(entity_id),
            )
        except Exception as problem:  # whatever a caller hands in must not come back as an error
            self._refuse(problem)
            return id_
        self._put([row])
        return id_

    def log_batch(
        self,
        *,
        features: Any,
        names: Sequence[str] | None = None,
        prediction: Any = None,
        proba: Any = None,
        timestamp: Any = None,
        latency_ms: Any = None,
        segments: Mapping[str, Any] | None = None,
        entity_id: Any = None,
        prediction_id: Any = None,
    ) -> list[str]:
        """Report many answers: a data frame, a mapping of columns, or a 2-D array with `names`.

        The other arguments are columns of the same length, or one value for all. Gives the prediction ids.
        """
        try:
            rows = frames.rows(features, names)
            n = len(rows)
            ids = [str(id_) for id_ in frames.column(prediction_id, n) if id_ is not None]
            ids = ids if len(ids) == n else [self._new_id() for _ in range(n)]
            parts = {name: frames.column(values, n) for name, values in (segments or {}).items()}
            columns = zip(
                ids,
                [to_ms(moment) for moment in frames.column(timestamp, n)],
                rows,
                frames.column(prediction, n),
                frames.column(proba, n),
                frames.column(latency_ms, n),
                frames.column(entity_id, n),
                range(n),
                strict=True,
            )
            items: list[Item] = [
                Row(
                    self.version, id_, time_ms, self._filter.features(row), answer, score, latency,
                    None, {name: values[at] for name, values in parts.items()},
                    self._filter.entity(entity),
                )
                for id_, time_ms, row, answer, score, latency, entity, at in columns
            ]  # fmt: skip
        except Exception as problem:  # as in `log`
            self._refuse(problem)
            return []
        self._put(items)
        return ids

    def log_label(
        self,
        prediction_id: Any,
        label: Any,
        *,
        timestamp: datetime | int | None = None,
        version: str | None = None,
    ) -> None:
        """Report what turned out to be true. A later label of the same id corrects an earlier one.

        With `version` it labels that version's prediction only.
        """
        self.log_labels([prediction_id], [label], timestamp=timestamp, version=version)

    def log_labels(
        self,
        prediction_ids: Sequence[Any],
        labels: Sequence[Any],
        *,
        timestamp: datetime | int | None = None,
        version: str | None = None,
    ) -> None:
        """Report many labels at once."""
        try:
            time_ms = to_ms(timestamp)
            items: list[Item] = [
                Label(version, str(id_), time_ms, label)
                for id_, label in zip(prediction_ids, labels, strict=True)
            ]
        except Exception as problem:  # as in `log`
            self._refuse(problem)
            return
        self._put([item for item in items if isinstance(item, Label) and item.label is not None])
        missing = sum(isinstance(item, Label) and item.label is None for item in items)
        if missing and self._connection is not None:
            self._buffer.refuse("bad_row", missing)

    def deploy(self, version: str, *, kind: str = "deploy", note: str = "") -> None:
        """Say that `version` is live; rows logged from now on carry it. `kind` may be "rollback"."""
        self.version = str(version)
        record = Deploy(
            model=self.model,
            version=self.version,
            time_ms=to_ms(None),
            kind="rollback" if kind == "rollback" else "deploy",
            note=str(note)[:500],
        )
        self._put([Event("deploy", record)])

    @contextlib.contextmanager
    def timed(self, **fields: Any) -> Iterator[Call]:
        """Time a call and report it; the caller's own exception is reported as an error and goes on.

        ::

            with monitor.timed(features=row) as call:
                call.prediction = model.predict(row)
        """
        call, error = Call(), None
        started_s = time.perf_counter()
        try:
            yield call
        except BaseException as problem:
            error = problem
            raise
        finally:
            latency_ms = (time.perf_counter() - started_s) * 1000
            given = {"prediction": call.prediction, "proba": call.proba, **fields}
            with contextlib.suppress(Exception):  # a wrong keyword here must not hide the answer
                call.prediction_id = self.log(latency_ms=latency_ms, error=error, **given)

    @property
    def counters(self) -> Counters:
        """Rows emitted, delivered, dropped by reason, and pending; always exact."""
        return self._buffer.counters()

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything is delivered or dropped; False where `timeout_s` was too short."""
        return self._connection is None or self._buffer.wait_empty(timeout_s)

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Send what is left and stop; runs by itself when the process exits."""
        with self._starting:
            if self._sender is not None:
                self._sender.stop(timeout_s)
            self._buffer.close()

    def _new_id(self) -> str:
        return f"{self.emitter}-{next(self._next)}"

    def _put(self, items: list[Item]) -> None:
        if self._connection is None or not items:
            return
        if self._sender is None:
            self._start()
        self._buffer.put(items)

    def _start(self) -> None:
        with self._starting:
            if self._sender is None and self._connection is not None:
                sender = Sender(
                    self._connection, self.model, self.emitter, self._instance, self._buffer
                )
                sender.start()
                self._sender = sender

    def _refuse(self, problem: Exception) -> None:
        if self._connection is not None:
            self._buffer.refuse("bad_row")
        log.debug("inferwatch: a row cannot be read and is dropped: %r", problem)


def to_ms(timestamp: Any) -> int:
    """Whole milliseconds since 1970 of a datetime, of milliseconds, or of now.

    :raises TypeError: none of these.
    """
    if timestamp is None:
        return time.time_ns() // 1_000_000
    if isinstance(timestamp, datetime):
        return round(timestamp.timestamp() * 1000)
    if isinstance(timestamp, int):
        return timestamp
    if hasattr(timestamp, "item"):
        return int(timestamp.item())
    raise TypeError("a timestamp is a datetime or whole milliseconds")


def kind_of(error: Any) -> str:
    """What kind of failure: the name of an exception's class, or the text given."""
    return type(error).__name__ if isinstance(error, BaseException) else str(error)[:200]


def _close_all() -> None:
    for monitor in list(_monitors):
        monitor.close()


def _after_fork() -> None:
    """A child inherits no thread and no usable producer: it begins anew, the parent keeps its rows."""
    for monitor in list(_monitors):
        monitor._begin()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
