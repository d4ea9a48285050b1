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
    """What the newest windows say about one version of a model.

    `labels` and `coverage` are of `labels_window`, the newest that had labels, or, where none had,
    the newest that reads them; that is seldom the newest of all, which is `window`.
    """

    model: str
    version: str
    window: str
    ended_ms: int
    rows_per_s: float | None
    learning: bool
    held: bool
    labels: int
    coverage: float | None
    labels_window: str
    labels_ended_ms: int | None
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
    found = list(records)
    reading = latest(record for record in found if record.coverage is not None)
    labelled = latest(record for record in found if record.labels)
    judged = {(record.model, record.version): record for record in (*reading, *labelled)}
    return [_model(record, judged.get((record.model, record.version))) for record in latest(found)]


def _model(record: WindowRecord, judged: WindowRecord | None) -> Model:
    start, end = span_ms(record)
    return Model(
        model=record.model,
        version=record.version,
        window=record.window.name,
        ended_ms=end,
        rows_per_s=record.rows / (end - start) * 1000 if end > start else None,
        learning="drift" in record.unknown,
        held=record.reference is not None and record.reference.held_ms is not None,
        labels=judged.labels if judged else 0,
        coverage=judged.coverage if judged else None,
        labels_window=judged.window.name if judged else "",
        labels_ended_ms=span_ms(judged)[1] if judged else None,
        unknown=record.unknown,
    )


def _row(model: Model) -> list[str]:
    rate = "" if model.rows_per_s is None else _rate(model.rows_per_s)
    reference = "learning" if model.learning else "stands still" if model.held else "known"
    return [
        model.model,
        model.version,
        rate,
        reference,
        _labels(model),
        model.window,
        _time(model.ended_ms),
    ]


def _labels(model: Model) -> str:
    """ "50, coverage 99 % (hour to 2026-01-31 14:00 UTC)"."""
    if model.labels_ended_ms is None:
        return "no window that reads them has closed"
    if not model.labels:
        return f"none yet ({model.labels_window})"
    of = f"{model.labels_window} to {_time(model.labels_ended_ms)}"
    return f"{model.labels:,}, coverage {percent(model.coverage or 0.0)} ({of})"


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _rate(rows_per_s: float) -> str:
    return f"{rows_per_s:,.0f}" if rows_per_s >= 100 else f"{rows_per_s:.3g}"
