"""Columns of rows: what is read of a batch, and what of a row that is taken out."""

import math

import numpy as np

from inferwatch.records.decode import decode
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
