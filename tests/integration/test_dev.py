"""`inferwatch dev`: what it prints is what a stranger pastes, and it works."""

import os
import re
import signal
import subprocess
import sys
import textwrap
from urllib.request import urlopen

import pytest
from workers import until

from inferwatch.connection import Connection
from inferwatch.errors import Exit
from inferwatch.replay.log import LogReader

pytestmark = [pytest.mark.processes]
COMMAND = [sys.executable, "-m", "inferwatch.cli.main"]


@pytest.fixture
def dev(tmp_path):
    """A running `inferwatch dev`, and what it has printed up to its last sentence."""
    process = subprocess.Popen(
        [*COMMAND, "dev"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        # what a shell starts in the background ignores Ctrl-C, and so would all that it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    printed = ""
    while "Ctrl-C" not in printed:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        printed += line
    yield process, printed
    process.kill()
    process.wait()


def test_the_printed_lines_connect_a_model(dev, tmp_path):
    """Pasted as they stand, they put a prediction and its label on the topic, the worker's
    checkpoint tells of the model's checks, and Ctrl-C exits 0.
    """
    process, printed = dev
    health = re.search(r"http://\S+/readyz", printed)[0].removesuffix("readyz")
    with urlopen(health, timeout=5) as answer:
        assert "/metrics" in answer.read().decode()
    servers = re.search(r"export INFERWATCH_BOOTSTRAP_SERVERS=(\S+)", printed)[1]
    code = "".join(re.findall(r"^    (?!export).*\n", printed, re.MULTILINE))
    assert code.count("\n") == 6
    pasted = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"INFERWATCH_BOOTSTRAP_SERVERS": servers},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (pasted.returncode, pasted.stderr) == (0, "")
    sent = []

    def arrived() -> bool:
        with LogReader(Connection(servers), "events.v1") as reader:
            sent[:] = [raw.headers.get("ce_type", b"").decode() for raw in reader.read_all()]
        return {"io.inferwatch.inference.v1", "io.inferwatch.label.v1"} <= set(sent)

    until(arrived, "the prediction and its label are on the topic")
    look = [*COMMAND, "models", "team/model", "--bootstrap-server", servers]
    until(
        lambda: b" never judged:" in subprocess.run(look, capture_output=True, check=False).stdout,
        "the worker's checkpoint tells of the model's checks",
    )
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == Exit.DONE  # it waits for its children, 25 s each at most
