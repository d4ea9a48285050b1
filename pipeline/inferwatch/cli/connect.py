"""The options by which every command finds its brokers."""

import argparse
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
        help="librdkafka settings, name=value a line",
    )
    parser.add_argument("--prefix", help=f"of the topics' names; else {PREFIX}")


def given(arguments: argparse.Namespace) -> Connection | None:
    """The connection that the options or the environment name.

    :raises ConfigError: the properties file cannot be used.
    """
    from_environment = Connection.from_environment()
    file = from_environment.file if from_environment else None
    properties = dict(from_environment.properties) if from_environment else {}
    if arguments.client_properties:
        file = arguments.client_properties
        properties = read_properties(file)
    servers = (
        arguments.bootstrap_server
        or properties.get("bootstrap.servers")
        or (from_environment.bootstrap_servers if from_environment else "")
    )
    if not servers:
        return None
    prefix = arguments.prefix or (from_environment.prefix if from_environment else PREFIX)
    return Connection(servers, properties, prefix, file)


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
