"""`inferwatch alerts`"""

import argparse
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from inferwatch import alerts
from inferwatch.cli import tally
from inferwatch.cli.amounts import duration_ms
from inferwatch.cli.author import author
from inferwatch.cli.connect import add_connection, connection
from inferwatch.cli.table import table
from inferwatch.cli.written import utc
from inferwatch.connection import Connection
from inferwatch.errors import Exit, UsageError
from inferwatch.notify import text
from inferwatch.notify.next_step import ID_DIGITS
from inferwatch.records.events import Verdict
from inferwatch.records.outputs import AlertRecord, canonical
from inferwatch.replay import append

VERDICTS = {
    "ack": "somebody is at it",
    "silence": "tell nobody of it, --for so long or until unsilence",
    "unsilence": "tell of it again",
    "useful": "it was right to tell",
    "noise": "it was not",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of list, show, --follow, and of an operator's words."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=["list", "show", "tally", *VERDICTS],
        default="list",
        help="list: what is open; show: one alert and its history; tally: which tell how often, "
        "and what people said of them; "
        + "; ".join(f"{word}: {what}" for word, what in VERDICTS.items()),
    )
    parser.add_argument(
        "id", nargs="?", metavar="ID", help="the beginning of an id that list prints"
    )
    parser.add_argument(
        "--for", dest="for_ms", type=duration_ms, metavar="2h", help="silence: how long"
    )
    parser.add_argument("--author", help="who says so; the name you are logged in by")
    parser.add_argument("--comment", default="", metavar="TEXT", help="and why")
    parser.add_argument(
        "--follow", action="store_true", help="what is open, and then every transition until Ctrl-C"
    )
    parser.add_argument(
        "--format",
        choices=["table", "json"],
        default="table",
        help="json: one record a line, as on the topic",
    )
    add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read the topic and print, or put the operator's word into the model's log."""
    there, as_json = connection(arguments), arguments.format == "json"
    if arguments.for_ms and arguments.action != "silence":
        raise UsageError("--for is of silence only")
    if arguments.action == "tally" and not arguments.id:
        _tally(tally.tally(alerts.read(there)), as_json)
    elif arguments.action not in ("list", "tally"):
        if not arguments.id or arguments.follow:
            raise UsageError(f"write `inferwatch alerts {arguments.action} ID`")
        history = _history(there, arguments.id)
        if arguments.action == "show":
            _show(history, as_json)
        else:
            _say(there, history[-1], arguments)
    elif arguments.id:
        raise UsageError(f"{arguments.action} takes no id; write `inferwatch alerts show ID`")
    elif arguments.follow:
        _follow(there, as_json)
    else:
        _list(alerts.current(there), as_json)
    return Exit.DONE


def _tally(found: Sequence[tally.Tally], as_json: bool) -> None:
    if as_json:
        for one in found:
            print(msgspec.json.encode(one, order="sorted").decode())
    else:
        print(tally.lines(found) if found else "no alert was ever told")


def _say(there: Connection, alert: AlertRecord, arguments: argparse.Namespace) -> None:
    now_ms = append.now_ms()
    verdict = Verdict(
        model=alert.model,
        fingerprint=alert.fingerprint,
        verdict=arguments.action,
        time_ms=now_ms,
        until_ms=now_ms + arguments.for_ms if arguments.for_ms else None,
        author=author(arguments.author),
        comment=arguments.comment,
    )
    append.say(there, verdict)
    about = text.header(alert).partition("] ")[2]
    print(f"{arguments.action} is in the log of {alert.model}: {text.printable(about)}")


def _list(found: Sequence[AlertRecord], as_json: bool) -> None:
    if as_json:
        for alert in found:
            _json(alert)
    elif not found:
        print("no alert is open")
    else:
        heads = ["ID", "CONDITION", "SEVERITY", "ALERT", "MODEL", "VERSION", "WHERE", "BEGAN"]
        print(table(heads, [_row(alert) for alert in found]))


def _row(alert: AlertRecord) -> list[str]:
    where = "  ".join(part for part in (alert.feature, alert.segment) if part)
    return [
        alert.fingerprint[:ID_DIGITS],
        " ".join([alert.condition, *alert.flags]),
        alert.severity,
        alert.alert,
        alert.model,
        alert.version,
        where,
        utc(alert.began_ms),
    ]


def _history(there: Connection, id_: str) -> list[AlertRecord]:
    found = [
        alert
        for alert in alerts.read(there)
        if alert.fingerprint.startswith(id_) or alert.id.startswith(id_)
    ]
    fingerprints = {alert.fingerprint for alert in found}
    if not found:
        raise UsageError(f"no alert has an id that begins with '{id_}'; see `inferwatch alerts`")
    if len(fingerprints) > 1:
        raise UsageError(f"{len(fingerprints)} alerts have ids that begin with '{id_}'; write more")
    return found


def _show(found: Sequence[AlertRecord], as_json: bool) -> None:
    if as_json:
        for alert in found:
            _json(alert)
        return
    newest = found[-1]
    print(_text(newest), end="\n\n")
    about = {"fingerprint": newest.fingerprint, "reference": newest.reference_span}
    about |= {f"label {name}": value for name, value in newest.labels.items()}
    about |= newest.annotations
    print(table(None, [[name, value] for name, value in about.items() if value]), end="\n\n")
    heads = ["SEQ", "AT", "CONDITION", "REASON", "VALUE", "ID"]
    print(table(heads, [_step(alert) for alert in found]))


def _step(alert: AlertRecord) -> list[str]:
    value = "" if alert.value is None else f"{alert.value:.4g}"
    condition = " ".join([alert.condition, *alert.flags])
    return [str(alert.seq), utc(alert.at_ms), condition, alert.reason, value, alert.id]


def _follow(there: Connection, as_json: bool) -> None:
    since = datetime.now(UTC)
    known = set()
    for alert in alerts.current(there):
        known.add(alert.id)
        _tell(alert, as_json)
    for alert in alerts.read(there, follow=True, since=since):
        if alert.id not in known:
            _tell(alert, as_json)


def _tell(alert: AlertRecord, as_json: bool) -> None:
    if as_json:
        _json(alert)
    else:
        print(_text(alert), end="\n\n", flush=True)


def _json(alert: AlertRecord) -> None:
    print(canonical(alert).decode(), flush=True)


def _text(alert: AlertRecord) -> str:
    now_ms = round(time.time() * 1000)
    return text.render(alert, now_ms, now_ms)
