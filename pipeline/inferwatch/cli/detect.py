"""`inferwatch detect`"""

import argparse
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inferwatch.cli.columns import blocks
from inferwatch.detectors import make
from inferwatch.errors import ConfigError, UsageError

Floats = NDArray[np.float64]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of detect."""
    parser.add_argument("method", metavar="METHOD", help="a name of `inferwatch methods`")
    parser.add_argument(
        "file", metavar="FILE", help=".csv, .csv.gz, .parquet, .npy, or - for one number a line"
    )
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="of the method"
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="where the file has several; again for each one more that hst is to see",
    )
    parser.add_argument(
        "--scale",
        action="append",
        default=[],
        metavar="MIN,MAX",
        help="clip to this range, then scale it to 0…1; --scale=-5,5; once, or once a column",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a line of JSON for each finding: its zero-based row, its value, its score if any.

    :raises UsageError: whatever is wrong stands on the command line, the detector's parameters too.
    """
    try:
        return _run(arguments)
    except ConfigError as error:
        raise UsageError(str(error)) from None


def _run(arguments: argparse.Namespace) -> int:
    params = dict(map(_param, arguments.param))
    detector, scorer = (make(arguments.method, **params) for _ in range(2))
    by_row = getattr(detector.METHOD, "by_row", False)
    if len(arguments.column) > 1 and not by_row:
        raise UsageError(f"{arguments.method} looks at one column; give --column once")
    ranges = [_range(text) for text in arguments.scale]
    first = 0
    for values in blocks(arguments.file, arguments.column, rows=by_row):
        fed = _scaled(values, ranges)
        scores = scorer.score_many(fed) if hasattr(scorer, "score_many") else None
        for row in detector.update_many(fed):
            found = {"row": row, "value": values[row - first].tolist()}
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


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low = high = 0.0
    if not 0.0 < high - low < float("inf"):
        raise ConfigError(f"--scale {text}", key="scale", fix="write MIN,MAX, such as 0,100")
    return low, high


def _scaled(values: Floats, ranges: Sequence[tuple[float, float]]) -> Floats:
    """Each column by its range, or all by the only one.

    :raises ConfigError: there are more than one, and not as many as columns.
    """
    if not ranges:
        return values
    columns = values.shape[1] if values.ndim == 2 else 1
    if len(ranges) not in (1, columns):
        told = f"{len(ranges)} ranges for {columns} column{'s' if columns > 1 else ''}"
        raise ConfigError(told, key="scale", fix="give --scale once, or once for each column")
    low, high = np.array(ranges).T
    return np.asarray((np.clip(values, low, high) - low) / (high - low))
