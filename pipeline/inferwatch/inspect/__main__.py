"""`python -m inferwatch.inspect`: an inspector as a process of its own, over its standard streams.

Each request and each answer is preceded by its length, four bytes, big-endian. The process ends
with its input, so none outlives the worker that started it, and lets others go first on the CPU.
"""

import os
import sys
from typing import BinaryIO

from inferwatch.inspect.answer import answer

LENGTH_BYTES = 4
NICE = 10


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer one request after the other, until there are no more."""
    while length := requests.read(LENGTH_BYTES):
        found = answer(requests.read(int.from_bytes(length)))
        answers.write(len(found).to_bytes(LENGTH_BYTES) + found)
        answers.flush()


if __name__ == "__main__":
    os.nice(NICE)
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer)
    except BrokenPipeError:  # the worker ended while it waited for this
        os._exit(0)
