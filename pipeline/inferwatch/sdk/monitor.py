"""`Monitor`: what a model server calls. No value makes it raise, and it never waits for Kafka.

A wrong name of an argument is a TypeError at the first call, as in any Python.

Whatever cannot be sent is counted under a reason (`Drop`) and told once by `logging`.
"""

import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from inferwatch.connection import Connection
from inferwatch.errors import ConfigError
from inferwatch.records.events import Deploy
from inferwatch.records.raw import INSTANCE_MAX, NAME, NAME_MAX
from inferwatch.sdk import forks, frames
from inferwatch.sdk.arguments import blamed, scores
from inferwatch.sdk.buffer import BATCH_ROWS_MAX, Counters, Drop, Kind
from inferwatch.sdk.emitter import Emitter
from inferwatch.sdk.notice import warn_once
from inferwatch.sdk.privacy import Privacy, key_from_environment
from inferwatch.sdk.table import ROW_BYTES, VALUE_BYTES, Row, Table
from inferwatch.sdk.timed import Timed
from inferwatch.sdk.transport import Transport, begin_anew, transport
from inferwatch.sdk.values import (
    PLAIN_TYPES,
    Plain,
    UnfitError,
    clean,
    is_infinite,
    now_ms,
    number,
    plain,
    text,
    time_ms,
)

NOTE_MAX = 1_000


class Monitor:
    """Reports the predictions and labels of one model, and which version answered.

    `model` is a path like `risk/fraud-scorer`. `include` names the features that may leave the
    process, and `embedding` (globs; all by default), `hash` the features, segments and `entity_id`
    that leave as keyed tokens. `segments` are added to every row. Without a broker it warns once
    and does nothing. Thread-safe; after a fork the child counts anew.
    """

    def __init__(
        self,
        model: str,
        version: str,
        *,
        connection: Connection | None = None,
        include: Sequence[str] | None = None,
        hash: Sequence[str] = (),
        segments: Mapping[str, Any] | None = None,
        instance: str = "",
        buffer_rows: int = 100_000,
        buffer_bytes: int = 64 << 20,
    ) -> None:
        self._model, self._version, self._instance = "", "", ""
        self._bounds = (buffer_rows, buffer_bytes)
        self._shape: tuple[tuple[Any, ...], tuple[str, ...]] = ((), ())
        self._segments: dict[str, Plain] = {}
        self._privacy = Privacy(self._model)
        self._connection: Connection | None = None
        self._on_collected: weakref.finalize[[], Monitor] | None = None
        self._begin()
        try:
            self._model, self._version = clean(str(model)), clean(str(version))
            self._instance = clean(str(instance))[:INSTANCE_MAX]
            if not self._version:
                raise UnfitError("the version is empty")
            self._segments = {str(k): plain(v) for k, v in (segments or {}).items()}
            self._connection = _connection(self._model, connection)
            if self._connection is not None:
                self._privacy = Privacy(self._model, include, hash, key_from_environment())
                self._begin()
        except Exception as problem:
            self._connection = None
            warn_once(self._model, "settings", f"nothing is sent: {_reason(problem)}")
        _monitors.add(self)

    def log(
        self,
        features: Mapping[str, Any] | None = None,
        prediction: Any = None,
        proba: Any = None,
        *,
        timestamp: Any = None,
        entity_id: Any = None,
        latency_ms: float | None = None,
        error: Any = None,
        segments: Mapping[str, Any] | None = None,
        llm: Mapping[str, Any] | None = None,
        embedding: Any = None,
        prediction_id: Any = None,
    ) -> str:
        """Report one answer; returns its prediction id, which `log_label` takes.

        Numbers are numeric features, texts and truth values are categories, None and NaN are
        missing. `proba` is the score, or a mapping of class to probability. `timestamp` is a
        datetime (naive is UTC) or integer milliseconds; now by default. `error` is a word, a truth
        value or an exception, of which only the class is sent. `llm` holds `input_tokens`,
        `output_tokens`, `time_to_first_token_ms`, `cost`, `finish_reason`, each optional.
        `embedding` is a vector of up to 4,096 numbers. Cost: about 5 µs with 20 features.
        """
        row_id = self._emitter.next_id()
        try:
            if prediction_id is not None:
                row_id = _id(prediction_id)
            if self._connection is None:
                return row_id
            names, values, size_bytes = self._copy(features)
            row = Row(
                row_id,
                now_ms() if timestamp is None else time_ms(timestamp),
                names,
                values,
                plain(prediction),
                None if proba is None else scores(proba),
                None if latency_ms is None else number(plain(latency_ms)),
                None if error is None else frames.error_name(error),
                self._row_segments(segments),
                None if entity_id is None else text(plain(entity_id)),
                None if llm is None else frames.call(self._model, llm),
                None if embedding is None else self._vector(embedding),
            )
            told = (row.prediction, row.latency_ms)
            if any(map(is_infinite, (*told, *(row.scores or {}).values()))) or (
                row.llm is not None and any(map(is_infinite, row.llm.values()))
            ):
                raise UnfitError("an answer, a score, the latency or a figure of llm is infinite")
        except Exception as problem:
            given = {
                "features": features,
                "prediction": prediction,
                "proba": proba,
                "latency_ms": latency_ms,
                "error": error,
                "segments": segments,
                "entity_id": entity_id,
                "llm": llm,
                "embedding": embedding if self._privacy.keeps_embeddings() else None,
            }
            self._refuse(Drop.BAD_ROW, 1, blamed(problem, given))
            return row_id
        if row.embedding is not None:
            size_bytes += len(row.embedding)
        self._put("inference", self._version, row, 1, size_bytes)
        return row_id

    def log_batch(
        self,
        features: Any = None,
        prediction: Any = None,
        proba: Any = None,
        *,
        names: Sequence[str] | None = None,
        timestamp: Any = None,
        entity_id: Any = None,
        latency_ms: Any = None,
        error: Any = None,
        segments: Mapping[str, Any] | None = None,
        llm: Mapping[str, Any] | None = None,
        embedding: Any = None,
        prediction_id: Any = None,
    ) -> list[str]:
        """Report many answers; returns their prediction ids. Cost: about 1 µs a row of 10 numbers.

        `features` is a data frame, a mapping of columns, or a matrix with `names`, `embedding` a
        matrix or a column of vectors; everything else is a column of the same length or, but for
        answers and ids, one value for all rows.
        """
        rows = 1
        ids: list[str] = []
        try:
            rows = frames.row_count(features, prediction, prediction_id)
            if prediction_id is None:
                ids = self._emitter.next_ids(rows)
            else:
                ids = [clean(str(value)) for value in prediction_id]
            if self._connection is None:
                return ids
            table = frames.answers_table(
                self._model,
                self._privacy,
                ids,
                features=features,
                names=names,
                prediction=prediction,
                proba=proba,
                timestamp=timestamp,
                entity_id=entity_id,
                latency_ms=latency_ms,
                error=error,
                segments={**self._segments, **(segments or {})},
                llm=llm or {},
                embedding=embedding,
            )
        except Exception as problem:
            self._refuse(Drop.BAD_ROW, rows, problem)
            return ids
        self._put_table("inference", self._version, table, rows)
        return ids

    def log_label(
        self, prediction_id: Any, label: Any, timestamp: Any = None, version: Any = None
    ) -> None:
        """Report what turned out to be true; a later label of the same id corrects an earlier one.

        With `version` it is for that version's answer only, otherwise for every version's.
        """
        self.log_labels([prediction_id], [label], timestamp, version)

    def log_labels(
        self, prediction_ids: Any, labels: Any, timestamp: Any = None, version: Any = None
    ) -> None:
        """As `log_label`, for columns of equal length. A missing label is dropped as `bad_row`."""
        if self._connection is None:
            return
        rows = 1
        try:
            rows = len(prediction_ids)
            ids = [clean(str(value)) for value in prediction_ids]
            table = frames.labels_table(ids, labels, timestamp)
            lane_version = None if version is None else clean(str(version))
        except Exception as problem:
            self._refuse(Drop.BAD_ROW, rows, problem)
            return
        self._put_table("label", lane_version, table, rows)

    def deploy(self, version: str, *, rollback: bool = False, note: str = "") -> None:
        """A version went live: rows logged from now on carry it, and the log says when."""
        try:
            if not str(version):
                raise UnfitError("the version is empty")
            self._version = self._emitter.version = clean(str(version))
            if self._connection is None:
                return
            record = Deploy(
                model=self._model,
                version=self._version,
                time_ms=now_ms(),
                kind="rollback" if rollback else "deploy",
                note=clean(str(note))[:NOTE_MAX],
            )
            sender = self._sender()
            if not self._emitter.buffer.put_between(("deploy", self._version), record):
                raise UnfitError("the monitor is closed")
            sender.wake()
        except Exception as problem:
            warn_once(self._model, "deploy", f"deploy not sent: {_reason(problem)}")

    def timed(
        self,
        features: Mapping[str, Any] | None = None,
        *,
        timestamp: Any = None,
        entity_id: Any = None,
        segments: Mapping[str, Any] | None = None,
        llm: Mapping[str, Any] | None = None,
        embedding: Any = None,
        prediction_id: Any = None,
    ) -> Timed:
        """A context manager that logs one answer with its latency and the class of its exception.

        The arguments are those of `log`; the answer is set in the block.
        """
        details = {
            "timestamp": timestamp,
            "entity_id": entity_id,
            "segments": segments,
            "prediction_id": prediction_id,
        }
        return Timed(self, features, llm, embedding, details)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until everything logged so far is delivered or dropped; False after `timeout_s`."""
        buffer = self._emitter.buffer
        buffer.seal()
        self._wake()
        return buffer.wait(timeout_s)

    def close(self, timeout_s: float = 2.0) -> bool:
        """Refuse new rows, then `flush`. Called at interpreter exit, not when a signal kills.

        What is not delivered in time stays with the background thread while the process lives.
        """
        buffer = self._emitter.buffer
        buffer.close()
        self._wake()
        return buffer.wait(timeout_s)

    @property
    def counters(self) -> Counters:
        """Rows of this process: `emitted = delivered + sum(dropped) + pending`."""
        return self._emitter.buffer.counters()

    def _begin(self) -> None:
        """A new emitter: at the start, and in a forked child."""
        if self._on_collected is not None:
            self._on_collected.detach()
        self._transport: Transport | None = None
        self._emitter = Emitter(self._model, self._instance, self._privacy, *self._bounds)
        self._emitter.version = self._version
        self._on_collected = weakref.finalize(self, self._emitter.abandon)
        self._on_collected.atexit = False

    def _copy(
        self, features: Mapping[str, Any] | None
    ) -> tuple[tuple[str, ...], tuple[Plain, ...], int]:
        """Names and plain values of a row, and what they take in memory."""
        if features is None:
            return (), (), ROW_BYTES
        mapping = features if type(features) is dict else dict(features)
        raw_names, values = tuple(mapping), tuple(mapping.values())
        known, names = self._shape
        if raw_names != known:
            names = tuple(map(str, raw_names))
            self._shape = (raw_names, names)
        types = set(map(type, values))
        if not types <= PLAIN_TYPES:
            pairs = zip(names, values, strict=True)
            values = tuple(frames.readable(self._model, name, value) for name, value in pairs)
            types = set(map(type, values))
        size_bytes = ROW_BYTES + VALUE_BYTES * len(values)
        if str in types:
            size_bytes += sum(len(value) for value in values if type(value) is str)
        return names, values, size_bytes

    def _row_segments(self, segments: Mapping[str, Any] | None) -> dict[str, Plain] | None:
        if segments is None:
            return self._segments or None
        return {**self._segments, **{str(name): plain(value) for name, value in segments.items()}}

    def _vector(self, embedding: Any) -> bytes | None:
        return frames.vector(embedding) if self._privacy.keeps_embeddings() else None

    def _put_table(self, kind: Kind, version: str | None, table: Table, rows: int) -> None:
        """Queue a table in pieces of a batch; of the `rows` handed in, the others were unfit."""
        if table.rows < rows:
            self._refuse(
                Drop.BAD_ROW, rows - table.rows, UnfitError("no label, or no possible time")
            )
        for start in range(0, table.rows, BATCH_ROWS_MAX):
            part = table.part(start, start + BATCH_ROWS_MAX)
            self._put(kind, version, part, part.rows, ROW_BYTES + part.size_bytes())

    def _put(
        self, kind: Kind, version: str | None, item: Row | Table, rows: int, size_bytes: int
    ) -> None:
        try:
            sender = self._sender()
        except Exception as problem:
            self._refuse(Drop.INTERNAL, rows, problem)
            return
        dropped, due = self._emitter.buffer.put((kind, version), item, rows, size_bytes)
        if due:
            sender.wake()
        if dropped is not None:
            warn_once(self._model, dropped, f"rows dropped, {dropped}")

    def _refuse(self, reason: Drop, rows: int, problem: Exception) -> None:
        self._emitter.buffer.refuse(reason, rows)
        warn_once(self._model, reason, f"rows dropped, {reason}: {_reason(problem)}")

    def _sender(self) -> Transport:
        """The process's transport, serving this monitor; its thread starts with the first row."""
        if self._transport is None:
            assert self._connection is not None
            started = transport(self._connection)
            started.attach(self._emitter)
            self._transport = started
        return self._transport

    def _wake(self) -> None:
        if self._transport is not None:
            self._transport.wake()


def _connection(model: str, given: Connection | None) -> Connection | None:
    """Where to send to; None, and one warning, where that is nowhere."""
    if os.environ.get("INFERWATCH_DISABLED", "0") not in ("", "0"):
        return None
    if len(model) > NAME_MAX or not NAME.fullmatch(model):
        warn_once(model, "name", "nothing is sent: a model is named like team/model-1.x")
        return None
    connection = given or Connection.from_environment()
    if connection is None:
        warn_once(model, "no_broker", "nothing is sent: INFERWATCH_BOOTSTRAP_SERVERS is not set")
    else:
        connection.check()
    return connection


def _reason(problem: Exception) -> str:
    """What may be logged of `problem`: messages of foreign exceptions quote values."""
    own = isinstance(problem, UnfitError | ConfigError | OSError)
    return str(problem) if own else type(problem).__name__


def _id(prediction_id: Any) -> str:
    """A caller's own id as it travels."""
    found = clean(str(prediction_id))
    if not found:
        raise UnfitError("the prediction id is empty")
    return found


_monitors: "weakref.WeakSet[Monitor]" = weakref.WeakSet()


def all_counters() -> list[tuple[str, str, Counters]]:
    """Emitter, model and counters of every monitor of this process that is still in use."""
    return [(one._emitter.name, one._model, one.counters) for one in list(_monitors)]


def _in_child() -> None:
    begin_anew()
    for monitor in list(_monitors):
        monitor._begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=forks.before, after_in_parent=forks.after, after_in_child=_in_child)
