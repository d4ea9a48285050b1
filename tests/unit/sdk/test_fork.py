"""A fork waits for a sender that imports or samples: no child begins with half of either."""

import os
import subprocess
import sys

import pytest

from inferwatch.sdk import forks

CODE = """
import os, threading
from inferwatch import Monitor
from inferwatch.sdk import sampling

begun, done = threading.Event(), threading.Event()

def wait():
    begun.set()
    done.wait()

sampling.EVERY_S = 0.0
sampling.sampler = SAMPLER
monitor = Monitor("team/model", "1")
monitor.log({"a": 1.0}, 1)
begun.wait()
threading.Timer(0.2, done.set).start()
child = os.fork()
if child == 0:
    os._exit(0 if done.is_set() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are never forked here")
@pytest.mark.parametrize("sampler", ["wait", "lambda: wait"], ids=["imports", "sample"])
def test_a_fork_waits_for_what_is_half_done(sampler):
    """The child is made when the sender has all that it needs, or its sample, and not before."""
    done = subprocess.run(
        [sys.executable, "-c", CODE.replace("SAMPLER", sampler)],
        env=os.environ | {"INFERWATCH_BOOTSTRAP_SERVERS": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "0\n"


def test_a_sample_that_hangs_holds_a_fork_up_no_longer_than_the_limit(monkeypatch):
    """A driver of a GPU may never answer: the fork goes on, and the lock stays whose it is."""
    monkeypatch.setattr(forks, "WAIT_S", 0.01)
    with forks.sampling:
        forks.before()
        assert forks.importing.locked()
        forks.after()
        assert forks.sampling.locked() and not forks.importing.locked()
    forks.before()
    assert forks.importing.locked() and forks.sampling.locked()
    forks.after()
    assert not forks.importing.locked() and not forks.sampling.locked()
