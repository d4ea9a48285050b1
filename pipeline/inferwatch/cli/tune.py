"""`inferwatch tune SOURCE`"""

import argparse

import msgspec

from inferwatch.cli import replay
from inferwatch.cli.score import SCORE_HEADS, add_incidents, check_scored, score_cells, tell_slips
from inferwatch.cli.table import table
from inferwatch.config import incidents, monitors
from inferwatch.config.document import suggestion
from inferwatch.errors import Exit, UsageError
from inferwatch.records.definition import Definition
from inferwatch.replay import recorded, tune


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of a replay, and which limits to try."""
    replay.add_arguments(parser)
    parser.add_argument("--alert", required=True, metavar="NAME", help="the check to try them on")
    parser.add_argument(
        "--limits",
        nargs="+",
        required=True,
        metavar="LIMIT",
        help="in the place of its own, as a monitor file has them: 0.2, 5%%, 250ms",
    )
    add_incidents(parser, required=False)
    parser.add_argument(
        "--format", choices=["table", "json"], default="table", help="json: a limit a line"
    )


def run(arguments: argparse.Namespace) -> int:
    """Replay once with all limits, score each, print; incidents that could not be scored are told
    on standard error.
    """
    if not arguments.monitors:
        raise UsageError("--monitors is needed: the file with the check whose limit is tried")
    alert, limits, names = arguments.alert, list(dict.fromkeys(arguments.limits)), set[str]()
    known = incidents.read(arguments.incidents) if arguments.incidents else []

    def tuned(definition: Definition) -> Definition:
        names.update(check.alert for check in definition.checks)
        return tune.tuned(definition, alert, limits)

    loaded = monitors.load(arguments.monitors).changed(tuned)
    if alert not in names:
        raise UsageError(f"--alert {alert} is no check of --monitors; {suggestion(alert, names)}")
    if replay.write(arguments, loaded) is None:
        return Exit.STORAGE
    replay.tell_unmatched(loaded)
    replayed = recorded.read(arguments.out)
    report = tune.score(replayed, alert, known, arguments.grace)
    check_scored(report)
    found = tune.rows(report, alert, limits)
    if arguments.format == "json":
        for one in found:
            print(msgspec.json.encode(one, order="sorted").decode())
    else:
        cells = [
            [one.limit or "its own", one.score.model, *score_cells(one.score)] for one in found
        ]
        print(table(["LIMIT", "MODEL", *SCORE_HEADS], cells) if found else "no model has it")
    tell_slips(replayed, known, report)
    return Exit.DONE
