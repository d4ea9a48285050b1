"""`inferwatch ingest --from TOPIC`"""

import argparse

from inferwatch.cli.connect import add_connection, connection
from inferwatch.ingest import bridge
from inferwatch.runtime import denied, health, heap


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the bridge."""
    add_connection(parser)
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="TOPIC",
        help="full name of the topic whose single JSON events are read",
    )
    parser.add_argument(
        "--group", metavar="NAME", help="consumer group; else `ingest` after the prefix"
    )
    parser.add_argument(
        "--http-listen",
        metavar="HOST:PORT",
        help="health and metrics; nothing listens without it",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run one bridge until SIGTERM."""
    there = connection(arguments)
    group = arguments.group or there.topic("ingest")
    denied.check_topics(there, "ingest", arguments.source)
    denied.check_group(there, group, arguments.source)
    heap.keep()

    def serve(status: bridge.Status) -> None:
        if arguments.http_listen:
            health.serve(arguments.http_listen, status)

    return bridge.run(there, arguments.source, group, serve)
