"""`inferwatch notifier`"""

import argparse
from pathlib import Path

from inferwatch.cli.connect import add_connection, connection
from inferwatch.cli.serving import add_serving, session_timeout_s
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
    add_serving(parser, "another notifier takes over")


def run(arguments: argparse.Namespace) -> int:
    """Run one notifier until SIGTERM."""
    return notifier.run(
        NotifierSettings(
            connection=connection(arguments),
            channels=arguments.channels,
            embedded=arguments.broker == "embedded",
            session_timeout_s=session_timeout_s(arguments),
            http_listen=arguments.http_listen,
        )
    )
