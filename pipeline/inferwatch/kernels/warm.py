"""Compile every kernel that the fold calls, before there is traffic that would wait for it."""

import numpy as np
from numpy.typing import NDArray

from inferwatch.kernels import (
    adwin,
    adwin_lanes,
    blocks,
    distances,
    distinct,
    entities,
    ewma_residual,
    hashing,
    histograms,
    index,
    latencies,
    levels,
    moments,
    page_hinkley,
    panes,
    projections,
    seasonal,
    sliding_moments,
    sliding_order,
    texts,
    watermark,
)


def warm() -> None:
    """Run each kernel on next to nothing, for each type of input that the fold has.

    Cost: 10 to 20 s on a fresh machine, half a second once the cache is filled.
    """
    for kind in (np.float32, np.float64):
        _warm(np.zeros((1, 1), kind))
    found = hashing.hashes(np.zeros(1, np.uint8), np.ones(1, np.int64))
    heads, entries = np.full(2, index.NONE), np.zeros((2, index.WIDTH), np.int64)
    index.put(heads, entries, found.view(np.int64), 0, 0, 0)
    index.get(heads, entries, found.view(np.int64), 0)
    index.move(entries, 0, index.first_from(entries, 0, 1, 0), heads, entries)
    times = np.zeros(1, np.int64)
    panes.next_cut(times, times, np.zeros(2, np.int64), 0, 1, 1, 1, 0, 0)
    panes.place(times, times, 1, 1, 1, 0, 0)
    watermark.advance(times, times, 0, 0, 0, 0, 0)
    distinct.small(np.zeros(1))
    places, marks = np.zeros(entities.PLACES, np.uint64), np.zeros(entities.PLACES, np.int64)
    codes, scores = np.zeros(entities.PLACES, np.int32), np.zeros(entities.PLACES)
    entities.follow(found, times, codes[:1], scores[:1], 0, places, marks, codes, scores)
    latencies.count(scores[:1], scores[:1], scores[:3])
    projections.project(np.zeros((1, 1), np.float32), np.ones((1, 1)), np.ones(1))
    texts.take(np.zeros(1, np.uint8), np.ones(1, np.int32), np.ones(1, np.bool_))
    _warm_distances()
    _warm_series()


def _warm_series() -> None:
    value, scores, ring = np.zeros(1), np.zeros(1), np.zeros(3)
    counts, moments_of_four = np.zeros(2, np.int64), np.zeros(4)
    sliding_moments.score(
        value, 3, 0.0, 0.0, ring, np.zeros((3, 4)), moments_of_four, counts, scores
    )
    for fences in (False, True):
        sliding_order.score(value, 3, 0.0, 0.0, fences, ring, np.zeros(3), counts * 0, scores)
    ewma_residual.score(value, 3, 0.2, 0.2, 0.0, np.zeros(ewma_residual.SIZE), scores)
    kept, seen = np.zeros((2, 3)), np.zeros(2, np.int64)
    seasonal.score(value, 3, 0.0, 0.0, kept, seen, np.zeros(1), 0, scores)


def _warm_distances() -> None:
    counts, starts = np.ones(2, np.int64), np.array([0, 2])
    rows, edges = distances.totals(counts, starts), np.empty(0)
    distances.pick(counts, counts * 0, counts.copy())
    distances.shares(counts, counts, starts, 1e-4)
    distances.ks(counts, counts, starts, rows, rows)
    distances.chi_square(counts, counts, starts, 5.0)
    ends, now = np.ones((1, 4)), np.ones((1, 3))
    distances.wasserstein(counts, counts, starts, rows, rows, edges, ends, now)


def _warm(block: NDArray[np.floating]) -> None:
    sums, parts = np.zeros((4, 1)), np.zeros((1, blocks.PARTS))
    moments.update(block, np.zeros(1), sums, np.zeros((2, 1)), np.zeros((3, 1), np.int64), parts)
    moments.settle(parts, sums)
    edges, firsts = np.zeros(1, np.float32), np.array([0, 1])
    scales = np.ones((1, 2))
    cells = histograms.cell_starts(edges, firsts, scales)
    columns, counts = np.zeros(1, np.int64), np.zeros(3, np.int64)
    histograms.count_bins(block, edges, firsts, scales, cells, columns, counts)
    keys, logs = np.empty(0, np.int32), np.empty(0, np.int64)
    histograms.count_logs(block[0].astype(np.float64), keys, logs)
    window, sums = adwin.empty(), page_hinkley.empty()
    adwin.update(block[0], 0, adwin.params(0.1), window)
    page_hinkley.update(block[0], 0, page_hinkley.params(1.0, 1.0), sums)
    found = np.zeros(1, np.int64)
    for update_columns, params, state in (
        (adwin_lanes.update_columns, adwin.params(0.1), window),
        (page_hinkley.update_columns, page_hinkley.params(1.0, 1.0), sums),
    ):
        update_columns(block, columns, params[np.newaxis], state[np.newaxis], found)
    levels.follow(np.zeros(1), 0, 1, levels.empty())
