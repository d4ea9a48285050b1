"""Detectors as they ship alarm without a change as often as docs/methods.md says, no more."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from inferwatch.detectors import make, methods

ROOT = Path(__file__).parents[2]
ROWS = 100_000
KINDS = {
    "normal": lambda chance, n: chance.normal(size=n),
    "uniform": lambda chance, n: chance.random(n),
    "exponential": lambda chance, n: chance.exponential(size=n),
    "t₃": lambda chance, n: chance.standard_t(3, size=n),
    "lognormal": lambda chance, n: chance.lognormal(size=n),
    "Pareto 1.5": lambda chance, n: 1 + chance.pareto(1.5, size=n),
}
ERRORS_ONLY = {"ddm", "eddm", "hddm_w"}
SHARES = {"adwin", "hddm_a", "kswin", "hst"}


def table():
    """Alarms in a million values, by detector and kind of values."""
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    head, _, *lines = page[page.index("| as it ships |") :].split("\n\n")[0].splitlines()
    kinds = [cell.strip() for cell in head.split("|")[2:-1]]
    found = {}
    for line in lines:
        name, *cells = (cell.strip() for cell in line.split("|")[1:-1])
        counts = [int(re.sub(",", "", cell)) for cell in cells]
        found |= {(name, kind): count for kind, count in zip(kinds, counts, strict=True)}
    return found


TABLE = table()


def test_the_table_has_every_detector_of_values():
    """Each method but those of errors, for each kind of values."""
    named = {(name, kind) for name in methods() if name not in ERRORS_ONLY for kind in KINDS}
    assert TABLE.keys() == named


@pytest.mark.parametrize(("name", "kind"), TABLE)
def test_values_without_a_change_alarm_as_often_as_documented(name, kind):
    """In 200,000 values: at most half as many more than the table says but for chance, at least a
    third: after an alarm charts learn anew, so alarms come in groups.
    """
    seen = KINDS[kind](np.random.default_rng(99), 50_000)
    low, high = np.quantile(seen, [0.001, 0.999])
    found = 0
    for seed in (30, 31):
        values = KINDS[kind](np.random.default_rng(seed), ROWS)
        if name in SHARES:
            values = (np.clip(values, low, high) - low) / (high - low)
        elif name == "page_hinkley":
            values = (np.clip(values, low, high) - seen.mean()) / seen.std()
        found += len(make(name).update_many(values))
    expected = TABLE[name, kind] * 2 * ROWS / 1e6
    assert (
        expected / 3 - 4 * math.sqrt(expected)
        <= found
        <= expected * 1.5 + 4 * math.sqrt(expected) + 1
    )
