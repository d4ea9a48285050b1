"""The options of a worker and of a notifier: processes of a group, which answer over HTTP."""

import argparse

from inferwatch.cli.amounts import seconds


def add_serving(parser: argparse.ArgumentParser, after: str) -> None:
    """How it meets the brokers' group and where it listens; `after` is what its timeout brings."""
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
        help=f"after which {after}; 10, embedded 3",
    )


def session_timeout_s(arguments: argparse.Namespace) -> float:
    """What was given, else what fits the broker."""
    usual_s = 3.0 if arguments.broker == "embedded" else 10.0
    return float(arguments.session_timeout or usual_s)
