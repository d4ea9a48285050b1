"""Columns that a kernel works on side by side get, to the bit, what each alone gets."""

import numpy as np
import pytest

from inferwatch.kernels import adwin, adwin_lanes, blocks, moments, page_hinkley

ROWS = 300


def block_of(columns):
    """Rows with drifts, gaps and infinities, in some columns nothing finite at first."""
    chance = np.random.default_rng(columns)
    block = chance.normal(size=(columns, ROWS)).astype(np.float32)
    block[::3, ROWS // 2 :] += 2.0
    block[1::4, 7:9] = [np.nan, np.inf]
    block[2::5, : ROWS - 3] = np.nan
    return block


def moments_of(columns):
    """State arrays of the kernel, before the first row."""
    ranges = np.repeat([[np.inf], [-np.inf]], columns, axis=1)
    return (
        np.full(columns, np.nan),
        np.zeros((4, columns)),
        ranges,
        np.zeros((3, columns), np.int64),
        np.zeros((columns, blocks.PARTS)),
    )


@pytest.mark.parametrize("columns", [1, 3, 4, 31, 32, 33, 70])
@pytest.mark.parametrize("cut", [0, 1, 128, 200])
def test_moments(columns, cut):
    """Any number of columns, cut into batches anywhere."""
    block, together = block_of(columns), moments_of(columns)
    for part in (block[:, :cut], block[:, cut:]):
        moments.update(np.ascontiguousarray(part), *together)
    for column in range(columns):
        alone = moments_of(1)
        moments.update(block[column : column + 1], *alone)
        for mine, all_of_them in zip(alone[:-1], together[:-1], strict=True):
            assert mine[..., 0].tobytes() == all_of_them[..., column].tobytes()
        assert alone[-1][0].tobytes() == together[-1][column].tobytes()


def detectors(kernel, columns, block):
    """Parameters that differ, and empty states."""
    if kernel is adwin:
        params = [adwin.params(0.01 / (1 + column), block=block) for column in range(columns)]
    else:
        params = [
            page_hinkley.params(0.01, 5.0 + column, up=column % 3 > 0, down=column % 2 > 0)
            for column in range(columns)
        ]
    return np.stack(params), np.stack([kernel.empty()] * columns)


@pytest.mark.parametrize(
    ("kernel", "update_columns", "block"),
    [
        (adwin, adwin_lanes.update_columns, 1),
        (adwin, adwin_lanes.update_columns, 20),
        (page_hinkley, page_hinkley.update_columns, 1),
    ],
    ids=["adwin", "weighted adwin", "page_hinkley"],
)
@pytest.mark.parametrize("columns", [1, 3, 4, 9, 32, 33, 70])
def test_detectors(kernel, update_columns, block, columns):
    """Found at the same rows, with the same state after them, and begun anew after a change."""
    params, together = detectors(kernel, columns, block)
    alone, found, changes = together.copy(), np.full(columns, -1), 0
    values = block_of(columns + 1)
    picked = np.arange(columns, 0, -1)  # not in the order of the block
    for _ in range(3):
        update_columns(values, picked, params, together, found)
        expected = [
            kernel.update(values[row], 0, params[place], alone[place])
            for place, row in enumerate(picked)
        ]
        assert found.tolist() == expected
        assert together.tobytes() == alone.tobytes()
        changes += int((found >= 0).sum())
    assert changes or columns < 4


@pytest.mark.parametrize("block", [1, 20])
def test_adwin_windows_of_any_width(block):
    """Empty ones beside some of a hundred and of a billion values: each as alone."""
    params = np.stack([adwin.params(0.01, block=block)] * 8)
    together = np.stack([adwin.empty()] * 8)
    for place, rows in enumerate([0, 1, 4, 6, 9, 20, 27, 33]):
        state, held = together[place], 4 + place % 2
        state[adwin.USED] = rows
        for row in range(rows):
            state[adwin.COUNTS + row] = held
            end = adwin.TOTALS + (row + 1) * adwin.ROW_MAX
            state[end - held : end] = 0.5 * block * 2.0**row
            state[adwin.WIDTH] += held * block * 2.0**row
        state[adwin.TOTAL], state[adwin.SPREAD] = 0.5 * state[adwin.WIDTH], state[adwin.WIDTH] / 12
    alone, found = together.copy(), np.full(8, -1)
    values = np.random.default_rng(block).random((8, 900)).astype(np.float32)
    values[3, 100:200], values[5, 400:] = np.nan, 1.0
    for _ in range(2):
        adwin_lanes.update_columns(values, np.arange(8), params, together, found)
        for place in range(8):
            assert found[place] == adwin.update(values[place], 0, params[place], alone[place])
        assert together.tobytes() == alone.tobytes()
