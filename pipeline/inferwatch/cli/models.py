"""`inferwatch models`"""

import argparse
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from inferwatch.cli import windows
from inferwatch.cli.connect import add_connection, connection
from inferwatch.cli.table import table
from inferwatch.cli.windows import latest, span_ms
from inferwatch.errors import Exit
from inferwatch.records.outputs import WindowRecord, percent


class Model(msgspec.Struct):
    """What the newest windows say about one version of a model."""

    model: str
    version: str
    window: str
    ended_ms: int
    rows_per_s: float | None
    learning: bool
    labels: int
    coverage: float | None
    unknown: dict[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of models."""
    parser.add_argument(
        "--format",
        choices=["table", "json"],
        default="table",
        help="json: one model and version a line",
    )
    add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read the newest windows and print one line a model and version."""
    found = models(windows.read(connection(arguments)))
    if arguments.format == "json":
        for model in found:
            print(msgspec.json.encode(model, order="sorted").decode())
    elif not found:
        print(
            "no window has closed yet; the default ones take a minute, and half a minute of grace"
        )
    else:
        heads = ["MODEL", "VERSION", "ROWS/S", "REFERENCE", "LABELS", "LAST WINDOW", "ENDED"]
        print(table(heads, [_row(model) for model in found]))
    return Exit.DONE


def models(records: Iterable[WindowRecord]) -> list[Model]:
    """One entry a model and version, from its newest window over all rows.

    Of windows that end together the shortest speaks, of its revisions the last.
    """
    return [_model(record) for record in latest(records)]


def _model(record: WindowRecord) -> Model:
    start, end = span_ms(record)
    return Model(
        model=record.model,
        version=record.version,
        window=record.window.name,
        ended_ms=end,
        rows_per_s=record.rows / (end - start) * 1000 if end > start else None,
        learning="drift" in record.unknown,
        labels=record.labels,
        coverage=record.coverage,
        unknown=record.unknown,
    )


def _row(model: Model) -> list[str]:
    rate = "" if model.rows_per_s is None else _rate(model.rows_per_s)
    ended = datetime.fromtimestamp(model.ended_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    labels = "not watched"
    if model.coverage is not None:
        labels = f"{model.labels:,}, coverage {percent(model.coverage)}"
    reference = "learning" if model.learning else "known"
    return [model.model, model.version, rate, reference, labels, model.window, ended]


def _rate(rows_per_s: float) -> str:
    return f"{rows_per_s:,.0f}" if rows_per_s >= 100 else f"{rows_per_s:.3g}"
