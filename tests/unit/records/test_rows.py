"""Columns of rows: what is read of a batch, and what of a row that is taken out."""

import math

import numpy as np
import pytest

from inferwatch.records.decode import decode
from inferwatch.records.raw import EMBEDDING_DIM_MAX
from inferwatch.records.rows import together
from inferwatch.testing import builders


def test_what_a_call_used_is_told_by_row():
    """Columns that are left out are missing; infinite numbers cost their row and no other."""
    llm = {"input_tokens": [1, 2, 3], "cost": [math.nan, math.inf, 0.5]}
    raw = builders.raw_inference(n=3, llm=llm | {"finish_reason": ["stop", "stop", None]})
    decoded = decode(raw)
    assert [(found.reason, found.row) for found in decoded.rejects] == [("non_finite", 1)]
    calls = decoded.record.llm
    np.testing.assert_array_equal(
        calls.numbers, [[1, 3], [math.nan] * 2, [math.nan] * 2, [math.nan, 0.5]]
    )
    assert (calls.finish_reason.words, calls.finish_reason.codes.tolist()) == (("stop",), [0, -1])
    assert decode(builders.raw_inference()).record.llm is None


def test_a_vector_that_is_not_finite_is_none():
    """One number that is missing or infinite takes its vector away, whole, and keeps its row."""
    vectors = [[1, 2, 3], [4, math.nan, 6], [7, 8, -math.inf], [0, 3.4e38, -1e-45]]
    decoded = decode(builders.raw_inference(n=4, embedding=vectors))
    found = decoded.record.embedding
    assert decoded.rejects == () and found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_array_equal(
        found, np.float32([vectors[0], [math.nan] * 3, [math.nan] * 3, vectors[3]])
    )
    assert decode(builders.raw_inference()).record.embedding is None


def test_the_longest_vector_is_read():
    """As many numbers as the format allows are one vector of that size."""
    vector = np.arange(EMBEDDING_DIM_MAX, dtype=np.float32)
    found = decode(builders.raw_inference(embedding=[vector.tolist()])).record.embedding
    np.testing.assert_array_equal(found, [vector])


@pytest.mark.parametrize("dim", [1, 3, 5])
def test_rows_keep_their_vectors(dim):
    """A rejected row takes its own vector along and no other, whatever the sizes of the block."""
    vectors = np.arange(3 * dim, dtype=np.float32).reshape(3, dim)
    raw = builders.raw_inference(n=3, embedding=vectors.tolist(), latency_ms=[1, math.inf, 3])
    np.testing.assert_array_equal(decode(raw).record.embedding, vectors[[0, 2]])


def test_vectors_of_batches_stand_under_each_other():
    """Batches put together have the vectors of all their rows, in order."""
    first = builders.raw_inference(n=2, embedding=[[1, 2, 3], [4, 5, 6]])
    second = builders.raw_inference(offset=1, embedding=[[7, 8, 9]])
    whole = together([decode(first).record, decode(second).record])
    assert whole.embedding.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    bare = [decode(builders.raw_inference(offset=at)).record for at in range(2)]
    assert together(bare).embedding is None
