"""`inferwatch methods`"""

import argparse

import msgspec

from inferwatch.cli.table import table
from inferwatch.detectors import methods


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of methods."""
    parser.add_argument(
        "--format", choices=["table", "json"], default="table", help="json: one method a line"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print one line a method."""
    found = [one.METHOD for _, one in sorted(methods().items())]
    if arguments.format == "json":
        for method in found:
            print(msgspec.json.encode(method).decode())
        return 0
    heads = ["method", "kind", "values needed", "ns a value", "bytes", "finds", "source"]
    rows = [
        [
            method.name,
            method.kind,
            f"{method.rows_min:,}",
            f"{method.cost_ns:,.0f}",
            f"{method.state_bytes:,}",
            method.purpose,
            method.source,
        ]
        for method in found
    ]
    print(table(heads, rows))
    return 0
