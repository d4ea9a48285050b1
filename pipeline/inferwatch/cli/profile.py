"""`inferwatch profile build|show|diff`"""

import argparse
import sys
from pathlib import Path

from inferwatch.cli.amounts import offset, time_ms
from inferwatch.cli.connect import add_connection, connection
from inferwatch.cli.table import table as table_of
from inferwatch.config import embeddings, mapping, monitors, profiles
from inferwatch.core import soundness
from inferwatch.core.figure import Figure
from inferwatch.core.reference import column_key
from inferwatch.errors import UsageError, no_file, unwritable
from inferwatch.records.definition import (
    CategoryProfile,
    EmbeddingProfile,
    ModelFacts,
    NumericProfile,
    Profile,
)
from inferwatch.records.rows import Rows, Truths
from inferwatch.replay import batches, table

Read = tuple[str, list[Rows], list[Truths], str | None]
"""Of a source the model's name, its rows and labels, and the column that should hold vectors."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the three."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser(
        "build", help="describe the rows of a table or of a topic's range", allow_abbrev=False
    )
    build.add_argument(
        "source", metavar="SOURCE", help="a CSV, Parquet or JSON lines file, or the word `topic`"
    )
    build.add_argument("--out", type=Path, required=True, metavar="FILE.json")
    build.add_argument(
        "--mapping",
        type=Path,
        metavar="FILE",
        help="what the columns mean; else mapping.yaml beside the table, or what they are called",
    )
    build.add_argument(
        "--monitors",
        type=Path,
        metavar="FILE",
        help="take task, positive class and segments from this monitor file",
    )
    build.add_argument("--task", choices=["binary", "multiclass", "regression", "ranking"])
    build.add_argument("--positive", help="the positive class of a binary task; 1")
    build.add_argument("--segments", nargs="*", default=[], metavar="COLUMN")
    build.add_argument("--model", metavar="TEAM/MODEL", help="of a topic: whose rows")
    build.add_argument(
        "--version", help="of a topic: of which version, where the range has several"
    )
    _add_span(build)
    add_connection(build)
    show = actions.add_parser("show", help="print a profile", allow_abbrev=False)
    show.add_argument("profile", type=Path, metavar="FILE.json")
    diff = actions.add_parser(
        "diff", help="how far one profile's rows are from another's", allow_abbrev=False
    )
    diff.add_argument("old", type=Path, metavar="OLD.json")
    diff.add_argument("new", type=Path, metavar="NEW.json")


def _add_span(build: argparse.ArgumentParser) -> None:
    """Which part of a topic: each end by time or by offset."""
    since, until = build.add_mutually_exclusive_group(), build.add_mutually_exclusive_group()
    since.add_argument(
        "--since", type=time_ms, metavar="TIME", help="record time of a topic, ISO 8601"
    )
    until.add_argument("--until", type=time_ms, metavar="TIME")
    since.add_argument(
        "--since-offset",
        type=offset,
        metavar="N",
        help="offset in the model's partition of a topic, as in an alert's events.v1/7@88213",
    )
    until.add_argument("--until-offset", type=offset, metavar="N")


def run(arguments: argparse.Namespace) -> int:
    """Build, print or compare."""
    if arguments.action == "diff":
        _diff(arguments.old, arguments.new)
        return 0
    if arguments.action == "show":
        profile, _ = profiles.read(arguments.profile)
        _show(profile)
        return 0
    facts = _facts(arguments)
    read = _topic if arguments.source == "topic" else _table
    name, rows, truths, embedding = read(arguments)
    profile, values = profiles.build(name, facts, rows, truths)
    profile, sample = profiles.with_sample(profile, rows)
    try:
        profiles.write(arguments.out, profile, values, sample)
    except OSError as error:
        raise unwritable(arguments.out, error) from None
    _show(profile)
    for doubt in profiles.doubts(profile, facts, rows, truths, embedding):
        print(f"inferwatch: {doubt}", file=sys.stderr)
    return 0


def _table(arguments: argparse.Namespace) -> Read:
    path = Path(arguments.source)
    columns = _mapping(path, arguments.mapping)
    found = list(table.read(path, columns))
    if not found:
        raise UsageError(f"{path} has no rows")
    truths = [batch.labels for batch in found if batch.labels is not None]
    return columns.model, [batch.rows for batch in found], truths, columns.embedding


def _mapping(path: Path, given: Path | None) -> mapping.Mapping:
    """What the columns mean: by a mapping file, or else by what they are called."""
    described = given or path.parent / "mapping.yaml"
    if described.is_file():
        return mapping.read(described)
    if given is not None:
        raise UsageError(f"{given}: {no_file(given)}; say with --mapping what the columns mean")
    names = table.names(path)
    found = mapping.of_names(path.name.split(".")[0], names)
    if found is None:
        raise UsageError(
            f"{path}: without a mapping file columns are called {', '.join(mapping.REQUIRED)} and "
            f"so on; fill in and write to {described}:\n\n{mapping.draft(names)}"
        )
    return found


def _topic(arguments: argparse.Namespace) -> Read:
    if arguments.model is None:
        raise UsageError("say whose rows of the topic: --model TEAM/MODEL")
    there = connection(arguments)
    span = batches.Span(
        arguments.since, arguments.until, arguments.since_offset, arguments.until_offset
    )
    rows, truths = batches.read(there, arguments.model, arguments.version, span)
    return arguments.model, rows, truths, None


def _facts(arguments: argparse.Namespace) -> ModelFacts:
    """What the monitor file says; it may name a profile that is only about to be built."""
    if arguments.monitors:
        for name in ("task", "positive", "segments"):
            if getattr(arguments, name):
                raise UsageError(f"--{name} has no place beside --monitors, whose `model:` says it")
        return monitors.facts(arguments.monitors)
    if arguments.task is None:
        raise UsageError(
            "say the task: --task binary|multiclass|regression|ranking, or --monitors FILE"
        )
    for name in arguments.segments:
        wrong = soundness.segment_problem(name)
        if wrong:
            raise UsageError(f"--segments: {wrong}")
    positive = arguments.positive or "1"
    return ModelFacts(task=arguments.task, positive=positive, segments=arguments.segments)


def _diff(old_path: Path, new_path: Path) -> None:
    (old, _), (new, values) = profiles.read(old_path), profiles.read(new_path)
    found = profiles.compare(old, new, values)
    rows = [
        [
            name,
            _figure(drift.psi),
            _figure(drift.effect),
            _figure(drift.by("jensenshannon")),
            _figure(drift.by("wasserstein")),
        ]
        for name, drift in sorted(found.items(), key=lambda one: -(one[1].psi.value or 0.0))
    ]
    apart = embeddings.compare(old, new)
    if apart is not None:
        rows.append(["embedding", "", "", "", _figure(apart)])
    print(f"{new.rows:,} rows of {new_path.name} against {old.rows:,} of {old_path.name}")
    print(table_of(["COLUMN", "PSI", "KS or V", "JENSEN-SHANNON", "WASSERSTEIN"], rows))
    before, now = (
        {
            *map(column_key, [*one.numeric, *one.categories]),
            *["score"] * bool(one.score),
            *["prediction"] * bool(one.prediction),
            *["embedding"] * bool(one.embedding),
        }
        for one in (old, new)
    )
    for what, names in (("gone", before - now), ("new", now - before)):
        if names:
            print(f"{what}: {', '.join(sorted(names))}")
    kept = sorted((before & now) - {row[0] for row in rows})
    if kept:
        beside = profiles.values_path(new_path).name
        print(f"not compared, of another kind or without {beside}: {', '.join(kept)}")


def _figure(figure: Figure) -> str:
    return "" if figure.value is None else f"{figure.value:.4g}"


def _show(profile: Profile) -> None:
    print(f"{profile.name}: {profile.rows} rows")
    for name, column in (*profile.numeric.items(), *profile.categories.items()):
        print(f"  {column_key(name)}: {_column(column)}")
    for name, extra in (("score", profile.score), ("prediction", profile.prediction)):
        if extra is not None:
            print(f"  {name}: {_column(extra)}")
    if profile.embedding is not None:
        print(f"  embedding: {_embedding(profile.embedding)}")
    for segment, figures in sorted(profile.quality.items()):
        listed = ", ".join(f"{metric} {value:.4g}" for metric, value in sorted(figures.items()))
        print(f"  {segment or 'all rows'}: {listed}")


def _embedding(embedding: EmbeddingProfile) -> str:
    missing, rows = embedding.along[0].counts[-1], sum(embedding.along[0].counts)
    lacking = f", {missing:,} of {rows:,} rows without" if missing else ""
    return f"{embedding.dim:,} numbers, seen along {len(embedding.along)} directions{lacking}"


def _column(column: NumericProfile | CategoryProfile) -> str:
    if isinstance(column, NumericProfile):
        return (
            f"mean {column.mean:.4g}, sd {column.sd:.4g}, {column.least:.4g} to {column.most:.4g}"
        )
    most = sorted(zip(column.counts, column.words, strict=True), reverse=True)[:3]
    return f"{len(column.words)} words, most often {', '.join(word for _, word in most)}"
