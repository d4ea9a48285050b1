"""`inferwatch reference show|accept|reset`"""

import argparse
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from inferwatch.cli import windows
from inferwatch.cli.author import author
from inferwatch.cli.connect import add_connection, connection
from inferwatch.cli.table import table
from inferwatch.cli.written import utc
from inferwatch.config.document import meant
from inferwatch.connection import Connection
from inferwatch.errors import Exit, UsageError
from inferwatch.records.events import ReferenceChange
from inferwatch.records.outputs import ComparedWith, WindowRecord
from inferwatch.replay import append

Found = dict[str, ComparedWith]
Limits = dict[str, dict[str, float]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the three."""
    parser.add_argument(
        "action",
        choices=["show", "accept", "reset"],
        help="show: what each version is compared with; accept: what was learnt so far is the "
        "reference now; reset: forget it, learn anew from the next row on",
    )
    parser.add_argument("model", metavar="MODEL", help="team/model")
    parser.add_argument("--version", help="only this one; else all that the model has")
    parser.add_argument(
        "--author", help="accept, reset: who says so; the name you are logged in by"
    )
    parser.add_argument("--comment", default="", metavar="TEXT", help="accept, reset: and why")
    parser.add_argument(
        "--format", choices=["table", "json"], default="table", help="json: one version a line"
    )
    add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what the newest windows say, or put the operator's word into the model's log."""
    there = connection(arguments)
    found, limits = _found(there, arguments.model, arguments.version)
    if arguments.action != "show":
        append.say(there, _change(arguments, found))
        print(f"{arguments.action} is in the log of {arguments.model}; its next windows show it")
    elif arguments.format == "json":
        for version, reference in found.items():
            line = {"version": version, "limits": limits[version]}
            line |= msgspec.to_builtins(reference)
            print(msgspec.json.encode(line, order="sorted").decode())
    else:
        heads = ["VERSION", "REFERENCE", "ROWS", "FROM", "TO", "SAID BY", "WHY"]
        print(table(heads, [_row(version, reference) for version, reference in found.items()]))
        for version, given in limits.items():
            if given:
                listed = ", ".join(f"{name} {value:.3g}" for name, value in sorted(given.items()))
                print(f"calibrated limits of {version}: {listed}")
        for version, reference in found.items():
            if reference.held_ms is not None:
                print(f"{version} {_held(reference, reference.held_ms)}")
    return Exit.DONE


def _found(there: Connection, model: str, version: str | None) -> tuple[Found, Limits]:
    """What the model's versions are compared with, and the limits they have found, by their newest
    windows.
    """
    every = list(windows.read(there, model))
    records = [one for one in every if version in (None, one.version)]
    found = {
        record.version: record.reference
        for record in windows.latest(records)
        if record.reference is not None
    }
    if not found:
        raise UsageError(_nothing_of(there, model, version, every))
    newest = {
        (record.version, record.window.name, record.segment): record
        for record in records
        if not record.revision
    }
    limits: Limits = {one: {} for one in found}
    for (one, _, segment), record in newest.items():
        given = {f"{name} {segment}".strip(): value for name, value in record.limits.items()}
        limits.setdefault(one, {}).update(given)
    return found, limits


def _nothing_of(
    there: Connection, model: str, version: str | None, every: Sequence[WindowRecord]
) -> str:
    """Why there is nothing to show; of a name that no window has, which one is like it."""
    if every and version is not None:
        near = meant(version, sorted({one.version for one in every}))
        return f"no window of version {version} of {model} has closed yet; {near}".rstrip("; ")
    return windows.none_of(there, model)


def _change(arguments: argparse.Namespace, found: Found) -> ReferenceChange:
    for version, reference in found.items():
        if reference.kind == "profile":
            raise UsageError(
                f"version {version} is compared with the profile '{reference.name}', which is not "
                "learnt; name another one in the monitor file"
            )
    return ReferenceChange(
        model=arguments.model,
        action=arguments.action,
        time_ms=append.now_ms(),
        version=arguments.version,
        author=author(arguments.author),
        comment=arguments.comment,
    )


def _row(version: str, reference: ComparedWith) -> Sequence[str]:
    return [
        version,
        reference.kind if reference.kind != "profile" else f"profile {reference.name}",
        _rows(reference),
        utc(reference.from_ms),
        utc(reference.to_ms),
        reference.author,
        reference.comment,
    ]


def _rows(reference: ComparedWith) -> str:
    """ "1,200", or "1,200 of 5,000, 0:20:00 of 1:00:00" while it learns."""
    if reference.kind != "learning":
        return f"{reference.rows:,}"
    said = f"{reference.rows:,} of {reference.min_rows:,}"
    if not reference.min_span_ms:
        return said
    span_ms = (reference.to_ms or 0) - (reference.from_ms or 0)
    so_far, wanted = (timedelta(seconds=ms // 1000) for ms in (span_ms, reference.min_span_ms))
    return f"{said}, {so_far} of {wanted}"


def _held(reference: ComparedWith, since_ms: int) -> str:
    """Why a reference that moves along does not."""
    rows, wanted = reference.held_rows, reference.min_rows
    return (
        f"has not moved along since {utc(since_ms)}: its last span had {rows:,} of {wanted:,} "
        "rows; ask for fewer (min_rows) or a longer span (last)"
    )
