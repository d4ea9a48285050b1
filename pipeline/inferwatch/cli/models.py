"""`inferwatch models`"""

import argparse
import sys
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from inferwatch.cli.connect import add_connection, connection
from inferwatch.cli.table import table
from inferwatch.errors import Exit
from inferwatch.records.outputs import WindowRecord, live, percent
from inferwatch.records.raw import RawRecord
from inferwatch.replay.log import LogReader

# of each partition: some thousand windows of the models that share it, read in about a second
RECORDS_MAX = 5_000


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
    records: list[WindowRecord] = []
    with LogReader(connection(arguments), "windows.v1") as reader:
        for partition in reader.partitions():
            low, high = reader.ends(partition)
            if high - low > RECORDS_MAX:
                print(
                    f"only the last {RECORDS_MAX:,} windows of partition {partition} are read",
                    file=sys.stderr,
                )
            for raw in reader.read(partition, max(low, high - RECORDS_MAX), high):
                records += _window(raw)
    found = models(records)
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


def _window(raw: RawRecord) -> list[WindowRecord]:
    if not live(raw.headers):
        return []
    try:
        return [msgspec.json.decode(raw.value or b"", type=WindowRecord)]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        print(f"{raw.name} is no window: {error}", file=sys.stderr)
        return []


def models(records: Iterable[WindowRecord]) -> list[Model]:
    """One entry a model and version, from its newest window over all rows.

    Of windows that end together the shortest speaks, of its revisions the last.
    """
    newest: dict[tuple[str, str], WindowRecord] = {}
    for record in records:
        if record.segment:
            continue
        key = record.model, record.version
        if key not in newest or _age(record) > _age(newest[key]):
            newest[key] = record
    return [_model(newest[key]) for key in sorted(newest)]


def _age(record: WindowRecord) -> tuple[int, int, int]:
    start, end = _span_ms(record)
    return end, start, record.revision


def _span_ms(record: WindowRecord) -> tuple[int, int]:
    """Event time from which to which the window's rows are."""
    if record.window.rows:
        return record.from_ms or 0, record.to_ms or 0
    return record.window.start, record.window.end


def _model(record: WindowRecord) -> Model:
    start, end = _span_ms(record)
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
