"""`inferwatch methods`"""

import argparse
from typing import Any

import msgspec

from inferwatch.cli.table import table
from inferwatch.config.methods import Method, every

DETECTORS = """
`inferwatch detect`, inferwatch.detectors.make; one of a name above has parameters of its own and
reads values as they are, where the check scales them by the reference first"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of methods."""
    parser.add_argument(
        "--format", choices=["table", "json"], default="table", help="json: one method a line"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print one line a method: those of monitor files, then detectors of a stream of values."""
    found = every()
    if arguments.format == "json":
        for method in found:
            print(msgspec.json.encode(method).decode())
        return 0
    heads = ["METHOD", "NEEDS", "COST", "STATE", "PARAMETERS", "FINDS", "SOURCE"]
    for used, title in (
        ("check", "`method` of a check in a monitor file"),
        ("detector", DETECTORS),
    ):
        print(f"{title}:")
        print(table(heads, [_row(method) for method in found if method.used == used]))
    return 0


def _row(method: Method) -> list[str]:
    cost = f"{_time(method.cost_ns)} a {method.per}" if method.cost_ns else ""
    return [
        method.name,
        f"{method.needs:,} {method.of}",
        cost,
        f"{method.state_bytes:,} B",
        ", ".join(f"{name} {_number(value)}" for name, value in method.params.items()),
        method.finds,
        method.source,
    ]


def _time(cost_ns: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if cost_ns >= size / 10:
            return f"{cost_ns / size:.3g} {unit}"
    return f"{cost_ns:.3g} ns"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
