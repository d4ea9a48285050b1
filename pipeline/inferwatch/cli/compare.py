"""`inferwatch compare A B`"""

import argparse
import sys
from pathlib import Path

import msgspec

from inferwatch.cli.table import table
from inferwatch.cli.written import moment, rate, span
from inferwatch.errors import Exit
from inferwatch.notify.text import printable
from inferwatch.replay import compare, recorded
from inferwatch.replay.compare import Comparison, Differing, Pair, Rule
from inferwatch.replay.recorded import Firing

RULE_HEADS = [
    "ALERT",
    "MODEL",
    "BOTH",
    "MOVED",
    "ONLY A",
    "ONLY B",
    "B TELLS",
    "A WEEKLY",
    "B WEEKLY",
]
PAIR_HEADS = [
    "ALERT",
    "MODEL",
    "VERSION",
    "WHERE",
    "A FIRES",
    "A UNTIL",
    "B FIRES",
    "B UNTIL",
    "B TELLS",
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of a comparison."""
    parser.add_argument("a", type=Path, metavar="A", help="what `inferwatch replay` wrote")
    parser.add_argument("b", type=Path, metavar="B", help="the same records, by other rules")
    parser.add_argument(
        "--format", choices=["table", "json"], default="table", help="json: one document"
    )


def run(arguments: argparse.Namespace) -> int:
    """Compare and print; exit 1 where a firing or a figure is another, as `diff` has it."""
    a, b = recorded.read(arguments.a), recorded.read(arguments.b)
    found = compare.compare(a, b)
    if arguments.format == "json":
        print(msgspec.json.format(msgspec.json.encode(found, order="sorted")).decode())
    else:
        print(f"A {arguments.a}\nB {arguments.b}\n")
        _tell(found)
    if not a.watched.keys() & b.watched.keys():
        print(f"inferwatch: no model is in both {a.folder} and {b.folder}", file=sys.stderr)
    return Exit.FINDINGS if found.differs() else Exit.DONE


def _tell(found: Comparison) -> None:
    print(table(RULE_HEADS, [_rule(one) for one in found.rules]))
    differing = [one for one in found.firings if one.differs()]
    if differing:
        print("\n" + table(PAIR_HEADS, [_pair(one) for one in differing]))
    seen = found.windows
    print(
        f"\n{seen.same + seen.differ} windows in both, {seen.differ} of them with other figures; "
        f"{seen.only_a} only in A, {seen.only_b} only in B"
    )
    for one in seen.examples:
        print(f"  {_window(one)}")
    if not found.differs():
        print("no difference")


def _rule(one: Rule) -> list[str]:
    counts = map(str, (one.both, one.moved, one.only_a, one.only_b))
    shift = _shift(one.later_median_ms)
    return [one.alert, one.model, *counts, shift, rate(one.a_per_week), rate(one.b_per_week)]


def _pair(one: Pair) -> list[str]:
    named = one.either()
    where = "  ".join(part for part in (named.feature, named.segment) if part)
    times = [*_times(one.a), *_times(one.b)]
    return [named.alert, named.model, named.version, where, *times, _shift(one.later_ms())]


def _times(one: Firing | None) -> list[str]:
    if one is None:
        return ["", ""]
    return [moment(one.at_ms), "the end" if one.end_ms is None else moment(one.end_ms)]


def _shift(later_ms: int | None) -> str:
    """ "2h later", "2h sooner"."""
    if not later_ms:
        return "" if later_ms is None else "as soon"
    return f"{span(abs(later_ms))} {'later' if later_ms > 0 else 'sooner'}"


def _window(one: Differing) -> str:
    ends = (f"row {one.start}", f"{one.end}") if one.rows else map(moment, (one.start, one.end))
    figures = ", ".join(f"{name} {a} → {b}" for name, (a, b) in one.figures.items())
    segment = f" {one.segment}" if one.segment else ""
    span_ = "–".join(ends)
    return printable(f"{one.model} v{one.version}{segment} {one.window} {span_}: {figures}")
