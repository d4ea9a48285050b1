"""`inferwatch score DIR`"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from inferwatch.cli.amounts import duration_ms
from inferwatch.cli.page import Table, page
from inferwatch.cli.table import table
from inferwatch.cli.written import moment, rate, span
from inferwatch.config import incidents
from inferwatch.config.incidents import Incident
from inferwatch.errors import Exit, UsageError, unwritable
from inferwatch.replay import recorded, scoring
from inferwatch.replay.recorded import Recorded
from inferwatch.replay.scoring import WEEK_MS, Outcome, Report, Score

SCORE_HEADS = [
    "FOUND",
    "MEDIAN DELAY",
    "WORST",
    "FIRINGS",
    "RIGHT",
    "EARLY",
    "FALSE",
    "FALSE A WEEK",
]
"""Of `score_cells`."""
INCIDENT_HEADS = ["INCIDENT", "MODEL", "FROM", "TO", "FOUND FIRST BY", "AFTER", "ALSO BY"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of a score."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="what `inferwatch replay` wrote")
    add_incidents(parser, required=True)
    parser.add_argument(
        "--format", choices=["table", "json"], default="table", help="json: one document"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="gets the same as a page")


def add_incidents(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Options that say what firings are scored by."""
    parser.add_argument(
        "--incidents",
        type=Path,
        required=required,
        metavar="FILE",
        help="when which model was wrong, .csv or YAML",
    )
    parser.add_argument(
        "--grace",
        type=duration_ms,
        default=0,
        metavar="1h",
        help="how long after its end a firing may still be of an incident",
    )


def run(arguments: argparse.Namespace) -> int:
    """Score and print; incidents that could not be scored are told on standard error."""
    known, replayed = incidents.read(arguments.incidents), recorded.read(arguments.folder)
    report = scoring.score(replayed, known, arguments.grace)
    check_scored(report)
    if arguments.html:
        _write(arguments.html, page(replayed, report, [_rules(report), _incidents(report)]))
    if arguments.format == "json":
        print(msgspec.json.format(msgspec.json.encode(report, order="sorted")).decode())
    else:
        _tell(report)
    tell_slips(replayed, known, report)
    return Exit.DONE


def check_scored(report: Report) -> None:
    """Refuse a file of which no incident is left.

    :raises UsageError: naming the first of them, and why.
    """
    if report.left_out and not report.incidents:
        place, why = next(iter(report.left_out.items()))
        raise UsageError(f"{place}: {why}, and no other incident is there to score")


def tell_slips(run: Recorded, known: Sequence[Incident], report: Report) -> None:
    """Incidents that could not be scored, that no rule should find, or of whose segment there is
    no window, on standard error.
    """
    for place, why in report.left_out.items():
        print(f"inferwatch: {place}: not scored: {why}", file=sys.stderr)
    for place, alert in scoring.unasked(run, known).items():
        if place not in report.left_out:
            why = f"'{alert}' is no alert of {run.folder}"
            print(f"inferwatch: {place}: no rule should find it: {why}", file=sys.stderr)
    for place, why in scoring.unknown_segments(run, known).items():
        if place not in report.left_out:
            alone = "only alerts on all rows can find it"
            print(f"inferwatch: {place}: {alone}: {why}", file=sys.stderr)


def _tell(report: Report) -> None:
    together, incidents_ = report.together, report.incidents
    weeks, plural = together.quiet_ms / WEEK_MS, "s" * (len(incidents_) != 1)
    print(f"{len(incidents_)} incident{plural}, {weeks:.1f} weeks watched outside\n")
    print(table(*_rules(report)))
    for one in report.rules:
        if one.unjudged:
            print(f"never judged: {one.alert} of {one.model}: {one.unjudged}")
    if incidents_:
        print("\n" + table(*_incidents(report)))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise unwritable(path, error) from None


def _rules(report: Report) -> Table:
    rows = [*map(_row, report.rules), _row(report.together)]
    return ["ALERT", "MODEL", *SCORE_HEADS], rows


def _incidents(report: Report) -> Table:
    return INCIDENT_HEADS, [_line(one) for one in report.incidents]


def _row(one: Score) -> list[str]:
    observed = " (observed)" if one.observed else ""
    return [
        f"{one.alert}{observed}" if one.alert else "all that tell",
        one.model,
        *score_cells(one),
    ]


def score_cells(one: Score) -> list[str]:
    """What a rule did, without its names."""
    already = f", {one.already} already" if one.already else ""
    return [
        f"{one.found} of {one.incidents}{already}",
        span(one.delay_median_ms),
        span(one.delay_worst_ms),
        *map(str, (one.firings, one.right, one.early, one.false)),
        rate(one.false_per_week),
    ]


def _line(one: Outcome) -> list[str]:
    name, found = one.name or Path(one.place).name, one.found
    first = found[0].alert if found else "nobody"
    if one.already and not found:
        first = f"nobody; {', '.join(one.already)} fired already"
    return [
        name,
        one.model,
        moment(one.from_ms),
        moment(one.to_ms),
        first,
        span(found[0].delay_ms) if found else "",
        ", ".join(f"{other.alert} {span(other.delay_ms)}" for other in found[1:]),
    ]
