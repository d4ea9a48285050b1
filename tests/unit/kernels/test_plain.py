"""Without the compiler the same kernels are plain Python and give the same bits."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from inferwatch.core.sketches import binned, log_histogram, moments
from inferwatch.kernels import adwin, adwin_lanes, page_hinkley, projections


def digest() -> str:
    """Everything that the kernels make of one stream of odd values, as one digest."""
    generator = np.random.default_rng(5)
    block = generator.lognormal(size=(3, 700)).astype(np.float32)
    block[0, ::7], block[1, 3], block[2, 350:] = np.nan, np.inf, block[2, 350:] * 40
    state, grid = moments.empty(3), binned.make_grid([np.quantile(block[2], [0.2, 0.5, 0.9])] * 3)
    counts, logs = binned.empty(grid), log_histogram.empty()
    window, sums = adwin.empty(), page_hinkley.empty()
    found = []
    kinds = (
        (adwin_lanes, adwin.params(0.01), adwin.empty()),
        (adwin_lanes, adwin.params(0.01, low=0.1, range_=9.0, block=20), adwin.empty()),
        (page_hinkley, page_hinkley.params(1, 9), page_hinkley.empty()),
    )
    lanes = [np.stack([state] * 5) for _, _, state in kinds]
    for part in np.array_split(block, 5, axis=1):
        moments.update(state, part)
        binned.update(counts, grid, part, np.array([2, -1, 0]))
        log_histogram.update(logs, part[1] - 1)
        values, row = np.ascontiguousarray(part[2]), -1
        while (row := adwin.update(values, row + 1, adwin.params(0.01), window)) >= 0:
            found.append(row)
        while (row := page_hinkley.update(values, row + 1, page_hinkley.params(1, 9), sums)) >= 0:
            found.append(-row)
        for (kernel, params, _), states in zip(kinds, lanes, strict=True):
            rows, columns = np.empty(5, np.int64), np.arange(5) % 3
            given = np.stack([params] * 5)
            kernel.update_columns(np.ascontiguousarray(part), columns, given, states, rows)
            found += rows.tolist()
    assert min(found) < 0 < max(found)
    arrays = [
        state.sums,
        state.parts,
        state.ranges,
        state.counts,
        counts,
        logs.keys,
        logs.counts,
        window,
        sums,
    ]
    arrays += [*lanes, projections.project(block.T.copy(), np.ones((3, 2)), np.array([1.0, 3.0]))]
    return hashlib.sha256(b"".join(map(np.ndarray.tobytes, arrays))).hexdigest() + str(found)


@pytest.mark.parametrize("disabled", ["0", "1"])
def test_the_compiler_changes_no_bit(disabled):
    """Compiled and not, in a process of its own, the kernels leave the same bytes."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_plain"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(test_plain.digest())"],
        env={**os.environ, "NUMBA_DISABLE_JIT": disabled},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == digest()
