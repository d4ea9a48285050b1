"""`inferwatch plan`: whether monitor files are right, what they say, and what they will cost."""

import argparse
import math
from pathlib import Path

import msgspec

from inferwatch.cli.amounts import count, positive, whole
from inferwatch.cli.table import table
from inferwatch.config import estimate, monitors, wording
from inferwatch.config.defaults import default_definition
from inferwatch.config.estimate import Estimate, Load
from inferwatch.core.fold import MODELS_MAX
from inferwatch.errors import Exit
from inferwatch.records.definition import Definition

PROVED_BYTES = 500_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Files, and what is expected of a model."""
    parser.add_argument(
        "monitors", type=Path, nargs="*", metavar="FILE", help="monitor files; none: the defaults"
    )
    usual = Load()
    for name, kind, default, of in (
        ("--rows-per-s", positive, usual.rows_per_s, "of one model"),
        ("--models", count, 1, "that a file matches"),
        ("--features", whole, usual.features, "of one model"),
        ("--segments", whole, usual.segments, "values, all columns"),
        ("--versions", count, usual.versions, "that serve at a time"),
        ("--classes", count, usual.classes, "of a multiclass model"),
        ("--categories", whole, usual.categories, "features of more than 1,000 words"),
        ("--embedding", whole, usual.embedding, "numbers of an embedding"),
    ):
        parser.add_argument(
            name, type=kind, default=default, metavar="N", help=f"{of}; {default:g}"
        )
    parser.add_argument(
        "--models-max",
        type=count,
        default=MODELS_MAX,
        metavar="N",
        help=f"that a worker takes of a partition; {MODELS_MAX}",
    )
    parser.add_argument("--entities", action="store_true", help="rows name their entities")
    parser.add_argument("--llm", action="store_true", help="rows are calls of language models")
    parser.add_argument("--format", choices=["table", "json"], default="table")


def run(arguments: argparse.Namespace) -> int:
    """Check, say and estimate each file. What could not be held is refused, as by a worker."""
    load = Load(
        rows_per_s=arguments.rows_per_s,
        features=arguments.features,
        segments=arguments.segments,
        versions=arguments.versions,
        classes=arguments.classes,
        categories=arguments.categories,
        entities=arguments.entities,
        llm=arguments.llm,
        embedding=arguments.embedding,
    )
    files = _files(arguments)
    found = [(match, estimate.of(definition, load)) for match, definition in files]
    if arguments.format == "json":
        for match, one in found:
            said = {"match": match, "total_bytes": one.total_bytes()}
            print(msgspec.json.encode(said | msgspec.structs.asdict(one), order="sorted").decode())
        return Exit.DONE
    _say(files, load)
    print("state of one model, by what it is for:")
    heads = ["MATCH", "OPEN WINDOWS", "WAIT FOR LABELS", "PREDICTIONS THAT DO"]
    heads += ["REFERENCE", "DETECTORS", "A MODEL"]
    print(table(heads, [_row(match, one) for match, one in found]))
    for match, one in found:
        if one.sampled < 1.0:
            print(f"note: {_joined(match, one)}")
    print()
    _tell(found, arguments.models)
    print(
        "expected of each model, where options say nothing else: "
        f"{load.rows_per_s:,g} rows a second, {load.features:,} features, "
        f"{load.segments:,} values of segments, {load.versions:,} versions at a time{_beside(load)}"
    )
    models = arguments.models * len(found)
    partitions = estimate.partitions_for(models, arguments.models_max)
    print(
        f"models: {models:,}; a partition takes {arguments.models_max:,} (--models-max): "
        f"{partitions:,} partition{'s' * (partitions > 1)} or more"
    )
    return Exit.DONE


def _files(arguments: argparse.Namespace) -> list[tuple[str, Definition]]:
    if not arguments.monitors:
        return [("(default checks)", default_definition())]
    monitors.load(arguments.monitors)
    files = [monitors.read(path)[0] for path in arguments.monitors]
    return [(file.match, file.definition) for file in files]


def _say(files: list[tuple[str, Definition]], load: Load) -> None:
    """What was understood: each check in words."""
    number = sum(len(definition.checks) for _, definition in files)
    print(f"monitors: {len(files):,}; checks: {number:,}")
    for match, definition in files:
        print(match)
        for check in definition.checks:
            print(f"  {wording.sentence(check)}")
            for note in wording.notes(check, load.features):
                print(f"    note: {note}")
        for note in wording.profile_notes(definition):
            print(f"  note: {note}")
        unseen = wording.embeddings_unseen(definition) if load.embedding else ""
        if unseen:
            print(f"  note: {unseen}")
    print()


def _beside(load: Load) -> str:
    """What else was said of the load."""
    said = f", {load.classes:,} classes where there are several"
    if load.categories:
        said += f", {load.categories:,} categories of more than 1,000 words"
    if load.embedding:
        said += f", embeddings of {load.embedding:,} numbers"
    return said + ", entities" * load.entities + ", calls of language models" * load.llm


def _row(match: str, one: Estimate) -> list[str]:
    return [
        match,
        f"{one.panes:,} panes, {_size(one.panes_bytes)}",
        f"{one.closed:,} windows, {_size(one.closed_bytes)}",
        f"{_size(one.pending_bytes)}, {one.sampled:.1%} of them",
        _size(one.reference_bytes),
        _size(one.detectors_bytes),
        _size(one.total_bytes()),
    ]


def _joined(match: str, one: Estimate) -> str:
    """How few predictions are joined with their labels, and what all of them would need."""
    whole = math.ceil(one.pending_bytes / one.sampled / 2**20)
    return (
        f"{one.sampled:.1%} of the predictions of {match} are joined with their labels, a fair "
        f"sample of ids; all of them need `pending_max: {whole}MiB`"
    )


def _tell(found: list[tuple[str, Estimate]], models: int) -> None:
    whole = sum(one.total_bytes() for _, one in found) * models
    each = "" if models == 1 else f", {models:,} models a file"
    print(f"state of all: {_size(whole)}{each}; a worker holds that of the partitions it owns")
    memory = sum(one.memory_bytes for _, one in found) * models
    itself = _size(estimate.WORKER_BYTES)
    print(f"in memory at most {_size(memory)}, and {itself} for each worker itself")
    if whole > PROVED_BYTES:
        least = -(-whole // PROVED_BYTES)
        print(f"more than the 500 MB a worker that are proved: use {least} workers or more")
    records = sum(one.windows_per_hour for _, one in found) * models
    series = sum(one.series for _, one in found) * models
    print(f"windows published: {records:,.0f} an hour; metrics: about {series:,} series")


def _size(size_bytes: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size_bytes >= size:
            return f"{size_bytes / size:.3g} {unit}"
    return f"{size_bytes} B"
