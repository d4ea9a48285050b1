"""`inferwatch`: finds the command, runs it, and turns errors into one sentence and an exit code."""

import argparse
import errno
import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from inferwatch import __version__
from inferwatch.errors import ConfigError, DeniedError, Exit, TransientError, UsageError

COMMANDS = {
    "demo": "real data, a drift, a kill and a proof, in about a minute",
    "dev": "broker, worker and notifier on this machine, for your own model",
    "worker": "fold the events topic",
    "notifier": "deliver alerts",
    "ingest": "move single JSON events from your topic to the events topic, in batches",
    "replay": "run monitors over a table or a topic that exists",
    "score": "score what a replay told by incidents that are known",
    "compare": "two replays: what fired in both, in one alone, sooner or later",
    "tune": "replay a check under several limits, and score each",
    "profile": "describe reference rows: build, show, diff",
    "plan": "check monitor files: what they say, and what they will cost",
    "models": "which models are watched, and how they are",
    "reference": "what versions are compared with: show, accept, reset",
    "alerts": "the state of every alert: list, show, follow",
    "dlq": "what could not be folded: list, show, requeue",
    "topics": "what topics there should be: plan, apply",
    "broker": "the embedded broker, alone",
    "detect": "run a detector over a column of a file",
    "methods": "every method by name: what it finds, needs, costs and takes",
    "warmup": "compile the kernels now instead of at the first start",
    "simulate": "delivery under seeded faults, in memory",
}


def parser(commands: Sequence[str]) -> argparse.ArgumentParser:
    """The argument parser with the named commands loaded."""
    top = argparse.ArgumentParser(
        prog="inferwatch", description="Watches models in production.", allow_abbrev=False
    )
    top.add_argument("--version", action="version", version=f"inferwatch {__version__}")
    found = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        command = found.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        if name in commands:
            module = _module(name)
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return top


def _module(name: str):  # type: ignore[no-untyped-def]
    try:
        return importlib.import_module(f"inferwatch.cli.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("inferwatch"):
            raise
        raise UsageError(
            f"`inferwatch {name}` needs {error.name}: pip install 'inferwatch[worker]'"
        ) from None


def _refused_property(error: Exception) -> ConfigError | None:
    """What to say where librdkafka makes no client, because it refuses a property or its value."""
    kafka = sys.modules.get("confluent_kafka")
    if kafka is None or not isinstance(error, kafka.KafkaException):
        return None
    why = str(error.args[0].str())
    if "configuration property" not in why:
        return None
    return ConfigError(why, fix="correct it in the file that --client-properties names")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    wanted = [word for word in arguments if word in COMMANDS][:1]
    _lead_somewhere()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a letter that it has not is no error
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        parsed = parser(wanted).parse_args(arguments)
        return int(parsed.run(parsed))
    except ConfigError as error:
        return _fail(error, Exit.CONFIG)
    except DeniedError as error:
        return _fail(error, Exit.PERMISSION)
    except UsageError as error:
        return _fail(error, Exit.USAGE)
    except TransientError as error:
        return _fail(error, Exit.UNAVAILABLE)
    except BrokenPipeError:
        sys.stderr.close()
        return Exit.DONE
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return _fail(error, Exit.STORAGE)
        refused = _refused_property(error)
        if refused is not None:
            return _fail(refused, Exit.CONFIG)
        traceback.print_exc()
        return Exit.BUG


def _lead_somewhere() -> None:
    """Let a stream that the caller closed lead nowhere. Python has None for it, which is asked in
    vain whether it is a terminal, and what is for a closed standard error comes on the other.
    """
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - open to the end
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - open to the end


def _fail(error: Exception, code: Exit) -> int:
    from inferwatch.notify.text import printable

    lines = f"inferwatch: {error}".split("\n")  # some quote what a file or a topic holds
    print("\n".join(map(printable, lines)), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
