"""Drift of embeddings in the fold: by scipy's distance, by reference, in whatever batches."""

import math

import msgspec
import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from inferwatch.config import embeddings as described
from inferwatch.config import profiles
from inferwatch.core import directions, snapshot
from inferwatch.core.directions import DIRECTIONS
from inferwatch.core.embeddings import DISTANCE, MISSING
from inferwatch.notify import text
from inferwatch.records.decode import decode
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Profile,
    Reference,
    Window,
)
from inferwatch.testing.builders import raw_inference
from inferwatch.testing.folding import Log

DIM, LEARNT, WINDOW = 24, 1_000, 500
LIMIT = Limit(direction="above", value=0.2, clear=0.2)
DRIFT = Check(
    alert="EmbeddingDrift",
    metric="embedding",
    method="sliced_wasserstein",
    window="rows",
    need=Need(rows=200),
    fail=LIMIT,
)
FACTS = ModelFacts(task="binary", segments=["country"])


def watched(*checks, window=None, **reference):
    """Learnt from the first rows, where nothing else is said, and looked at in windows of rows."""
    return Definition(
        model=FACTS,
        reference=Reference(**{"min_rows": LEARNT} | reference),
        windows=[window or Window(name="rows", rows=WINDOW)],
        checks=list(checks),
    )


def cloud(n, seed, dim=DIM, shift=0.0):
    """Three clumps in a cone, as embeddings lie."""
    draw = np.random.default_rng(seed)
    centre = np.random.default_rng(99).normal(size=(4, dim))
    found = 3 * centre[3] + centre[draw.integers(0, 3, n)] + draw.normal(size=(n, dim))
    return (found + shift).astype(np.float32)


def send(log, rows, size=100, first_s=0, **columns):
    """Rows, one a second, in batches."""
    for at in range(0, len(rows), size):
        part = rows[at : at + size]
        times = [1_000 * (first_s + at + row) for row in range(len(part))]
        more = {name: column[at : at + size] for name, column in columns.items()}
        log.rows(len(part), times, embedding=part.tolist(), **more)
    return log


def profile_of(rows):
    """A profile of these embeddings alone, as `inferwatch profile build` makes it."""
    parts = [rows[at : at + 50].tolist() for at in range(0, len(rows), 50)]
    batches = [decode(raw_inference(n=len(one), embedding=one)).record for one in parts]
    return profiles.build("profile", FACTS, batches, [])[0]


def exact(reference, rows):
    """The distance by scipy, of scalar products by numpy in float64."""
    dim = reference.shape[1]
    weights = np.frombuffer(directions.make(dim), np.int8).reshape(-1, dim).astype(float)
    units = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    before, now = reference.astype(float) @ units.T, rows.astype(float) @ units.T
    apart = [wasserstein_distance(*columns) for columns in zip(before.T, now.T, strict=True)]
    return float(np.mean(np.array(apart) / before.std(axis=0)))


CHANGES = {
    "none": lambda rows: rows,
    "shift": lambda rows: rows + 0.3,
    "spread": lambda rows: rows.mean(axis=0) + 1.5 * (rows - rows.mean(axis=0)),
    "other places": lambda rows: np.roll(rows, 1, axis=1),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("learnt", [True, False])
def test_the_distance_is_scipys(change, learnt):
    """A window's figure is scipy's on the projections of the same rows, whether the reference was
    learnt from them or built of them.
    """
    reference, rows = cloud(LEARNT, 1), CHANGES[change](cloud(WINDOW, 2)).astype(np.float32)
    log = Log(watched() if learnt else watched(profile=profile_of(reference)))
    send(log, np.concatenate([reference, rows]) if learnt else rows)
    found = log.windows()[-1].metrics
    assert found[DISTANCE] == pytest.approx(exact(reference, rows), rel=0.03, abs=0.005)
    assert found[MISSING] == 0.0


def test_on_real_rows_a_change_of_classes_is_found():
    """Handwritten digits, 64 numbers each: a window of all ten is like the reference, one of five
    is not, and its distance is scipy's.
    """
    rows, digits = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    order = np.random.default_rng(3).permutation(len(rows))
    rows, digits = rows[order].astype(np.float32), digits[order]
    reference, rest, of = rows[:900], rows[900:], digits[900:]
    log = Log(watched(profile=profile_of(reference), window=Window(name="rows", rows=400)))
    few = rest[of < 5][:400]
    send(send(log, rest[:400]), few, first_s=400)
    usual, changed = (one.metrics[DISTANCE] for one in log.windows())
    assert usual < 0.1 < 0.15 < changed
    assert usual == pytest.approx(exact(reference, rest[:400]), abs=0.005)
    assert changed == pytest.approx(exact(reference, few), abs=0.005)


@pytest.mark.parametrize("learnt", [True, False])
def test_neither_batches_nor_checkpoints_show(learnt):
    """Blocks of 1, 7, 333 and 500 rows, saved and read back in between, give the same windows to
    the byte.
    """
    rows = np.concatenate([cloud(LEARNT, 1), cloud(2 * WINDOW, 2, shift=0.2)])
    rows[::9] = np.nan
    window = Window(name="rows", size_ms=400_000, step_ms=100_000)
    asked = {} if learnt else {"profile": profile_of(cloud(LEARNT, 4))}
    found = []
    for size in (1, 7, 333, 500):
        log = Log(watched(window=window, **asked))
        send(log, rows[:777], size)
        pieces = snapshot.cut(log.partition.models[log.model])
        log.partition.models[log.model] = snapshot.load(pieces)
        assert snapshot.cut(log.partition.models[log.model]) == pieces
        send(log, rows[777:], size, first_s=777)
        log.tick(3_600_000)
        told = [msgspec.structs.replace(one, **NOT_OF_ROWS, id="") for one in log.windows()]
        found.append(msgspec.json.encode(told))
    assert found[0].count(DISTANCE.encode()) > 15
    assert found == [found[0]] * 4


NOT_OF_ROWS = {"first_offset": 0, "last_offset": 0, "lost": {}}


def test_a_learnt_reference_is_the_profile_of_its_rows():
    """Directions, bins and counts, also where only a part of the rows is kept."""
    rows = cloud(LEARNT, 1)
    rows[:150], rows[500:520] = np.nan, np.nan
    log = send(Log(watched()), rows)
    learnt = log.partition.models[log.model].state.learnt["1"].profile
    assert learnt.embedding == profile_of(rows).embedding
    assert learnt.embedding.along[0].counts[-1] == 170
    kept = []
    for size in (1, 7, 333):
        long = Log(watched(min_rows=50, min_span_ms=900_000))
        learning = send(long, rows, size).partition.models[long.model].state.learnt["1"]
        kept.append(learning.profile.embedding)
    assert kept == [kept[0]] * 3
    assert kept[0].along[0].counts[-1] + sum(kept[0].along[0].counts[:-1]) <= 100


def odd_batches(draw):
    """Batches of vectors with gaps, now and then without any, or of another size."""
    for _ in range(40):
        n, missing = int(draw.integers(1, 30)), draw.random()
        rows = draw.normal(size=(n, draw.choice([3, 3, 3, 4])))
        rows[draw.random(n) < (1.0 if missing < 0.1 else 0.2)] = np.nan
        yield n, None if missing > 0.8 else rows.tolist()


@pytest.mark.parametrize("seed", range(6))
def test_a_reference_is_learnt_of_odd_batches_as_of_their_rows(seed):
    """Gaps and other sizes while it is learnt: batches cut to single rows give the same reference
    and the same windows.
    """
    draw = np.random.default_rng(seed)
    batches, asked = list(odd_batches(draw)), {"min_rows": int(draw.choice([20, 60, 200]))}
    asked |= {"min_span_ms": 300_000} if seed % 2 else {}
    found = []
    for most in (30, 3, 1):
        log, at_s = (
            Log(watched(window=Window(name="w", size_ms=90_000, step_ms=30_000), **asked)),
            0,
        )
        for n, rows in batches:
            for first in range(0, n, most):
                size = min(most, n - first)
                more = {} if rows is None else {"embedding": rows[first : first + size]}
                log.rows(size, [1_000 * (at_s + row) for row in range(size)], **more)
                at_s += size
        learnt = log.partition.models[log.model].state.learnt["1"].profile
        told = [msgspec.structs.replace(one, **NOT_OF_ROWS, id="") for one in log.windows()]
        found.append((learnt.embedding, told))
    assert found == [found[0]] * 3


def test_missing_embeddings_are_a_share_of_all_rows():
    """Rows without a vector, and batches without the column, lack one; the rest is compared."""
    log = Log(watched(profile=profile_of(cloud(LEARNT, 1))))
    rows = cloud(WINDOW, 2)
    rows[:100] = np.nan
    send(log, rows[:400])
    log.rows(100, [1_000 * at for at in range(400, 500)], score=[0.5] * 100)
    (window,) = log.windows()
    assert window.metrics[MISSING] == 0.4
    assert window.metrics[DISTANCE] == pytest.approx(
        exact(cloud(LEARNT, 1), rows[100:400]), rel=0.03
    )
    assert window.schema_changes == {}


def test_what_cannot_be_compared_says_why():
    """No embeddings, those of another size, and a reference without any."""
    known = watched(profile=profile_of(cloud(LEARNT, 1)))
    log = Log(known)
    log.rows(WINDOW, [1_000 * at for at in range(WINDOW)])
    send(log, cloud(WINDOW, 2, dim=DIM + 1), first_s=WINDOW)
    gone, other = log.windows()
    assert gone.unknown[DISTANCE] == "no embeddings" and gone.metrics[MISSING] == 1.0
    assert gone.schema_changes == {"embedding": "gone"}
    assert other.unknown[DISTANCE] == f"not of {DIM} numbers, as the reference has them"
    assert other.metrics[MISSING] == 1.0 and other.schema_changes == {"embedding": "retyped"}
    without = Log(watched())
    without.rows(LEARNT, [1_000 * at for at in range(LEARNT)])
    send(without, cloud(WINDOW, 2), first_s=LEARNT)
    new = without.windows()[-1]
    assert new.unknown[DISTANCE] == "not in the reference" and new.metrics[MISSING] == 0.0
    assert new.schema_changes == {"embedding": "new"}


def test_a_reference_without_spread_is_no_yardstick():
    """Vectors that are all alike have no deviation: unknown, not infinite."""
    log = Log(watched(profile=profile_of(np.ones((LEARNT, DIM), np.float32))))
    send(log, cloud(WINDOW, 2))
    assert log.windows()[0].unknown[DISTANCE] == "the reference is constant"


def test_numbers_beyond_all_measure_give_no_nan():
    """The largest float32 in every place."""
    largest = np.full((WINDOW, DIM), np.finfo(np.float32).max, np.float32)
    log = Log(watched(profile=profile_of(cloud(LEARNT, 1))))
    send(log, largest)
    (window,) = log.windows()
    assert DISTANCE in window.unknown or math.isfinite(window.metrics[DISTANCE])


def test_models_without_embeddings_keep_and_say_nothing_of_them():
    """No figure, no state."""
    log = Log(watched())
    log.rows(LEARNT + WINDOW, [1_000 * at for at in range(LEARNT + WINDOW)], score=None)
    assert not any("embedding" in msgspec.json.encode(one).decode() for one in log.windows())
    state = log.partition.models[log.model].state
    assert state.learnt["1"].profile.embedding is None


def test_an_alert_names_the_distance():
    """A check learns first, then fires on a shift, in words that on-call understands."""
    log = Log(watched(DRIFT))
    send(log, np.concatenate([cloud(LEARNT, 1), cloud(WINDOW, 2), cloud(WINDOW, 3, shift=0.5)]))
    (alert,) = log.alerts()
    told = text.render(alert, 0, 0)
    assert "sliced Wasserstein distance of embedding 0." in told
    assert "limit 0.20 (against 1,000 rows of " in told
    assert alert.window.start == LEARNT + WINDOW


def test_segments_have_their_own():
    """A check by country compares the rows of each country."""
    check = msgspec.structs.replace(DRIFT, segment_by=["country"])
    definition = watched(check, profile=profile_of(cloud(LEARNT, 1)))
    rows = np.concatenate([cloud(WINDOW // 2, 2), cloud(WINDOW // 2, 3, shift=0.5)])
    words = ["DE"] * (WINDOW // 2) + ["FR"] * (WINDOW // 2)
    log = Log(definition)
    for at in range(0, WINDOW, 100):
        log.rows(
            100,
            [1_000 * (at + row) for row in range(100)],
            embedding=rows[at : at + 100].tolist(),
            segments={"country": words[at : at + 100]},
        )
    (alert,) = log.alerts()
    assert alert.segment == "country=FR"
    (calm,) = log.windows(segment="country=DE")
    assert calm.metrics[DISTANCE] == pytest.approx(
        exact(cloud(LEARNT, 1), rows[: WINDOW // 2]), abs=0.01
    )


def test_a_reference_that_moves_along_takes_embeddings_with_it():
    """After a lasting shift the days before today are shifted too."""
    day = 86_400
    window = Window(name="rows", size_ms=3_600_000)
    log = Log(watched(window=window, min_rows=500, last_ms=7 * day * 1_000))
    send(log, cloud(1_000, 1), first_s=0)
    for number in range(1, 10):
        send(log, cloud(600, 10 + number, shift=0.5), first_s=number * day)
    log.tick(12 * day * 1_000)
    figures = [one.metrics[DISTANCE] for one in log.windows() if DISTANCE in one.metrics]
    assert figures[0] > 0.3 and figures[-1] < 0.15


def test_an_older_state_is_read():
    """What was saved before there were embeddings loads, and learns them from there on."""
    log = Log(watched())
    log.rows(300, [1_000 * at for at in range(300)])
    pieces = snapshot.cut(log.partition.models[log.model])
    older = {name: without(data) for name, data in pieces.items()}
    assert older != pieces
    log.partition.models[log.model] = snapshot.load(older)
    send(log, cloud(LEARNT - 300 + WINDOW, 2), first_s=300)
    assert log.windows()[-1].metrics[DISTANCE] < 0.15


def without(data):
    """The piece without the fields of embeddings."""
    return msgspec.msgpack.encode(_pruned(msgspec.msgpack.decode(data, strict=False)))


def _pruned(value):
    if isinstance(value, list):
        return [_pruned(one) for one in value]
    if not isinstance(value, dict):
        return value
    gone = ("embedding", "along", "dim", "directions")
    return {name: _pruned(one) for name, one in value.items() if name not in gone}


def test_profiles_are_compared_along_the_same_directions():
    """The distance of two profiles is near that of their rows; of other sizes there is none."""
    rows = CHANGES["shift"](cloud(800, 2)).astype(np.float32)
    old, new = profile_of(cloud(LEARNT, 1)), profile_of(rows)
    found = described.compare(old, new)
    assert found.value == pytest.approx(exact(cloud(LEARNT, 1), rows), rel=0.03)
    assert described.compare(old, profile_of(cloud(50, 1, dim=3))) is None
    assert described.compare(old, Profile(name="", rows=1, from_ms=0, to_ms=1)) is None


def test_a_profile_of_long_embeddings_can_travel():
    """4,096 numbers, the most there may be: well within the 256 KiB of a record."""
    profile = profile_of(cloud(500, 1, dim=4_096))
    assert len(profile.embedding.along) == DIRECTIONS
    assert len(msgspec.json.encode(profile)) < 160 * 1_024
    assert msgspec.json.decode(msgspec.json.encode(profile), type=Profile) == profile
