"""The heap keeps what it has, whether by the environment or by the process itself."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from inferwatch.runtime import heap

ROOT = Path(__file__).parent.parent.parent.parent
BLOCKS = """
import resource
from inferwatch.runtime import heap
said = heap.keep() if {keep} else ""
def fill():
    block = bytearray(40 << 20)  # larger than glibc's own threshold ever gets
    block[::4096] = b"x" * len(block[::4096])
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, said)
"""
SMALL_ARRAYS = """
import threading
import numpy as np
from inferwatch.runtime import heap
heap.keep()
kept = []
def fill():
    kept.extend(np.ones(1000) for _ in range(2000))
if {threaded}:
    thread = threading.Thread(target=fill)
    thread.start()
    thread.join()
else:
    fill()
with open("/proc/self/smaps_rollup") as lines:
    print(next(line.split()[1] for line in lines if line.startswith("AnonHugePages")))
"""
ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
HUGE_PAGES = ENABLED.read_text().split("[")[1].split("]")[0] if ENABLED.exists() else "never"
with_glibc = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="the allocator is not glibc's"
)


def faults(*, keep: bool, **environment: str) -> tuple[int, str]:
    """Pages that ten large blocks fault in after the first, and what was said of the heap."""
    ran = subprocess.run(
        [sys.executable, "-c", BLOCKS.format(keep=keep)],
        env={"PYTHONPATH": str(ROOT / "pipeline")} | environment,
        check=True,
        capture_output=True,
        text=True,
    )
    count, _, said = ran.stdout.strip().partition(" ")
    return int(count), said


@with_glibc
def test_a_block_that_was_freed_is_not_faulted_in_again():
    """Ten blocks of 10,240 pages: without the options each faults anew, with them none does."""
    assert faults(keep=False)[0] > 100_000
    count, said = faults(keep=True)
    assert count < 1_000
    assert said.startswith("kept")


@with_glibc
def test_the_environment_does_the_same_and_rules():
    """With all variables set nothing is changed, and the effect is the same."""
    given = {name: str(value) for name, (_, value) in heap.OPTIONS.items()}
    count, said = faults(keep=True, **given)
    assert count < 1_000
    assert said.startswith("kept (environment)")


@with_glibc
@pytest.mark.skipif(HUGE_PAGES == "never", reason="the system never has huge pages")
@pytest.mark.parametrize("threaded", [False, True])
def test_what_is_folded_lies_in_huge_pages(threaded):
    """16 MB of small arrays, made after the call by any thread, are in pages of 2 MB mostly."""
    ran = subprocess.run(
        [sys.executable, "-c", SMALL_ARRAYS.format(threaded=threaded)],
        env={"PYTHONPATH": str(ROOT / "pipeline")},
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(ran.stdout) > 8_000


def test_another_allocator_is_left_alone(monkeypatch):
    """Where there is no mallopt, the process starts all the same and says so."""
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: object())
    assert heap.keep({}) == "the allocator's"
