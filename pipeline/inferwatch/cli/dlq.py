"""`inferwatch dlq list|show|requeue`"""

import argparse
import sys
import time
from collections.abc import Sequence

import msgspec

from inferwatch import deadletters
from inferwatch.cli.amounts import count, duration_ms
from inferwatch.cli.connect import add_connection, connection
from inferwatch.cli.table import table
from inferwatch.cli.written import utc
from inferwatch.connection import Connection
from inferwatch.deadletters import Letter
from inferwatch.errors import Exit, Reason, UsageError
from inferwatch.notify.text import printable
from inferwatch.records.raw import RawRecord
from inferwatch.replay import append

SHOWN_MAX = 50
BODY_SHOWN_BYTES = 2_000
BATCH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the three."""
    parser.add_argument(
        "action",
        choices=["list", "show", "requeue"],
        help="list: what could not be folded, the newest first; show: one of them; "
        "requeue: send to the events topic again",
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="the whole id, as list prints it")
    parser.add_argument(
        "--reason", choices=[reason.value for reason in Reason], help="only those with this reason"
    )
    parser.add_argument("--model", help="only those with this key")
    parser.add_argument(
        "--since", type=_ago_ms, default=0, metavar="DURATION", help="only the last 30m, 2h, 7d"
    )
    parser.add_argument(
        "--limit", type=count, default=SHOWN_MAX, metavar="N", help=f"of list; {SHOWN_MAX}"
    )
    parser.add_argument("--format", choices=["table", "json"], default="table", help="of list")
    parser.add_argument("--yes", action="store_true", help="requeue: do it, not only say it")
    add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read the topic; list, show or send again."""
    there, action = connection(arguments), arguments.action
    if action == "show" and len(arguments.ids) != 1:
        raise UsageError("write `inferwatch dlq show ID`")
    if action == "list" and arguments.ids:
        raise UsageError("only show and requeue take ids")
    chosen = arguments.ids or arguments.reason or arguments.model or arguments.since
    if action == "requeue" and not chosen:
        raise UsageError("say which: an ID, --reason, --model or --since")
    found = _chosen(deadletters.read(there, arguments.since), arguments)
    if action == "list":
        return _list(found, arguments)
    if action == "show":
        return _show(there, found[0])
    return _requeue(there, found, do_it=arguments.yes)


def _chosen(letters: Sequence[Letter], arguments: argparse.Namespace) -> list[Letter]:
    unknown = set(arguments.ids) - {letter.id for letter in letters}
    if unknown:
        raise UsageError(f"there is no dead letter {min(unknown)}; see `inferwatch dlq list`")
    return [
        letter
        for letter in letters
        if (not arguments.ids or letter.id in arguments.ids)
        and arguments.reason in (None, letter.reason)
        and arguments.model in (None, letter.key)
    ]


def _list(found: Sequence[Letter], arguments: argparse.Namespace) -> int:
    shown = found[: arguments.limit]
    if arguments.format == "json":
        for letter in shown:
            print(msgspec.json.encode(letter, order="sorted").decode())
        return Exit.DONE
    if not found:
        print("no dead letter")
        return Exit.DONE
    heads = ["ID", "REASON", "KEY", "ROWS", "AT", "TRIES", "BYTES", "WHY"]
    print(table(heads, [_row(letter) for letter in shown]))
    if len(found) > len(shown):
        print(f"{len(found) - len(shown):,} more; --limit shows them", file=sys.stderr)
    return Exit.DONE


def _row(letter: Letter) -> list[str]:
    size = f"{letter.size_bytes:,}" if letter.body == deadletters.BODY_HERE else letter.body
    tries = str(letter.attempts)
    why = letter.detail if len(letter.detail) <= 80 else f"{letter.detail[:79]}…"
    rows = f"{letter.rows:,}"
    return [
        letter.id,
        letter.reason,
        letter.key,
        rows,
        utc(letter.at_ms, seconds=True),
        tries,
        size,
        why,
    ]


def _show(there: Connection, letter: Letter) -> int:
    facts = {
        name: str(value)
        for name, value in msgspec.structs.asdict(letter).items()
        if name != "place"
    }
    times = {"time_ms", "at_ms", "first_seen_ms"}
    lines = [
        [name.removesuffix("_ms"), utc(int(value), seconds=True) if name in times else value]
        for name, value in facts.items()
    ]
    raw = deadletters.original(there, letter)
    if raw is not None:
        lines += [[f"header {name}", _text(value)] for name, value in raw.headers.items()]
    print(table(None, [line for line in lines if line[1]]), end="\n\n")
    print("its bytes are nowhere any more" if raw is None else _text(raw.value or b""))
    return Exit.DONE


def _requeue(there: Connection, found: Sequence[Letter], *, do_it: bool) -> int:
    """Send in the order of the log, some at a time; what cannot be sent is said and left."""
    refused, records, sent = 0, list[RawRecord](), 0
    for letter in deadletters.in_order(found):
        why = deadletters.refusal(there, letter)
        raw = None if why else deadletters.original(there, letter)
        if raw is None:
            refused += 1
            print(f"{letter.id}: {why or 'its bytes are nowhere any more'}", file=sys.stderr)
            continue
        if not do_it:
            print(f"{letter.id}  {letter.reason}  {printable(letter.key)}")
        sent += 1
        records.append(deadletters.again(raw, letter))
        if do_it and len(records) >= BATCH:
            append.send(there, records)
            records = []
    if do_it:
        append.send(there, records)
    said = f"sent {sent}" if do_it else f"would send {sent} (nothing is sent without --yes)"
    print(f"{said}, left {refused}")
    return Exit.FINDINGS if refused else Exit.DONE


def _text(data: bytes) -> str:
    """What can be read of bytes; the rest is escaped."""
    text = data[:BODY_SHOWN_BYTES].decode("utf-8", "backslashreplace")
    more = f" … {len(data):,} bytes" if len(data) > BODY_SHOWN_BYTES else ""
    return printable(text) + more


def _ago_ms(text: str) -> int:
    return round(time.time() * 1000) - duration_ms(text)
