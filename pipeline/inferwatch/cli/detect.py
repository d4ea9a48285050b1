"""`inferwatch detect`"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inferwatch.detectors import make
from inferwatch.errors import ConfigError, UsageError

Floats = NDArray[np.float64]
BLOCK_ROWS = 50_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of detect."""
    parser.add_argument("method", metavar="METHOD", help="a name of `inferwatch methods`")
    parser.add_argument(
        "file", metavar="FILE", help=".csv, .csv.gz, .parquet, .npy, or - for one number a line"
    )
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="of the method"
    )
    parser.add_argument("--column", metavar="NAME", help="where the file has several")
    parser.add_argument(
        "--scale", metavar="MIN,MAX", help="clip to this range, then scale it to 0…1; --scale=-5,5"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a line of JSON for each finding: its zero-based row, its value, its score if any."""
    params = dict(map(_param, arguments.param))
    detector, scorer = (make(arguments.method, **params) for _ in range(2))
    low, high = _range(arguments.scale)
    first = 0
    for values in _blocks(arguments.file, arguments.column):
        fed = values if high is None else (np.clip(values, low, high) - low) / (high - low)
        scores = scorer.score_many(fed) if hasattr(scorer, "score_many") else None
        for row in detector.update_many(fed):
            found = {"row": row, "value": float(values[row - first])}
            if scores is not None:
                found["score"] = float(scores[row - first])
            print(json.dumps(found), flush=True)
        first += len(values)
    return 0


def _param(text: str) -> tuple[str, float | str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--param {text}", key="param", fix="write NAME=VALUE")
    try:
        number = float(value)
    except ValueError:
        return name, value
    return name, int(number) if number.is_integer() else number


def _range(text: str | None) -> tuple[float, float | None]:
    if text is None:
        return 0.0, None
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise ConfigError(f"--scale {text}", key="scale", fix="write MIN,MAX, such as 0,100")
    return low, high


def _blocks(file: str, column: str | None) -> Iterator[Floats]:
    """The values in order, some ten thousand at a time; what is missing is NaN.

    :raises UsageError: the file or the column cannot be read.
    """
    if file == "-":
        yield from _lines()
        return
    path = Path(file)
    if not path.is_file():
        raise UsageError(f"{file}: no such file")
    if path.suffix == ".npy":
        whole = _array(path)
        yield from (whole[at : at + BLOCK_ROWS] for at in range(0, len(whole), BLOCK_ROWS))
        return
    yield from _table(path, column)


def _lines() -> Iterator[Floats]:
    values: list[float] = []
    for number, line in enumerate(sys.stdin):
        try:
            values.append(float(line) if line.strip() else float("nan"))
        except ValueError:
            raise UsageError(f"-: line {number + 1} is no number: {line.strip()[:40]}") from None
        if len(values) == BLOCK_ROWS:
            yield np.array(values)
            values = []
    yield np.array(values, np.float64)


def _array(path: Path) -> Floats:
    try:
        whole = np.load(path, allow_pickle=False)
    except (ValueError, OSError) as error:
        raise UsageError(f"{path}: no array of numbers: {error}") from None
    if whole.ndim != 1 or whole.dtype.kind not in "biuf":
        raise UsageError(f"{path}: {whole.dtype} of shape {whole.shape}, one column is needed")
    return np.asarray(whole, np.float64)


def _table(path: Path, column: str | None) -> Iterator[Floats]:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.suffix == ".parquet":
            with pa.parquet.ParquetFile(path) as file:
                name = _chosen(path, file.schema_arrow, column)
                for batch in file.iter_batches(batch_size=BLOCK_ROWS, columns=[name]):
                    yield _floats(path, batch, name)
            return
        with pa.input_stream(str(path), compression="detect") as stream:
            reader = pa.csv.open_csv(stream)
            name = _chosen(path, reader.schema, column)
            for batch in reader:
                yield _floats(path, batch, name)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:
        raise UsageError(f"{path}: {error}") from None


def _chosen(path: Path, schema: "pyarrow.Schema", column: str | None) -> str:  # noqa: F821
    import pyarrow.types

    names = schema.names
    if column is not None:
        if column not in names:
            raise UsageError(f"{path}: no column '{column}'; it has {', '.join(names)}")
        return column
    fits = [
        field.name
        for field in schema
        if pyarrow.types.is_integer(field.type) or pyarrow.types.is_floating(field.type)
    ]
    if len(fits) != 1:
        told = ", ".join(fits) or "none"
        raise UsageError(f"{path}: name one with --column; columns of numbers: {told}")
    return fits[0]


def _floats(path: Path, batch: "pyarrow.RecordBatch", name: str) -> Floats:  # noqa: F821
    import pyarrow as pa

    column = batch.column(name)
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise UsageError(f"{path}: column '{name}' holds {column.type}, not numbers") from None
