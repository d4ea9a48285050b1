"""What inspectors say of windows in which nothing changed, and whether they see what did."""

import re

import numpy as np
import pytest
from scipy.stats import norm

from inferwatch import inspect

WIDTH = 20
NAMES = [f"f{at}" for at in range(WIDTH)]


def equal(draw, n):
    """Normal columns, each with a correlation of one half with every other."""
    return (draw.normal(size=(n, WIDTH)) + draw.normal(size=(n, 1))) / np.sqrt(2)


def wild(draw, n):
    """Such columns with their large values in the same rows: t with one degree of freedom."""
    return equal(draw, n) / np.abs(draw.normal(size=(n, 1)))


def free(draw, n):
    """Normal columns without a tie, lognormal ones among them."""
    rows = draw.normal(size=(n, WIDTH))
    rows[:, ::2] = np.exp(rows[:, ::2])
    return rows


def counts(draw, n):
    """Counts, three quarters of them zero."""
    return draw.poisson(0.3, (n, WIDTH)).astype(np.float64)


def gaps(draw, n):
    """Tied columns in which a third of the values is missing."""
    rows = equal(draw, n)
    rows[draw.random(rows.shape) < 1 / 3] = np.nan
    return rows


KINDS = {one.__name__: one for one in (equal, wild, free, counts, gaps)}


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_change_no_slice_and_no_correlation(kind):
    """Of 200 windows, where one in a thousand is expected of each, two at most have one."""
    rules = changes = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        reference, found = KINDS[kind](draw, 1_000), KINDS[kind](draw, 1_000)
        rules += inspect.worst_slice(NAMES, reference, found, seed) is not None
        changes += inspect.rows("correlation", reference, found).value > 0
    assert rules <= 2 and changes <= 2


@pytest.mark.parametrize(("share", "least"), [(0.1, 60), (0.2, 95), (0.3, 100)])
def test_a_planted_slice_is_named(share, least):
    """Rows with one column where 8 % of usual rows have it: how often of 100 windows the rule names
    that column. In four of five it begins where they do.
    """
    named = begins = 0
    for seed in range(100):
        draw = np.random.default_rng(seed)
        reference, found = free(draw, 1_000), free(draw, 1_000)
        planted = round(share * 1_000)
        found[:planted, 3] = draw.uniform(1.4, 2.5, planted)
        worst = inspect.worst_slice(NAMES, reference, found, seed)
        at = re.search(r"f3 > ([\d.]+)|([\d.]+) < f3", worst.rule) if worst else None
        named += at is not None
        begins += at is not None and abs(float(at[1] or at[2]) - 1.4) < 0.3
    assert named >= least and begins >= 0.8 * named


@pytest.mark.parametrize(
    ("before", "now", "n"), [(0.5, 0.0, 500), (0.8, 0.5, 500), (0.0, 0.3, 1_000)]
)
def test_a_tie_that_breaks_is_found_and_named(before, now, n):
    """One pair of twenty columns, none of which changes by itself: in 95 of 100 windows."""
    found = 0
    for seed in range(100):
        draw = np.random.default_rng(seed)
        sides = []
        for r in (before, now):
            rows = draw.normal(size=(n, WIDTH))
            rows[:, 5] = r * rows[:, 2] + np.sqrt(1 - r * r) * rows[:, 5]
            sides.append(rows)
        changes = inspect.rows("correlation", *sides).changes
        found += [one.columns for one in changes] == [(2, 5)]
    assert found >= 95


def weak(rows, rate):
    """How often a model errs that is weak where the first column is large."""
    return np.where(rows[:, 0] > 1, rate + 0.25, rate)


@pytest.mark.parametrize(("rate", "more"), [(0.02, 0.0), (0.1, 0.0), (0.4, 0.0), (0.05, 0.15)])
def test_without_a_place_no_errors_are_placed(rate, more):
    """Where a model is as weak as it was, or errs more often everywhere alike: of 200 windows one
    at most has a rule.
    """
    rules = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        sides = []
        for extra in (0.0, more):
            rows = draw.normal(size=(1_000, WIDTH))
            sides.append((rows, draw.random(1_000) < weak(rows, rate) + extra))
        rules += inspect.error_slice(NAMES, *sides, seed).errors is not None
    assert rules <= 1


@pytest.mark.parametrize(("share", "rate", "least"), [(0.1, 0.6, 80), (0.2, 0.4, 70)])
def test_a_place_of_errors_is_named(share, rate, least):
    """Rows with large values of one column of 20, where one in ten was wrong: how often of 100
    windows the rule names the column.
    """
    named = 0
    edge = norm.isf(share)
    for seed in range(100):
        draw = np.random.default_rng(seed)
        before, found = draw.normal(size=(2, 1_000, WIDTH))
        there = np.where(found[:, 3] > edge, rate, 0.1)
        sides = (before, draw.random(1_000) < 0.1), (found, draw.random(1_000) < there)
        errors = inspect.error_slice(NAMES, *sides, seed).errors
        named += errors is not None and "f3 > " in errors.rule
    assert named >= least
