"""The README says what is true: its commands exist, its links lead somewhere, its code runs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from inferwatch.cli.main import COMMANDS, parser
from inferwatch.config import monitors

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/*.md"), *ROOT.glob("examples/*/*.md")])


def blocks(language: str) -> list[str]:
    """Fenced blocks of a language; "" for those that name none."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in fenced if name == language]


def make(*words: str) -> "subprocess.CompletedProcess[str]":
    """What `make` says, also where pytest itself runs under `make`, which hands its flags on."""
    inherited = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    environment = {name: value for name, value in os.environ.items() if name not in inherited}
    return subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_commands_do_everything():
    """The first block is `make demo` and `make test`, and the Makefile has both."""
    commands = [line.split("#")[0].strip() for line in blocks("")[0].splitlines()]
    assert commands == ["make demo", "make test"]
    for command in commands:
        assert make("-n", command.split()[1]).returncode == 0


RUNS = ["echo.*installing.*0.8 GB", "pip install.*requirements.lock", "inferwatch warmup"]
TOOLS = ["echo.*adding.*0.4 GB", "pip install.*requirements-dev.lock"]


@pytest.mark.parametrize(
    ("target", "steps"),
    [
        ("demo", [*RUNS, "echo.*the demo, about a minute", "inferwatch demo$"]),
        ("test", [*RUNS, *TOOLS, "-m pytest"]),
    ],
)
def test_each_step_of_a_first_run_is_told(tmp_path, target, steps):
    """A fresh machine installs and compiles for minutes before anything: each says so before it.
    Tools for development are for the tests alone.
    """
    lines = make("-n", f"VENV={tmp_path}/none", target).stdout.splitlines()
    places = [next(at for at, line in enumerate(lines) if re.search(one, line)) for one in steps]
    assert places == sorted(places)
    assert (target == "test") == any(re.search(TOOLS[1], line) for line in lines)


def test_the_makefile_is_short():
    """At most ten targets, each explained by `make help`."""
    text = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()
    shown = make("help").stdout
    assert {"demo", "test", "check", "bench", "help"} <= set(targets)
    assert len(targets) <= 10
    assert {line.split()[0] for line in shown.splitlines()} == set(targets)


@pytest.mark.parametrize(
    "line",
    [line for block in blocks("") for line in block.splitlines() if line[:10] == "inferwatch"],
)
def test_a_shown_command_line_is_understood(line):
    """Every command and option in the README is one that the parser knows."""
    words = shlex.split(line.split("#")[0])[1:]
    parsed = parser([words[0]]).parse_args(words)
    assert parsed.command in COMMANDS


def test_the_shown_monitor_file_is_valid(tmp_path):
    """A stranger's first monitor file is this one, so it loads."""
    [text] = blocks("yaml")
    path = tmp_path / "monitors.yaml"
    path.write_text(text)
    definition = monitors.load([path]).definition("risk/fraud-scorer")
    assert [check.alert for check in definition.checks] == ["RecallDrop", "AmountDrift"]


def test_the_shown_code_runs():
    """The lines that connect a model run as they stand; without a broker they do nothing."""
    [code] = blocks("python")
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={"INFERWATCH_DISABLED": "1", "PYTHONPATH": str(ROOT / "pipeline")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_shown_alert_is_one_that_the_demo_tells():
    """The alert that convinces is quoted from the demo's own story."""
    from inferwatch.demo import screen, story

    assert f"[FIRING·critical] {screen.CONVINCING}  {story.MODEL} v1" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """No page points at a file that is not there."""
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text())
    missing = [target for target in targets if not (page.parent / target).exists()]
    assert not missing
