"""Half-space trees: how empty the region of a row was in the window of rows before.

Values of all columns lie in [0, 1]: scale them by the reference first. A score is near 0 where rows
were dense and near 1 where there were none. Finds rows that stand alone; anomalies that come close
together are their own crowd. Trees are drawn from `seed`, as the paper's and river's are: a column
in proportion to the range that is left of it, split in its middle 70 %.

Reference: S. C. Tan, K. M. Ting, T. F. Liu, "Fast Anomaly Detection for Streaming Data", IJCAI
2011.
"""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inferwatch.detectors import Method
from inferwatch.detectors.limits import whole, within
from inferwatch.detectors.scoring import Floats, Scoring
from inferwatch.errors import ConfigError
from inferwatch.kernels import half_space_trees as kernel

PADDING = 0.15


class HST(Scoring):
    """Detector of rows, float[n, F], or of single numbers, float[n].

    :param n_trees: 1 to 1,000.
    :param height: levels of splits in a tree, 1 to 15.
    :param window_size: rows of a window, 2 to 100,000; in the first one there is no score.
    :param seed: of the trees, 0 or more.
    :param threshold: score above which a row stands out, 0 to 1.
    :param debounce: a score counts only if it is the highest of so many, at least 1.
    :raises ConfigError: a parameter out of its range; rows of another width than before.
    """

    METHOD: ClassVar[Method] = Method(
        name="hst",
        kind="anomaly",
        purpose="a row where few rows were before, of many columns at once",
        source="Tan, Ting and Liu 2011",
        rows_min=251,
        cost_ns=150,
        state_bytes=42_000,
        by_row=True,
    )

    def __init__(
        self,
        *,
        n_trees: int = 10,
        height: int = 8,
        window_size: int = 250,
        seed: int = 0,
        threshold: float = 0.95,
        debounce: int = 1,
    ) -> None:
        n_trees = whole("n_trees", n_trees, 1, 1_000)
        height = whole("height", height, 1, 15)
        window_size = whole("window_size", window_size, 2, 100_000)
        seed = whole("seed", seed, 0, 2**53)
        within("threshold", threshold, 0.0, 1.0)
        debounce = whole("debounce", debounce, 1, 100_000)
        named = {
            "n_trees": n_trees,
            "height": height,
            "window_size": window_size,
            "seed": seed,
            "threshold": float(threshold),
            "debounce": debounce,
        }
        self._shape, self._seed, self._window = (n_trees, height), seed, window_size
        self._masses = np.zeros((2, n_trees, 2 ** (height + 1) - 1), np.int32)
        self._paths = np.zeros((n_trees, 2**height))  # follow from the masses
        self._counts, self._width = np.zeros(2, np.int64), np.zeros(1, np.int64)
        self._trees = _no_trees()
        arrays = {"masses": self._masses, "counts": self._counts, "width": self._width}
        super().__init__("hst", named, self._scores, arrays, self._replant)

    def _plant(self) -> None:
        """The trees of rows as wide as those before."""
        width = int(self._width[0])
        self._trees = trees(*self._shape, width, self._seed) if width else _no_trees()

    def _replant(self) -> None:
        self._plant()
        kernel.add_up(self._masses, self._window, self._paths)

    def _scores(self, rows: Floats, scores: Floats) -> None:
        rows = rows.reshape(len(rows), -1) if len(rows) else rows.reshape(0, max(rows.ndim - 1, 1))
        if not self._width[0] and len(rows):
            self._width[0] = rows.shape[1]
            self._plant()
        if not len(rows):
            return
        if rows.shape[1] != self._width[0]:
            raise ConfigError(
                f"rows of {rows.shape[1]} columns after rows of {self._width[0]}",
                key="values",
                fix="one detector for each set of columns",
            )
        masses, paths, counts = self._masses, self._paths, self._counts
        kernel.score(rows, self._window, *self._trees, masses, paths, counts, scores)


def _no_trees() -> tuple[NDArray[np.int32], Floats]:
    return np.zeros((0, 0), np.int32), np.zeros((0, 0))


def trees(n: int, height: int, columns: int, seed: int) -> tuple[NDArray[np.int32], Floats]:
    """Column and threshold of each inner node of `n` complete trees, [n, 2^height − 1] each."""
    generator = np.random.default_rng(seed)
    inner = 2**height - 1
    features, splits = np.zeros((n, inner), np.int32), np.zeros((n, inner))
    for tree in range(n):
        lows, highs = np.zeros((2 * inner + 1, columns)), np.ones((2 * inner + 1, columns))
        for node in range(inner):
            low, high = lows[node], highs[node]
            share = np.cumsum(high - low)
            column = int(np.searchsorted(share, generator.random() * share[-1], side="right"))
            column = min(column, columns - 1)
            left, right = low[column], high[column]
            split = left + (right - left) * (PADDING + (1 - 2 * PADDING) * generator.random())
            features[tree, node], splits[tree, node] = column, split
            for child in (2 * node + 1, 2 * node + 2):
                lows[child], highs[child] = low, high
            highs[2 * node + 1, column] = lows[2 * node + 2, column] = split
    return features, splits
