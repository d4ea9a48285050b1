"""`inferwatch worker`"""

import argparse
from pathlib import Path

from inferwatch.cli.amounts import count, seconds
from inferwatch.cli.connect import add_connection, connection
from inferwatch.cli.serving import add_serving, session_timeout_s
from inferwatch.core.fold import MODELS_MAX
from inferwatch.runtime import worker
from inferwatch.runtime.settings import WorkerSettings
from inferwatch.telemetry import catalogue


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the worker."""
    add_connection(parser)
    parser.add_argument(
        "--monitors",
        type=Path,
        nargs="*",
        default=[],
        metavar="FILE",
        help="monitor files; models without one get the default checks",
    )
    add_serving(parser, "a dead worker's partitions move")
    parser.add_argument(
        "--checkpoint-every",
        type=seconds,
        default=2.0,
        metavar="SECONDS",
        help="after a kill input of so long is folded again; 2",
    )
    parser.add_argument(
        "--tick-every",
        type=seconds,
        default=5.0,
        metavar="SECONDS",
        help="how soon a window of a silent model is closed; 5",
    )
    parser.add_argument(
        "--models-max",
        type=count,
        default=MODELS_MAX,
        metavar="N",
        help=f"of a partition, {MODELS_MAX}; records of one more model are dead letters",
    )
    parser.add_argument(
        "--series-models-max",
        type=count,
        default=catalogue.MODELS_MAX,
        metavar="N",
        help=f"models with metric series of their own, {catalogue.MODELS_MAX}; others share some",
    )
    parser.add_argument(
        "--accept-state-loss",
        action="store_true",
        help="start although the state of a partition is gone",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run one worker until SIGTERM."""
    return worker.run(
        WorkerSettings(
            connection=connection(arguments),
            monitors=tuple(arguments.monitors),
            embedded=arguments.broker == "embedded",
            checkpoint_every_s=arguments.checkpoint_every,
            tick_every_s=arguments.tick_every,
            session_timeout_s=session_timeout_s(arguments),
            http_listen=arguments.http_listen,
            accept_state_loss=arguments.accept_state_loss,
            models_max=arguments.models_max,
            series_models_max=arguments.series_models_max,
        )
    )
