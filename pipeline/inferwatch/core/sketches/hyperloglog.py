"""How many different words there were, in 2 KB: HyperLogLog with 64-bit hashes.

The standard error is 1.04/√2048 = 2.3 % at any count. Equal sets of words give equal registers,
whatever their order and repeats, and two sketches merge by the larger of each register. Cost: 0.2
µs a word.

References: P. Flajolet, É. Fusy, O. Gandouet, F. Meunier, "HyperLogLog: the analysis of a
near-optimal cardinality estimation algorithm", AofA 2007; 64-bit hashes as in S. Heule, M.
Nunkesser, A. Hall, "HyperLogLog in practice", EDBT 2013; the estimate, without their tables of
corrections, by O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches",
arXiv:1702.01284, algorithm 6.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from inferwatch.core import sample
from inferwatch.records.ids import pack

PRECISION = 11
SIZE = 1 << PRECISION
REST = 64 - PRECISION  # bits whose leading zeros are counted; a float64 holds them exactly
ALPHA = 1 / (2 * math.log(2))

Registers = NDArray[np.uint8]


def empty() -> Registers:
    """The sketch of no word."""
    return np.zeros(SIZE, np.uint8)


def add(registers: Registers, words: Iterable[str]) -> None:
    """Add words, in place."""
    hashes = sample.hashes(pack(words))
    rest = (hashes & np.uint64((1 << REST) - 1)).astype(np.float64)
    places = (hashes >> np.uint64(REST)).astype(np.int64)
    _, bits = np.frexp(rest)
    np.maximum.at(registers, places, (REST + 1 - bits).astype(np.uint8))


def merge(into: Registers, other: Registers) -> None:
    """Add the words of `other`, in place."""
    np.maximum(into, other, out=into)


def estimate(registers: Registers) -> float:
    """How many different words were added."""
    found = np.bincount(registers, minlength=REST + 2).tolist()
    inverse = SIZE * _tau(1 - found[REST + 1] / SIZE)
    for count in reversed(found[1 : REST + 1]):
        inverse = 0.5 * (inverse + count)
    inverse += SIZE * _sigma(found[0] / SIZE)
    return ALPHA * SIZE * SIZE / inverse


def _sigma(x: float) -> float:
    """x + Σ x^(2^k)·2^(k−1) for k ≥ 1."""
    if x == 1.0:
        return math.inf
    total, before, weight = x, -1.0, 1.0
    while total != before:
        x *= x
        before, total = total, total + x * weight
        weight *= 2
    return total


def _tau(x: float) -> float:
    """(1 − x − Σ (1 − x^(2^−k))²·2^(−k)) / 3 for k ≥ 1."""
    if x in (0.0, 1.0):
        return 0.0
    total, before, weight = 1 - x, -1.0, 1.0
    while total != before:
        x = math.sqrt(x)
        weight *= 0.5
        before, total = total, total - (1 - x) ** 2 * weight
    return total / 3
