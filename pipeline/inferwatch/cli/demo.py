"""`inferwatch demo`"""

import argparse
from pathlib import Path

import inferwatch
from inferwatch.cli.connect import add_connection, given
from inferwatch.demo import story
from inferwatch.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the demo."""
    parser.add_argument(
        "--broker",
        choices=["embedded"],
        default=None,
        help="the default, unless --bootstrap-server names a real one",
    )
    parser.add_argument(
        "--data", type=Path, default=example(), metavar="DIR", help="folder of the car-loan example"
    )
    parser.add_argument("--rows-per-second", type=float, default=1_500.0, metavar="N")
    add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run it on the embedded broker, or on the broker named."""
    if not 10 <= arguments.rows_per_second <= 20_000:
        raise UsageError("--rows-per-second is between 10 and 20,000")
    named = arguments.bootstrap_server or arguments.client_properties
    if named and arguments.broker:
        raise UsageError("--broker embedded and --bootstrap-server exclude each other")
    connection = given(arguments) if named else None
    return story.run(story.Options(arguments.data, arguments.rows_per_second, connection))


def example() -> Path:
    """The example's folder: in the wheel beside the code, in a checkout at its root."""
    package = Path(inferwatch.__file__).parent
    inside = package / "examples" / "car-loan"
    return inside if inside.is_dir() else package.parent.parent / "examples" / "car-loan"
