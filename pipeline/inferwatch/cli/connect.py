"""The options by which every command finds its brokers."""

import argparse
import os
from pathlib import Path

from inferwatch.connection import PREFIX, Connection, read_properties
from inferwatch.errors import UsageError


def add_connection(parser: argparse.ArgumentParser) -> None:
    """`--bootstrap-server`, `--client-properties`, `--prefix`."""
    parser.add_argument(
        "--bootstrap-server", metavar="HOST:PORT", help="brokers; else INFERWATCH_BOOTSTRAP_SERVERS"
    )
    parser.add_argument(
        "--client-properties",
        type=Path,
        metavar="FILE",
        help="librdkafka settings, name=value a line; else INFERWATCH_CLIENT_PROPERTIES",
    )
    parser.add_argument(
        "--prefix", help=f"of the topics' names; else INFERWATCH_PREFIX, or {PREFIX}"
    )


def given(arguments: argparse.Namespace) -> Connection | None:
    """The connection that the options name, each where it is not given by the environment.

    :raises ConfigError: the properties file cannot be used.
    """
    named, around = arguments.client_properties, os.environ
    path = named or around.get("INFERWATCH_CLIENT_PROPERTIES")
    file = Path(path) if path else None
    properties = read_properties(file) if file else {}
    of_file = properties.get("bootstrap.servers", "")
    servers = (
        arguments.bootstrap_server
        or (of_file if named else "")
        or around.get("INFERWATCH_BOOTSTRAP_SERVERS")
        or of_file
    )
    if not servers:
        return None
    return Connection(servers, properties, prefix(arguments), file)


def prefix(arguments: argparse.Namespace) -> str:
    """What the topics' names begin with; brokers need not be named."""
    return str(arguments.prefix or os.environ.get("INFERWATCH_PREFIX", PREFIX))


def connection(arguments: argparse.Namespace) -> Connection:
    """As `given`.

    :raises UsageError: no broker is named.
    """
    found = given(arguments)
    if found is None:
        raise UsageError(
            "no broker is named; use --bootstrap-server HOST:PORT or INFERWATCH_BOOTSTRAP_SERVERS"
        )
    return found
