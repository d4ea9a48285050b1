"""What the fold knows of inspectors: their names, and how it asks one.

An inspector takes longer than the fold may wait, so it runs beside it (`inspect`) and its answer
comes back as an `inspection` record.
"""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.metrics import ERRORS
from inferwatch.core.sketches import row_sample
from inferwatch.records.definition import Window

FEATURES = "features"
FIGURES = "figures"
"""What a check's metric may be: rows of the window, or its own figures."""
INSPECTORS = {
    "isolation_forest": 0.05,
    "lof": 0.05,
    "one_class_svm": 0.05,
    "random_forest": 0.05,
    "domain_classifier": 0.7,
    "correlation": 0.2,
    "error_slice": 0.1,
}
"""Methods by the limit of a check that names none: a share of outliers, which is 0.01 without a
change, an AUC, which is 0.5, the change of a correlation, which is 0, or by how much an error rate
rose more in a slice than elsewhere, which is 0."""
OF_FIGURES = ("isolation_forest", "lof", "one_class_svm", "random_forest")
ERROR_SLICE = "error_slice"
WRONG, MISSED = "wrong", "missed_by"
"""What the first column of a request about errors says of a row: 0 or 1, or of a number by how much
it was missed."""
FIGURES_LIMIT = 0.99
"""That of a check on figures: a share of past windows, above which is one in a hundred."""
ROWS_NEEDED = 200
REFERENCE_MIN = 200
COLUMNS_MAX = row_sample.VALUES_MAX // REFERENCE_MIN
"""Rows of a reference without which none of rows answers, and columns of which its sample has so
many.
"""
PANES_MAX = 60


def metrics_of(method: str) -> tuple[str, ...]:
    """What a check by an inspector may read."""
    if method == ERROR_SLICE:
        return (ERRORS,)
    return (FEATURES, FIGURES) if method in OF_FIGURES else (FEATURES,)


def panes_of(window: Window) -> int:
    """Panes of a window, each of which keeps a sample."""
    step_ms = window.step_ms or window.size_ms
    return window.size_ms // math.gcd(window.size_ms, step_ms) if window.size_ms else 1


def request_id(window: str, method: str, metric: str) -> str:
    """What a request is known by: a window is asked about once by metric and method."""
    return f"{window}-{method}" + (f"-{metric}" if metric != FEATURES else "")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A window's sample and the reference's, each little-endian float32[F, n] of `features`.

    Where `metric` is `figures`, `features` names these, `rows` has those of the window and
    `reference` those of past windows. Where it is `errors` the first column is the error of each
    row, `WRONG` or `MISSED`, and `reference` has rows of windows before.
    """

    model: str
    window: str
    method: str
    metric: str = FEATURES
    features: list[str]
    rows: bytes
    reference: bytes

    def matrix(self, data: bytes) -> NDArray[np.float64]:
        """`rows` or `reference` as float64[n, F]."""
        width = len(self.features)
        flat = np.frombuffer(data, "<f4").astype(np.float64)
        return flat.reshape(width, len(flat) // width if width else 0).T
