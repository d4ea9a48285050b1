"""The command line: each command is found, and each error is one sentence and its exit code."""

import argparse
import errno
import importlib
import io
import subprocess
import sys

import pytest
from confluent_kafka import Producer

from inferwatch import __version__
from inferwatch.cli import main as module
from inferwatch.cli.main import COMMANDS, main
from inferwatch.errors import ConfigError, DeniedError, Exit, TransientError, UsageError


@pytest.fixture
def command(monkeypatch):
    """Makes `inferwatch models` do what the test says."""

    class Command:
        """Stands where the command's module stands."""

        @staticmethod
        def add_arguments(parser: argparse.ArgumentParser) -> None:
            """None."""

        run = staticmethod(lambda arguments: Exit.DONE)

    monkeypatch.setattr(module, "_module", lambda name: Command)
    return Command


def raising(error: BaseException):
    """A command that ends so."""

    def run(_: argparse.Namespace) -> int:
        raise error

    return staticmethod(run)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("is wrong", file="m.yaml", line=3, key="match", fix="mend it"), Exit.CONFIG),
        (DeniedError("no right"), Exit.PERMISSION),
        (UsageError("no such file"), Exit.USAGE),
        (TransientError("no broker answers"), Exit.UNAVAILABLE),
    ],
)
def test_an_error_is_one_sentence_and_its_exit_code(command, capsys, error, code):
    """Who must act is told once, on standard error, without a traceback."""
    command.run = raising(error)
    assert main(["models"]) == code
    said = capsys.readouterr()
    assert said.err == f"inferwatch: {error}\n" and said.out == ""


def test_a_bug_is_told_with_its_traceback(command, capsys):
    """Anything else is ours: exit 70, and what a report of it needs."""
    command.run = raising(KeyError("x"))
    assert main(["models"]) == Exit.BUG
    said = capsys.readouterr().err
    assert "Traceback" in said and said.endswith("KeyError: 'x'\n")


def test_a_property_that_librdkafka_refuses_is_told_as_configuration(command, capsys):
    """No traceback: what it says of the property, and where to correct it."""
    command.run = staticmethod(lambda _: Producer({"linger.ms": "soon"}))
    assert main(["models"]) == Exit.CONFIG
    told = capsys.readouterr().err
    assert "Invalid value" in told and "--client-properties" in told and "Traceback" not in told


def test_an_interrupt_and_a_closed_pipe_are_no_errors(command, monkeypatch):
    """Ctrl-C is 130 as in a shell; `inferwatch alerts | head` ends in silence."""
    command.run = raising(KeyboardInterrupt())
    assert main(["models"]) == 130

    class Closed:
        closed = False

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(sys, "stderr", closed := Closed())
    command.run = raising(BrokenPipeError())
    assert main(["models"]) == Exit.DONE
    assert closed.closed


def test_a_full_disk_is_no_bug(command, capsys):
    """Exit 74, as where a worker's disk is: whoever owns the disk must act."""
    command.run = raising(OSError(errno.ENOSPC, "No space left on device"))
    assert main(["models"]) == Exit.STORAGE
    said = capsys.readouterr().err
    assert said == f"inferwatch: [Errno {errno.ENOSPC}] No space left on device\n"


def test_what_an_error_quotes_moves_no_cursor(command, capsys):
    """A file's bytes may clear a terminal, or write an answer into it; lines stay lines."""
    command.run = raising(UsageError("x.csv: '\x1b[2J' is no number\nline \u202e2"))
    assert main(["models"]) == Exit.USAGE
    told = "inferwatch: x.csv: '\\x1b[2J' is no number\nline \\u202e2\n"
    assert capsys.readouterr().err == told


def test_a_letter_that_a_terminal_has_not_is_escaped(command, monkeypatch):
    """Tables have arrows and names from data, whatever the encoding of where they go."""
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    command.run = staticmethod(lambda _: print("ü → 1") or Exit.DONE)
    assert main(["models"]) == Exit.DONE
    sys.stdout.flush()
    assert sys.stdout.buffer.getvalue() == b"\xfc \\u2192 1\n"


def test_what_a_command_answers_is_the_exit_code(command):
    """Findings are 1, as `topics plan` has it."""
    command.run = staticmethod(lambda _: Exit.FINDINGS)
    assert main(["models"]) == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name, capsys):
    """`--help` names every option; a command is one file with two functions."""
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: inferwatch {name}")
    assert COMMANDS[name] in " ".join(said.split())
    found = importlib.import_module(f"inferwatch.cli.{name}")
    assert callable(found.run) and callable(found.add_arguments)


@pytest.mark.parametrize("arguments", [[], ["demonstrate"], ["models", "--no-such-option"]])
def test_what_the_parser_does_not_know_is_usage(arguments, capsys):
    """Exit 2, and the usage on standard error."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == Exit.USAGE
    assert "usage: inferwatch" in capsys.readouterr().err


def parsers(parser: argparse.ArgumentParser):
    """A parser and those of its actions."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for under in action.choices.values():
                yield from parsers(under)


def test_no_option_is_taken_for_another_that_begins_alike(capsys):
    """`--seed 3` is no `--seeds 3`: an option is written out, in every command and action."""
    found = list(parsers(module.parser(list(COMMANDS))))
    assert len(found) > len(COMMANDS)
    assert [one.prog for one in found if one.allow_abbrev] == []
    with pytest.raises(SystemExit) as ended:
        main(["simulate", "--seed", "3"])
    assert ended.value.code == Exit.USAGE and "--seed 3" in capsys.readouterr().err


def test_the_version_is_the_packages(capsys):
    """`inferwatch --version`."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"inferwatch {__version__}\n"


def test_a_missing_library_is_told_with_its_remedy(monkeypatch, capsys):
    """Where only the SDK is installed, a command says what to install; a bug of ours does not."""

    def missing(name: str):
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    monkeypatch.setattr(importlib, "import_module", lambda _: missing("faust"))
    assert main(["worker"]) == Exit.USAGE
    assert "needs faust: pip install 'inferwatch[worker]'" in capsys.readouterr().err
    monkeypatch.setattr(importlib, "import_module", lambda _: missing("inferwatch.gone"))
    assert main(["worker"]) == Exit.BUG


def test_only_the_command_that_is_asked_for_is_loaded():
    """`inferwatch --help` answers without numpy, Faust or a Kafka client."""
    code = (
        "import sys; from inferwatch.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(*sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.splitlines()[-1].split())
    assert "inferwatch.cli.main" in loaded
    assert not loaded & {"numpy", "faust", "confluent_kafka", "msgspec", "inferwatch.cli.worker"}


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_stream_that_the_caller_closed_leads_nowhere(command, monkeypatch, capsys, stream):
    """A command may ask it whether it is a terminal; what was for it comes on no other."""

    def run(_: argparse.Namespace) -> int:
        assert not getattr(sys, stream).isatty()
        print("said", file=getattr(sys, stream))
        return Exit.DONE

    command.run = run
    monkeypatch.setattr(sys, stream, None)
    assert main(["models"]) == Exit.DONE
    assert capsys.readouterr() == ("", "")
