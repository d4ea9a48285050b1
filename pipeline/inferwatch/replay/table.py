"""CSV, Parquet and JSON lines as a source: rows become batches, labels trail behind them.

A table has no broker, so record time is the newest event time read so far. It makes no ticks
between rows, which move the watermark themselves, and one at the end that closes the windows still
open.
"""

import re
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
from numpy.typing import NDArray

from inferwatch.config.mapping import Mapping
from inferwatch.errors import UsageError, no_file
from inferwatch.records.batch import CALL_NUMBERS, FINISH_REASON
from inferwatch.records.decode import finite
from inferwatch.records.events import Tick
from inferwatch.records.ids import pack
from inferwatch.records.raw import EARLIEST_MS, LATEST_MS, Decoded, RawRecord
from inferwatch.records.rows import Calls, Rows, Truths, Words
from inferwatch.replay import vectors

BATCH_ROWS = 500
SUFFIXES = (".csv", ".csv.gz", ".parquet", ".jsonl", ".jsonl.gz", ".ndjson")
_NULL_LINE = re.compile(rb"\n(\xef\xbb\xbf)?\s*null")


class Batch(msgspec.Struct):
    """Up to 500 rows of a table, all of one version and with vectors of one size, and the labels
    that came along; -1 for a label without a time.
    """

    rows: Rows
    labels: Truths | None
    label_ms: NDArray[np.int64]


def names(path: Path) -> list[str]:
    """The columns of a table. Cost: that of its first block, but of a JSON lines file all of it.

    :raises UsageError: no such file, unknown format, or it cannot be read.
    """
    _check_format(path)
    try:
        if path.name.endswith(".parquet"):
            return list(pa.parquet.read_schema(path).names)
        if ".csv" not in path.name:
            return list(_json_lines(path).column_names)
        with pa.input_stream(str(path), compression="detect") as stream:
            return list(pa.csv.open_csv(stream).schema.names)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path}: {str(error).splitlines()[0]}") from None


def _check_format(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"{path}: {no_file(path)}")
    if not path.name.endswith(SUFFIXES):
        raise UsageError(f"{path}: unknown format; use one of {', '.join(SUFFIXES)}")


def read(path: Path, mapping: Mapping) -> Iterator[Batch]:
    """The batches of a table, in its order. Memory: one block of it, but all of a JSON lines file.

    :raises UsageError: no such file, unknown format, a column is missing or of the wrong type.
    """
    _check_format(path)
    try:
        for block in _blocks(path, mapping):
            _check_columns(path, mapping, block.schema.names)
            for start in range(0, block.num_rows, BATCH_ROWS):
                for run in _runs(path, mapping, block.slice(start, BATCH_ROWS)):
                    yield _batch(path, mapping, run)
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path}: {_said(path, error)}") from None


def _said(path: Path, error: Exception) -> str:
    """What the reader says, with a column's name for its number."""
    first = str(error).splitlines()[0]
    found = re.fullmatch(r"In CSV column #(\d+): (CSV conversion error to double: )?(.*)", first)
    if found is None:
        return first
    column = f"column '{names(path)[int(found[1])]}'"
    return f"{column} is not numeric: {found[3]}" if found[2] else f"{column}: {found[3]}"


def _blocks(path: Path, mapping: Mapping) -> Iterator[Any]:
    if path.name.endswith(".parquet"):
        with pa.parquet.ParquetFile(path) as file:
            batches = 10 if mapping.embedding else 100  # a vector may be 4,096 numbers
            yield from file.iter_batches(batch_size=batches * BATCH_ROWS)
        return
    if ".csv" not in path.name:
        yield from _json_lines(path).to_batches(max_chunksize=100 * BATCH_ROWS)
        return
    with pa.input_stream(str(path), compression="detect") as stream:
        convert = pa.csv.ConvertOptions(
            column_types=_types(path, mapping), strings_can_be_null=True
        )
        reader = pa.csv.open_csv(stream, convert_options=convert)
        # whole batches of 500, however the reader cuts its blocks
        yield from _even(reader)


def _json_lines(path: Path) -> Any:
    """A JSON lines file, whole.

    :raises UsageError: a line is `null`: at the head of a block such a one ends Arrow's reader, and
        with it the process, by a segmentation fault.
    """
    with pa.input_stream(str(path), compression="detect") as stream:
        before = b"\n"
        while piece := stream.read(1 << 20):
            if _NULL_LINE.search(before + piece):
                raise UsageError(f"{path}: a line is `null`; each must be an object")
            before = piece[-64:]
    with pa.input_stream(str(path), compression="detect") as stream:
        return pa.json.read_json(stream)


def _types(path: Path, mapping: Mapping) -> dict[str, Any]:
    """What the columns of a CSV file hold, over all its rows: the reader itself goes by the first
    block, which may well be without an error, a label or a fraction.

    Memory: the columns of which the mapping does not say it, whole.
    """
    words = [mapping.prediction_id, *mapping.categories, *mapping.segments]
    words += [name for name in (mapping.version_column, mapping.entity_id) if name]
    words += [name for figure, name in mapping.llm.items() if figure == FINISH_REASON]
    numbers = [name for figure, name in mapping.llm.items() if figure != FINISH_REASON]
    numbers += [name for name in (*mapping.numeric, mapping.proba, mapping.latency_ms) if name]
    said = dict.fromkeys(numbers, pa.float64()) | dict.fromkeys(words, pa.string())
    open_ = [name for name in names(path) if name not in said]
    if mapping.numeric or mapping.categories:
        open_ = [name for name in open_ if name in mapping.columns()]
    if not open_:
        return said
    with pa.input_stream(str(path), compression="detect") as stream:
        options = pa.csv.ConvertOptions(include_columns=open_, strings_can_be_null=True)
        schema = pa.csv.read_csv(stream, convert_options=options).schema
    return said | {field.name: field.type for field in schema}


def _even(blocks: Any) -> Iterator[Any]:
    rest = None
    for block in blocks:
        table = pa.Table.from_batches([block])
        table = table if rest is None else pa.concat_tables([rest, table])
        whole = table.num_rows // BATCH_ROWS * BATCH_ROWS
        if whole:
            yield table.slice(0, whole).combine_chunks()
        rest = table.slice(whole)
    if rest is not None and rest.num_rows:
        yield rest.combine_chunks()


def _check_columns(path: Path, mapping: Mapping, names: Sequence[str]) -> None:
    missing = [name for name in mapping.columns() if name not in names]
    if missing:
        raise UsageError(
            f"{path}: column '{missing[0]}' is missing; the table has {', '.join(names)}"
        )
    doubled = [name for name in names if names.count(name) > 1]
    if doubled:
        raise UsageError(f"{path}: column '{doubled[0]}' is there twice")


def _runs(path: Path, mapping: Mapping, block: Any) -> Iterator[Any]:
    """The block cut wherever the version or the size of vectors changes: a batch is of one."""
    cuts = {0, block.num_rows}
    if mapping.version_column is not None:
        words = _words(block, mapping.version_column)
        codes = words.codes
        if (codes < 0).any() or "" in words.words:
            raise UsageError(
                f"{path}: column '{mapping.version_column}' has rows without a version"
            )
        cuts.update((np.flatnonzero(np.diff(codes)) + 1).tolist())
    if mapping.embedding is not None:
        sizes = vectors.sizes(path, block, mapping.embedding)
        known = np.flatnonzero(sizes)
        cuts.update(known[1:][np.diff(sizes[known]) != 0].tolist())
    for first, end in pairwise(sorted(cuts)):
        yield block.slice(first, end - first)


def _batch(path: Path, mapping: Mapping, block: Any) -> Batch:
    ids = _texts(block, mapping.prediction_id)
    if "" in ids:
        raise UsageError(f"{path}: column '{mapping.prediction_id}' has rows without an id")
    time_ms = _times(path, block, mapping.timestamp)
    numeric, categories = _features(path, mapping, block)
    rows = Rows(
        model=mapping.model,
        version=_texts(block, mapping.version_column)[0]
        if mapping.version_column
        else mapping.version,
        emitter="",
        seq=-1,
        emitted=0,
        dropped=0,
        n=len(ids),
        time_ms=time_ms,
        ids=pack(ids),
        numeric_names=tuple(numeric),
        numeric=_matrix([_floats(path, block, name) for name in numeric], len(ids)),
        categories={name: _words(block, name) for name in categories},
        prediction=_answer(block, mapping.prediction),
        score_names=("score",) if mapping.proba else (),
        scores=_floats(path, block, mapping.proba)[np.newaxis]
        if mapping.proba
        else np.empty((0, len(ids))),
        latency_ms=_floats(path, block, mapping.latency_ms) if mapping.latency_ms else None,
        error=_errors(block, mapping.error) if mapping.error else None,
        segments={name: _words(block, name) for name in mapping.segments},
        entity=pack(_texts(block, mapping.entity_id)) if mapping.entity_id else None,
        llm=_calls(path, block, mapping.llm) if mapping.llm else None,
        embedding=vectors.read(path, block, mapping.embedding) if mapping.embedding else None,
    )
    return _with_labels(path, mapping, block, rows)


def _with_labels(path: Path, mapping: Mapping, block: Any, rows: Rows) -> Batch:
    answer = _answer(block, mapping.label)
    if answer is None:
        return Batch(rows, None, np.empty(0, np.int64))
    known = answer.codes >= 0 if isinstance(answer, Words) else np.isfinite(answer)
    times = rows.time_ms[known] + mapping.label_delay_ms
    if mapping.label_time:
        times = _times(path, block.filter(pa.array(known)), mapping.label_time)
    labels = Truths(
        model=rows.model,
        version=rows.version,
        emitter="",
        seq=-1,
        emitted=0,
        dropped=0,
        n=int(known.sum()),
        time_ms=times,
        ids=rows.ids.take(known),
        label=Words(answer.words, answer.codes[known])
        if isinstance(answer, Words)
        else answer[known],
    )
    return Batch(rows, labels, times)


def _features(path: Path, mapping: Mapping, block: Any) -> tuple[list[str], list[str]]:
    numeric, categories = mapping.numeric, mapping.categories
    if not (numeric or categories):
        named = set(mapping.columns())
        rest = [field for field in block.schema if field.name not in named]
        numeric = [field.name for field in rest if _is_number(field.type)]
        categories = [field.name for field in rest if field.name not in numeric]
    for name in categories:
        kind = block.schema.field(name).type
        if pa.types.is_nested(kind):
            raise UsageError(
                f"{path}: column '{name}' holds {kind}, no words; in the mapping file name it as "
                "`embedding` if it holds vectors, else the table's features under `features`"
            )
    return numeric, categories


def _is_number(kind: Any) -> bool:
    """Decimals too, which databases export."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _calls(path: Path, block: Any, named: dict[str, str]) -> Calls:
    missing = np.full(block.num_rows, np.nan)
    numbers = [
        _floats(path, block, named[name]) if name in named else missing for name in CALL_NUMBERS
    ]
    finish = Words((), np.full(block.num_rows, -1, np.int32))
    if FINISH_REASON in named:
        finish = _words(block, named[FINISH_REASON])
    return Calls(np.stack(numbers), finish)


def _texts(block: Any, name: str) -> list[str]:
    column = pc.cast(block.column(name), pa.string())
    return [value if value is not None else "" for value in column.to_pylist()]


def _floats(path: Path, block: Any, name: str) -> NDArray[np.float64]:
    try:
        column = pc.cast(block.column(name), pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise UsageError(f"{path}: column '{name}' is not numeric") from None
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)


def _matrix(columns: Sequence[NDArray[np.float64]], n: int) -> NDArray[np.float32]:
    """float32[F, n], as features travel; what that does not hold is infinite there."""
    with np.errstate(over="ignore"):
        return np.array(columns, np.float64).reshape(len(columns), n).astype(np.float32)


def _words(block: Any, name: str) -> Words:
    column = pc.cast(block.column(name), pa.string())
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    coded = column.dictionary_encode()
    codes = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
    return Words(tuple(coded.dictionary.to_pylist()), codes)


def _errors(block: Any, name: str) -> Words:
    """The word of each error; of truth values those that are true."""
    if not pa.types.is_boolean(block.schema.field(name).type):
        return _words(block, name)
    failed = pc.fill_null(block.column(name), False).to_numpy(zero_copy_only=False)
    return Words(("true",), np.where(failed, 0, -1).astype(np.int32))


def _answer(block: Any, name: str | None) -> Words | NDArray[np.float64] | None:
    """Numbers, or words; a truth value is 1 or 0."""
    if name is None:
        return None
    kind = block.schema.field(name).type
    if _is_number(kind) or pa.types.is_boolean(kind):
        return np.asarray(
            pc.cast(block.column(name), pa.float64()).to_numpy(zero_copy_only=False), np.float64
        )
    return _words(block, name)


def _times(path: Path, block: Any, name: str) -> NDArray[np.int64]:
    """Milliseconds; a timestamp without a zone is UTC, a whole number is milliseconds already."""
    column = block.column(name)
    if column.null_count:
        raise UsageError(f"{path}: column '{name}' has rows without a time")
    try:
        if not pa.types.is_integer(column.type):
            column = pc.cast(column, pa.timestamp("ms"), safe=False)
        times = pc.cast(column, pa.int64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise UsageError(
            f"{path}: column '{name}' is no time; use ISO 8601 or whole milliseconds"
        ) from None
    beyond = times[(times < EARLIEST_MS) | (times >= LATEST_MS)]
    if len(beyond):
        raise UsageError(f"{path}: column '{name}' holds {beyond[0]}, no time in milliseconds")
    return np.asarray(times, np.int64)


def records(batches: Iterator[Batch], grace_ms: int) -> Iterator[tuple[RawRecord, Decoded]]:
    """The records that a live topic would hold: batches, labels once known, a last tick."""
    offset, now_ms = 0, 0
    waiting: list[tuple[int, int, Truths]] = []  # by the time of the last label, then as they came
    for number, batch in enumerate(batches):
        now_ms = max(now_ms, int(batch.rows.time_ms.max()))
        while waiting and waiting[0][0] <= now_ms:
            yield _record(offset, now_ms, heappop(waiting)[2])
            offset += 1
        yield _record(offset, now_ms, batch.rows)
        offset += 1
        if batch.labels is not None and batch.labels.n:
            heappush(waiting, (int(batch.label_ms.max()), number, batch.labels))
    while waiting:
        yield _record(offset, now_ms, heappop(waiting)[2])
        offset += 1
    yield _record(offset, now_ms + grace_ms, Tick(closing=True))


def _record(offset: int, time_ms: int, record: Rows | Truths | Tick) -> tuple[RawRecord, Decoded]:
    """The record as one that was decoded: rows that no topic would hold are rejects."""
    raw = RawRecord("table", 0, offset, time_ms, None, None)
    if isinstance(record, Rows):
        return raw, finite(record)
    return raw, Decoded(record, (), record.n if isinstance(record, Truths) else 1)
