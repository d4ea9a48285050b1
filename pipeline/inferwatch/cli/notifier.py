"""`inferwatch notifier`"""

import argparse
from pathlib import Path

from inferwatch.cli.amounts import seconds
from inferwatch.cli.connect import add_connection, connection
from inferwatch.runtime import notifier
from inferwatch.runtime.settings import NotifierSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the notifier."""
    add_connection(parser)
    parser.add_argument(
        "--channels",
        type=Path,
        metavar="FILE",
        help="where messages go; without it they are printed",
    )
    parser.add_argument(
        "--broker",
        choices=["real", "embedded"],
        default="real",
        help="embedded: the server named is `inferwatch broker`",
    )
    parser.add_argument(
        "--http-listen",
        default="127.0.0.1:0",
        metavar="HOST:PORT",
        help="health and metrics; port 0 takes a free one",
    )
    parser.add_argument(
        "--session-timeout",
        type=seconds,
        metavar="SECONDS",
        help="after which another notifier takes over; 10, embedded 3",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run one notifier until SIGTERM."""
    embedded = arguments.broker == "embedded"
    return notifier.run(
        NotifierSettings(
            connection=connection(arguments),
            channels=arguments.channels,
            embedded=embedded,
            session_timeout_s=arguments.session_timeout or (3.0 if embedded else 10.0),
            http_listen=arguments.http_listen,
        )
    )
