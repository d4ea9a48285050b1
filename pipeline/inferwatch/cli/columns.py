"""Columns of numbers out of a file, a block at a time; what is missing is NaN."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from inferwatch.errors import UsageError, no_file

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.csv

Floats = NDArray[np.float64]
BLOCK_ROWS = 50_000
PIECE_BYTES = 1 << 16


def blocks(file: str, columns: Sequence[str], *, rows: bool) -> Iterator[Floats]:
    """The rows in order: float64[n] of one column, float64[n, F] of several.

    :param columns: by name; none where the file has but one column of numbers.
    :param rows: whether a two-dimensional array is taken as rows of columns without a name.
    :raises UsageError: the file or a column cannot be read, or columns are named where names are
        not.
    """
    if columns and (file == "-" or file.endswith(".npy")):
        raise UsageError(f"{file}: has no names of columns; leave --column out")
    if file == "-":
        yield from _lines()
        return
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"{file}: {no_file(path)}")
    if path.suffix == ".npy":
        whole = _array(path, rows=rows)
        for at in range(0, len(whole), BLOCK_ROWS):
            yield np.asarray(whole[at : at + BLOCK_ROWS], np.float64)
        return
    yield from _table(path, columns)


def _lines() -> Iterator[Floats]:
    """What standard input has so far, as it comes: a writer that waits is answered at once.

    A first line that is a word is the column's name.
    """
    number, rest = 0, b""
    while piece := sys.stdin.buffer.read1(PIECE_BYTES):
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > PIECE_BYTES:
            raise UsageError(f"-: line {number + len(lines) + 1} has no end")
        named = not number and bool(lines) and _is_name(lines[0])
        if lines[named:]:
            yield _numbers(lines[named:], number + named)
        number += len(lines)
    if rest:
        yield _numbers([rest], number)


def _is_name(line: bytes) -> bool:
    try:
        float(line)
    except ValueError:
        return line.decode(errors="replace").strip().strip('"').isidentifier()
    return False


def _numbers(lines: Sequence[bytes], before: int) -> Floats:
    values = np.empty(len(lines))
    for at, line in enumerate(lines):
        try:
            values[at] = float(line) if line.strip() else float("nan")
        except ValueError:
            told = line.strip()[:40].decode(errors="replace")
            raise UsageError(f"-: line {before + at + 1} is no number: {told}") from None
    return values


def _array(path: Path, *, rows: bool) -> NDArray[np.generic]:
    try:
        whole = np.load(path, allow_pickle=False)
    except (ValueError, OSError) as error:
        raise UsageError(f"{path}: no array of numbers: {error}") from None
    fits = whole.ndim == 1 or (rows and whole.ndim == 2 and whole.shape[1] > 0)
    if not fits or whole.dtype.kind not in "biuf":
        needed = "numbers, [n] or [n, F]" if rows else "one column of numbers, [n]"
        raise UsageError(f"{path}: {whole.dtype} of shape {whole.shape}; save {needed}")
    return np.asarray(whole)


def _table(path: Path, columns: Sequence[str]) -> Iterator[Floats]:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.suffix == ".parquet":
            with pa.parquet.ParquetFile(path) as file:
                names = _chosen(path, file.schema_arrow, columns)
                for batch in file.iter_batches(batch_size=BLOCK_ROWS, columns=names):
                    yield _floats(path, batch, names)
            return
        with pa.input_stream(str(path), compression="detect") as stream:
            schema = pa.csv.open_csv(stream).schema
        names = _chosen(path, schema, columns)
        with pa.input_stream(str(path), compression="detect") as stream:
            for batch in pa.csv.open_csv(
                stream,
                read_options=pa.csv.ReadOptions(use_threads=False),  # else no row in its errors
                # of a single column an empty line is a row without a value
                parse_options=pa.csv.ParseOptions(ignore_empty_lines=len(schema.names) > 1),
                convert_options=_as_numbers(schema, names),
            ):
                yield _floats(path, batch, names)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        of = f"column '{columns[0]}': " if len(columns) == 1 else ""
        raise UsageError(f"{path}: {of}{error}") from None


def _as_numbers(
    schema: "pyarrow.Schema",
    names: list[str],
) -> "pyarrow.csv.ConvertOptions":
    """Read the columns as float64, whatever the first rows look like: 1, 2 or nothing, then 3.5."""
    import pyarrow as pa
    import pyarrow.csv

    kinds = {name: schema.field(name).type for name in names}
    kinds = {name: kind if kind == pa.bool_() else pa.float64() for name, kind in kinds.items()}
    return pa.csv.ConvertOptions(include_columns=names, column_types=kinds)


def _chosen(path: Path, schema: "pyarrow.Schema", columns: Sequence[str]) -> list[str]:
    import pyarrow.types

    for column in columns:
        if columns.count(column) > 1:
            raise UsageError(f"{path}: --column {column} is given twice; leave one out")
        if schema.names.count(column) > 1:
            raise UsageError(f"{path}: several columns are called '{column}'; rename them")
        if column not in schema.names:
            raise UsageError(f"{path}: no column '{column}'; it has {', '.join(schema.names)}")
    if columns:
        return list(columns)
    fits = [
        field.name
        for field in schema
        if pyarrow.types.is_integer(field.type) or pyarrow.types.is_floating(field.type)
    ]
    if len(fits) != 1:
        told = ", ".join(fits) or "none"
        raise UsageError(f"{path}: name one with --column; columns of numbers: {told}")
    return fits


def _floats(path: Path, batch: "pyarrow.RecordBatch", names: list[str]) -> Floats:
    """In the order of `names`."""
    import pyarrow as pa

    found = []
    for name in names:
        column = batch.column(name)
        try:
            numbers = column.cast(pa.float64(), safe=False)  # an integer may lose its last digits
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # texts; types without a cast
            told = f"column '{name}' holds {column.type}, not numbers"
            raise UsageError(f"{path}: {told}") from None
        found.append(np.asarray(numbers.to_numpy(zero_copy_only=False), np.float64))
    return found[0] if len(found) == 1 else np.stack(found, axis=1)
