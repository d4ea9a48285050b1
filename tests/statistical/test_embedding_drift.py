"""Drift of embeddings: no alarm without a change at the limits of the docs, and what is found."""

import math

import numpy as np
import pytest

from inferwatch.core import directions, embeddings
from inferwatch.core.calibration import EFFECTS
from inferwatch.core.drift import EMBEDDING_METHODS
from inferwatch.core.embeddings import DISTANCE
from inferwatch.core.reference import embedding_profile
from inferwatch.records.definition import Check, Definition, Limit, ModelFacts, Reference, Window
from inferwatch.testing.folding import Log

pytestmark = pytest.mark.slow

LEARNT, WINDOWS = 5_000, 300
LIMIT_OF = {200: EMBEDDING_METHODS["sliced_wasserstein"], 1_000: 0.1}
"""By rows of a window, as docs/monitors.md names them."""


def ball(draw, n, dim):
    """Every direction is alike."""
    return draw.normal(size=(n, dim))


def cone(draw, n, dim):
    """Clumps far from the origin whose spread is in few directions, as language models give."""
    fixed = np.random.default_rng(99)
    far, clumps = 2 * fixed.normal(size=dim), 0.6 * fixed.normal(size=(10, dim))
    wide = 1 / np.sqrt(1 + 0.1 * np.arange(dim))
    return far + clumps[draw.integers(0, 10, n)] + draw.normal(size=(n, dim)) * wide


def unit(draw, n, dim):
    """The same, of length one."""
    rows = cone(draw, n, dim)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def reference_of(rows):
    """A reference of these rows, ready for use."""
    dim = rows.shape[1]
    stored = directions.make(dim)
    lie = directions.along(directions.read(stored, dim), rows.astype(np.float32)).lie
    return embeddings.bind(embedding_profile(dim, stored, lie))


def distance(reference, rows):
    """The figure of a window of these rows."""
    cell = embeddings.empty(reference)
    along = directions.along(reference.directions, rows.astype(np.float32))
    embeddings.add(cell, along, embeddings.count(along, reference))
    return embeddings.figures(cell, len(rows), reference, "")[DISTANCE].value


@pytest.mark.parametrize("shape", [ball, cone, unit])
@pytest.mark.parametrize("dim", [2, 64, 768])
@pytest.mark.parametrize("rows", LIMIT_OF)
def test_without_a_change_no_window_passes_the_limits_of_the_docs(shape, dim, rows):
    """None of 300, whose mean is what theory says of a normal column: 1.3·√(1/n + 1/m)."""
    draw = np.random.default_rng(dim)
    reference = reference_of(shape(draw, LEARNT, dim))
    found = [distance(reference, shape(draw, rows, dim)) for _ in range(WINDOWS)]
    assert max(found) < LIMIT_OF[rows]
    expected = 1.3 * math.sqrt(1 / LEARNT + 1 / rows)
    assert 0.6 * expected < np.mean(found) < 1.3 * expected


@pytest.mark.parametrize("shape", [ball, cone, unit])
@pytest.mark.parametrize("dim", [64, 768])
def test_shifts_and_changed_spreads_are_found(shape, dim):
    """A quarter of a deviation in every number, half again as much spread, and a turn about the
    centre of what is no ball: each window of 1,000 rows passes 0.1.
    """
    draw = np.random.default_rng(dim)
    known = shape(draw, LEARNT, dim)
    reference, centre, spread = reference_of(known), known.mean(axis=0), known.std(axis=0)
    turn, _ = np.linalg.qr(draw.normal(size=(dim, dim)))
    changes = [
        lambda rows: rows + spread / 4,
        lambda rows: centre + 1.5 * (rows - centre),
        *([] if shape is ball else [lambda rows: centre + (rows - centre) @ turn]),
    ]
    for change in changes:
        found = [distance(reference, change(shape(draw, 1_000, dim))) for _ in range(20)]
        assert min(found) > LIMIT_OF[1_000]


@pytest.mark.parametrize("dim", [64, 768])
def test_what_the_docs_say_is_missed_is_missed(dim):
    """One deviation in a single number, and any turn of a ball, look like no change."""
    draw = np.random.default_rng(dim)
    reference = reference_of(ball(draw, LEARNT, dim))
    one = np.eye(1, dim)
    turn, _ = np.linalg.qr(draw.normal(size=(dim, dim)))
    for change in (lambda rows: rows + one, lambda rows: rows @ turn):
        found = [distance(reference, change(ball(draw, 1_000, dim))) for _ in range(20)]
        assert max(found) < LIMIT_OF[1_000] + 1 / math.sqrt(dim)


def test_a_calibrated_limit_finds_itself():
    """In small windows, where the figure without a change is near its least effect, a month of
    hours has at most three alarms; half a deviation is one at once.
    """
    effect = EFFECTS["sliced_wasserstein"]
    check = Check(
        alert="Drift",
        metric="embedding",
        method="sliced_wasserstein",
        window="rows",
        warn=Limit(direction="above", value=effect, clear=effect, calibrated=True),
    )
    log = Log(
        Definition(
            model=ModelFacts(task="binary"),
            reference=Reference(min_rows=2_000),
            windows=[Window(name="rows", rows=100)],
            checks=[check],
        )
    )
    draw, hour_ms = np.random.default_rng(7), 3_600_000
    for at in range(740):
        log.rows(100, at * hour_ms, embedding=cone(draw, 100, 16).tolist())
    calm = [one for one in log.alerts() if one.condition == "firing"]
    assert max(one.metrics.get(DISTANCE, 0.0) for one in log.windows()) > effect
    assert len(calm) <= 3
    moved = cone(draw, 100, 16) + 0.5
    log.rows(100, 740 * hour_ms, embedding=moved.tolist())
    (*_, last) = log.alerts()
    assert last.condition == "firing" and last.value > 1.5 * last.limit
