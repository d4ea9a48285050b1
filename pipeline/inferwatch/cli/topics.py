"""`inferwatch topics plan|apply`"""

import argparse

from inferwatch.cli.amounts import count
from inferwatch.cli.connect import add_connection, connection
from inferwatch.errors import Exit
from inferwatch.runtime import topics


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of both."""
    parser.add_argument(
        "action",
        choices=["plan", "apply"],
        help="plan: what differs (exit 1 if anything); apply: create what is missing",
    )
    add_connection(parser)
    parser.add_argument(
        "--partitions", type=count, default=topics.PARTITIONS, help="of events, windows and state"
    )
    parser.add_argument("--replication-factor", type=count, default=3)


def run(arguments: argparse.Namespace) -> int:
    """Compare, or create."""
    there = connection(arguments)
    wanted = topics.wanted(there.prefix, arguments.partitions)
    if arguments.action == "apply":
        for name in topics.apply(there, wanted, arguments.replication_factor):
            print(f"created {name}")
    found = topics.differences(there, wanted)
    for difference in found:
        print(
            f"{difference.topic}: {difference.what} is {difference.found}, "
            f"wanted {difference.wanted}"
        )
    if not found:
        print(f"{len(wanted)} topics are as they should be")
    return Exit.FINDINGS if found else Exit.DONE
