"""`inferwatch dev`"""

import argparse
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from inferwatch.cli.connect import add_connection, given
from inferwatch.config import monitors
from inferwatch.connection import Connection
from inferwatch.errors import Exit
from inferwatch.runtime import embedded, topics
from inferwatch.runtime.processes import Child, compiling, free_port, ready, wait_for

PATIENCE_S = 120.0
RESTART_PAUSE_S = 1.0
PARTITIONS = 4
FINAL = (Exit.USAGE, Exit.STORAGE, Exit.PERMISSION, Exit.CONFIG)
"""How a child ends that would end so again: somebody must mend something first."""
SIX_LINES = """
Connect your model (pip install inferwatch):

    export INFERWATCH_BOOTSTRAP_SERVERS={servers}{prefix}

    from inferwatch import Monitor
    monitor = Monitor("team/model", version="1")
    features = {{"amount": 12.5, "country": "DE"}}
    prediction_id = monitor.log(features=features, prediction=1, proba=0.93)
    monitor.log_label(prediction_id, 0)  # whenever the truth is known
    monitor.close()  # sends what is left; at exit it does so by itself

Health and metrics of the worker: http://{health}/readyz, http://{health}/metrics
Look at it with the same variable set: `inferwatch models`, `inferwatch alerts --follow`.
Alerts are printed below. Ctrl-C ends it{what_is_lost}.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of dev."""
    parser.add_argument(
        "--broker",
        choices=["embedded"],
        default="embedded",
        help="the default, unless --bootstrap-server names a real one",
    )
    parser.add_argument(
        "--monitors",
        type=Path,
        nargs="*",
        default=[],
        metavar="FILE",
        help="monitor files; models without one get the default checks",
    )
    add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Broker, worker and console notifier until Ctrl-C; whoever ends early is started again, unless
    that would not help: then this ends as it did.
    """
    monitors.load(arguments.monitors)  # a broken file is told here, not by a child
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack:
        named = arguments.bootstrap_server or arguments.client_properties
        connection = given(arguments) if named else None
        kind = "real"
        if connection is None:
            kind, connection = "embedded", _embedded(stack)
        else:
            topics.apply(connection, topics.wanted(connection.prefix, PARTITIONS), 1)
        try:
            return _supervise(stack, kind, connection, arguments.monitors)
        except KeyboardInterrupt:
            print("\nstopping in order", file=sys.stderr)
    return Exit.DONE


def _embedded(stack: ExitStack) -> Connection:
    broker = embedded.start()
    stack.callback(broker.stop)
    return Connection(broker.bootstrap_servers)


def _supervise(stack: ExitStack, kind: str, connection: Connection, files: list[Path]) -> int:
    """Keep worker and notifier running; the exit code of the one that no restart would mend."""
    health = f"127.0.0.1:{free_port()}"
    where = [*connection.arguments(), "--broker", kind]
    commands = {
        "worker": ["worker", *where, "--http-listen", health, "--monitors", *map(str, files)],
        "notifier": ["notifier", *where],
    }
    children: dict[str, Child] = {}
    stack.callback(lambda: stop_all(children.values()))
    for name, command in commands.items():
        children[name] = Child(name, "inferwatch.cli.main", command)
    started = list(children.values())
    wait_for(
        lambda: ready(health) or _is_final(started),
        PATIENCE_S,
        "the worker",
        started,
        partial(compiling, health),
    )
    if not _is_final(started):
        _greet(kind, connection, health)
    while True:
        for name, child in children.items():
            if child.running():
                continue
            code = child.process.returncode
            if code in FINAL:
                told = f"the {name} cannot go on (exit {code}); its reason stands above"
                print(told, file=sys.stderr)
                return code
            print(f"the {name} ended with exit {code} and is started again", file=sys.stderr)
            children[name] = Child(name, "inferwatch.cli.main", commands[name])
        time.sleep(RESTART_PAUSE_S)


def stop_all(children: Iterable[Child]) -> None:
    """Stop each; whoever tells us to end once more, as `timeout` does, leaves none behind."""
    with ExitStack() as stack:
        for child in children:
            stack.callback(child.stop)


def _is_final(children: list[Child]) -> bool:
    return any(child.process.poll() in FINAL for child in children)


def _greet(kind: str, connection: Connection, health: str) -> None:
    prefix = "" if connection.prefix == "inferwatch." else f" INFERWATCH_PREFIX={connection.prefix}"
    lost = ", and what the embedded broker holds with it" if kind == "embedded" else ""
    print(
        SIX_LINES.format(
            servers=connection.bootstrap_servers, prefix=prefix, health=health, what_is_lost=lost
        ),
        flush=True,
    )
