"""`inferwatch detect`"""

import argparse
import json
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inferwatch.cli.columns import blocks
from inferwatch.config.checks import METHODS
from inferwatch.detectors import Detector, make, methods
from inferwatch.errors import ConfigError, UsageError

Floats = NDArray[np.float64]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of detect."""
    parser.add_argument(
        "method",
        metavar="METHOD",
        help="a detector of `inferwatch methods`; it reads values as they are, and its parameters "
        "are not those of the check of that name, which scales them by the reference first",
    )
    parser.add_argument(
        "file",
        metavar="FILE",
        help=".csv, .csv.gz, .parquet, .npy, or - for one number a line, under a name or none",
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

    On a terminal a last line says how many there were.

    :raises UsageError: whatever is wrong stands on the command line, the detector's parameters too.
    """
    try:
        return _run(arguments)
    except ConfigError as error:
        raise UsageError(str(error)) from None


def _run(arguments: argparse.Namespace) -> int:
    params = dict(map(_param, arguments.param))
    if arguments.method in METHODS and arguments.method not in methods():
        raise UsageError(
            f"{arguments.method} is for checks of monitor files: name it in one and run "
            "`inferwatch replay`; detectors are the second table of `inferwatch methods`"
        )
    detector, scorer = (make(arguments.method, **params) for _ in range(2))
    by_row = getattr(detector.METHOD, "by_row", False)
    if len(arguments.column) > 1 and not by_row:
        raise UsageError(f"{arguments.method} looks at one column; give --column once")
    ranges = [_range(text) for text in arguments.scale]
    first = findings = 0
    for values in blocks(arguments.file, arguments.column, rows=by_row):
        fed = _scaled(values, ranges)
        _check_values(detector, fed, first)
        scores = scorer.score_many(fed) if hasattr(scorer, "score_many") else None
        for row in detector.update_many(fed):
            found = {"row": row, "value": values[row - first].tolist()}
            if scores is not None:
                found["score"] = float(scores[row - first])
            print(json.dumps(found), flush=True)
            findings += 1
        first += len(values)
    if sys.stdout.isatty():
        print(f"{findings:,} found in {first:,} rows", file=sys.stderr)
    return 0


def _check_values(detector: Detector, values: Floats, first: int) -> None:
    """Let numbers pass that the detector can read; `first` is the row of the first.

    :raises UsageError: a detector of errors or losses is given something else.
    """
    reads = getattr(detector.METHOD, "values", "numbers")
    if reads == "numbers":
        return
    fits = (values == 0) | (values == 1) if reads == "errors" else (values >= 0) & (values <= 1)
    odd = np.flatnonzero(np.isfinite(values) & ~fits)
    if not len(odd):
        return
    told = f"row {first + odd[0]} is {values[odd[0]]:g}: {detector.METHOD.name} reads"
    if reads == "errors":
        raise UsageError(f"{told} errors, 1 wrong and 0 right; give it a column of those")
    raise UsageError(f"{told} errors or losses in 0…1; give it those, or a range with --scale")


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
