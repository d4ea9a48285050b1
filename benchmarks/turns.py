"""Candidates measured in turns, by the CPU time of one thread: what disturbs one disturbs all."""

import gc
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping

import report

Turn = Callable[[], int]


def quietly() -> None:
    """Start this program again with the heap and thread settings of `report`, if it lacks them."""
    if any(os.environ.get(name) != value for name, value in report.QUIET.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | report.QUIET)


def costs_ns(turns: Mapping[str, Turn], rounds: int) -> dict[str, list[float]]:
    """CPU nanoseconds of each round, by candidate, for each of what the turn says it did.

    A first round, for compilers and caches, is not counted.
    """
    found: dict[str, list[float]] = {name: [] for name in turns}
    names = list(turns)
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds + 1):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                began_ns = time.thread_time_ns()
                done = turns[name]()
                found[name].append((time.thread_time_ns() - began_ns) / done)
    finally:
        gc.enable()
    return {name: costs[1:] for name, costs in found.items()}


def ratio(slow: list[float], fast: list[float]) -> str:
    """How many times as dear `slow` is: of the best rounds, and of the middle ones."""
    best, middle = min(slow) / min(fast), statistics.median(slow) / statistics.median(fast)
    return f"{best:.0f}× (median {middle:.0f}×)"
