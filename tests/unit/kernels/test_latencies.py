"""Latencies by bucket are numpy's counts, whatever the values."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.kernels import latencies
from inferwatch.telemetry.models import EDGES_MS

ANY = st.floats(width=32) | st.sampled_from(EDGES_MS.tolist())


@given(st.lists(st.lists(ANY, max_size=20), max_size=4))
def test_rows_are_counted_in_the_buckets_that_numpy_finds(blocks):
    """On an edge the lower one, as `le` says; what is not finite in none; the sum in seconds."""
    found = np.zeros(len(EDGES_MS) + 2)
    for block in blocks:
        latencies.count(np.array(block, np.float64), EDGES_MS, found)
    values = np.array([value for block in blocks for value in block], np.float64)
    values = values[np.isfinite(values)]
    expected = np.bincount(EDGES_MS.searchsorted(values), minlength=len(EDGES_MS) + 1)
    assert found[:-1].tolist() == expected.tolist()
    assert np.isclose(found[-1], values.sum() / 1000, atol=np.abs(values).sum() * 1e-12)
