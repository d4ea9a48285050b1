"""`inferwatch replay SOURCE`"""

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from inferwatch.cli import changed, progress
from inferwatch.cli.amounts import count, time_ms
from inferwatch.cli.connect import add_connection, connection
from inferwatch.config import mapping, monitors, profiles
from inferwatch.config.monitors import Monitors
from inferwatch.core.fold import MODELS_MAX
from inferwatch.core.reference import Values
from inferwatch.errors import ConfigError, Exit, UsageError, no_file
from inferwatch.records.outputs import SchemaRecord
from inferwatch.replay import driver, table, topic
from inferwatch.replay.recorded import lines

Fold = Callable[[driver.Write], driver.Summary]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of a replay."""
    parser.add_argument(
        "source", metavar="SOURCE", help="a CSV, Parquet or JSON lines file, or the word `topic`"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="gets windows.jsonl, schema.jsonl, alerts.jsonl, told.jsonl, dead.jsonl, summary.json",
    )
    parser.add_argument(
        "--monitors",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="rules to run; a topic without it is run by the rules it recorded",
    )
    parser.add_argument(
        "--mapping",
        type=Path,
        metavar="FILE",
        help="what a table's columns mean; mapping.yaml beside it by default",
    )
    parser.add_argument(
        "--profile",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="columns that recorded rules with exact windows compare with",
    )
    parser.add_argument(
        "--since", type=time_ms, metavar="TIME", help="record time of a topic, ISO 8601"
    )
    parser.add_argument("--until", type=time_ms, metavar="TIME")
    parser.add_argument(
        "--models-max",
        type=count,
        default=MODELS_MAX,
        metavar="N",
        help=f"of a partition of a topic, {MODELS_MAX}: what its workers were told",
    )
    add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Replay, write, say what came of it."""
    loaded = monitors.load(arguments.monitors)
    summary = write(arguments, loaded)
    if summary is None:
        return Exit.STORAGE
    _tell(summary, arguments)
    tell_unmatched(loaded)
    return Exit.DONE


def tell_unmatched(loaded: Monitors) -> None:
    """Files that watched no model of the replay, on standard error."""
    for said in loaded.unmatched("of this log"):
        print(f"inferwatch: {said}", file=sys.stderr)


def write(arguments: argparse.Namespace, loaded: Monitors) -> driver.Summary | None:
    """Replay into the folder. A report that a full disk cuts short has no summary: None, and why is
    on standard error.
    """
    fold = _topic(arguments, loaded) if arguments.source == "topic" else _table(arguments, loaded)
    try:
        with driver.Writer(arguments.out) as writer:
            summary = fold(writer.write)
        writer.summary(summary)
    except OSError as error:
        print(f"inferwatch: {arguments.out}: {error.strerror}", file=sys.stderr)
        return None
    return summary


def _table(arguments: argparse.Namespace, loaded: Monitors) -> Fold:
    """Checks all that can be checked before a report is begun."""
    path = Path(arguments.source)
    if not path.is_file():
        raise UsageError(f"{path}: {no_file(path)}; SOURCE is a table or the word `topic`")
    described = arguments.mapping or path.parent / "mapping.yaml"
    if not described.is_file():
        said = f"{described}: {no_file(described)}; say with --mapping what the columns mean"
        if arguments.mapping is None:
            said += f", or fill in and write there:\n\n{mapping.draft(table.names(path))}"
        raise UsageError(said)
    columns = mapping.read(described)
    windows = loaded.definition(columns.model).windows
    grace_ms = max((window.grace_ms for window in windows), default=0)
    batches = table.read(path, columns)
    first = list(itertools.islice(batches, 1))
    if not first:
        raise UsageError(f"{path} has no rows")
    rows = table.records(itertools.chain(first, batches), grace_ms)
    shown = progress.shown(rows, sys.stderr)
    return lambda write: driver.run(shown, loaded.definition, loaded.values(), write, inspect=True)


def _topic(arguments: argparse.Namespace, loaded: Monitors) -> Fold:
    there = connection(arguments)
    found = topic.survey(there, arguments.since, arguments.until)
    recorded = not arguments.monitors
    rows: Iterator[Any] = topic.records(there, found, recorded_rules=recorded)
    shown = progress.shown(rows, sys.stderr)
    rules = found.definition if recorded else loaded.definition
    values = loaded.values() | _values(arguments.profile)
    return lambda write: driver.run(
        shown,
        rules,
        values,
        write,
        found.skipped,
        len(found.spans),
        arguments.models_max,
        inspect=not recorded,
    )


def _values(paths: Sequence[Path]) -> dict[str, Values]:
    found: dict[str, Values] = {}
    for path in paths:
        profile, values = profiles.read(path)
        if not values or profile.values_digest is None:
            raise ConfigError(
                "has no columns beside it",
                file=str(path),
                fix=f"put {profiles.values_path(path).name} there",
            )
        found[profile.values_digest] = values
    return found


def _tell(summary: driver.Summary, arguments: argparse.Namespace) -> None:
    rejected = sum(summary.rejected.values())
    print(
        f"{summary.rows} rows: {summary.ok} ok, {rejected} rejected, "
        f"{sum(summary.duplicate.values())} repeated · {summary.seconds:.1f} s"
    )
    print(f"{summary.windows} windows, {summary.alerts} alert transitions")
    for transition, times in summary.transitions.items():
        print(f"  {times:4}  {transition}")
    for model, windows in summary.late.items():
        found = ", ".join(f"{rows} of '{window}'" for window, rows in windows.items())
        print(f"  rows of {model} that came behind the end of their windows: {found}")
    if summary.late and arguments.source != "topic":
        print("  a table is read in its order: sort it by its times")
    for model, reasons in summary.unjudged.items():
        for alert, why in reasons.items():
            print(f"  never judged: {alert} of {model}: {why}")
    if summary.gaps:
        print(f"the workers passed over {summary.gaps} lost stretches: live figures are others")
    if summary.schema_changes:
        print(changed.lines(lines(arguments.out, "schema", SchemaRecord)))
    print(f"digest {summary.digest}")
    print(f"written to {arguments.out}")
