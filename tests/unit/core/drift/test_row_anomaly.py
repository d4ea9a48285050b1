"""Half-space trees as a check: a rising share of rows that stand alone, and nothing else."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch.core import drift
from inferwatch.core.drift import DetectorState
from inferwatch.core.drift.row_anomaly import Column, RowAnomaly
from inferwatch.records.definition import NumericProfile

COLUMNS = [Column(f"x{number}", -3.0, 3.0, 0.0) for number in range(3)]


def made(**params):
    """A detector of three standard columns."""
    return RowAnomaly(COLUMNS, RowAnomaly.PARAMS | params)


def together(generator, n):
    """Three columns that move together: what is odd is a row that does not."""
    return generator.normal(size=(n, 1)) + 0.2 * generator.normal(size=(n, 3))


def stream(seed=1):
    """3,000 rows without a change, then 1,000 of which a quarter have columns of their own."""
    generator = np.random.default_rng(seed)
    rows = together(generator, 4_000)
    odd = 3_000 + np.flatnonzero(generator.random(1_000) < 0.25)
    rows[odd] = generator.uniform(-3, 3, (len(odd), 3))
    return rows


def told(detector, rows, first=0):
    """Findings as plain tuples."""
    return [(one.row + first, one.before, one.after) for one in detector.update_many(rows)]


def stored(detector):
    """The detector after its state went through the bytes of a checkpoint."""
    written = msgspec.msgpack.encode(detector.dump())
    return drift.load(msgspec.msgpack.decode(written, type=DetectorState))


@pytest.mark.parametrize("seed", range(5))
def test_rows_that_stand_alone_are_found(seed):
    """Their share before is about the one in twenty that was learnt; each column is as ever."""
    (row, before, after), *_ = told(made(), stream(seed))
    assert 3_000 <= row < 3_600
    assert before < 0.1 and after > before
    assert told(made(), stream(seed)[:3_000]) == []


def test_a_share_that_falls_is_nothing():
    """Odd rows that end are the good news that ends an alert, not one of its own."""
    generator, rows = np.random.default_rng(2), stream(2)
    found = told(made(), np.concatenate([rows, together(generator, 6_000)]))
    assert found and all(after > before for _, before, after in found)


@settings(deadline=None, max_examples=15)
@given(cuts=st.lists(st.integers(0, 4_000), max_size=6).map(sorted))
def test_a_cut_at_any_row_shows_nowhere(cuts):
    """Batches of any length, the state stored between them, learnt or not: the same findings."""
    rows, detector, found = stream(), made(), []
    for first, last in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        found += told(detector, rows[first:last], first)
        detector = stored(detector)
    assert found == told(made(), rows) != []


def test_what_is_missing_counts_as_the_mean():
    """A row with gaps is judged by the rest of it, one of gaps alone is the most usual row."""
    rows = stream()
    rows[::3, 1] = np.nan
    rows[::50] = np.inf
    filled = np.where(np.isfinite(rows), rows, 0.0)
    assert told(made(), rows) == told(made(), filled)


def test_features_that_do_not_vary_are_left_out():
    """They tell no row from another; without any there is no detector."""
    flat, varied = (
        NumericProfile(
            edges=[], counts=[1, 0], psi_edges=[], mean=0, sd=1, least=0, most=1, low=0, high=high
        )
        for high in (0.0, 1.0)
    )
    found = RowAnomaly.of({"a": flat, "b": varied}, RowAnomaly.PARAMS)
    assert [one.name for one in found.columns] == ["b"]
    assert RowAnomaly.of({"a": flat}, RowAnomaly.PARAMS) is None


@pytest.mark.parametrize("rows", [500, 2_000])
def test_a_damaged_state_is_refused(rows):
    """While it learns and after."""
    detector = made()
    detector.update_many(stream()[:rows])
    state = detector.dump()
    assert (state.edge is None) == (rows == 500)
    for changed in ({"edge": 0.5}, {"scores": b"\0" * 8}, {"columns": COLUMNS[:2]}):
        with pytest.raises(ValueError, match="damaged"):
            drift.load(msgspec.structs.replace(state, **changed))
