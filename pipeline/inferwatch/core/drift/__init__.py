"""Has the input changed? By window against a reference, and online, row by row.

A row method has `PARAMS` (name to default), `make(scale, params)`, `update_many`, `dump` to a state
that carries its checksum, and `load` of it, which refuses a damaged one. Its lines below make it
known to monitor files, to the fold and to checkpoints.
"""

from collections.abc import Mapping

import msgspec
import numpy as np

from inferwatch import detectors
from inferwatch.core.drift.adwin import Adwin, AdwinState
from inferwatch.core.drift.named import WAYS, Named, NamedState, Way
from inferwatch.core.drift.page_hinkley import PageHinkley, PageHinkleyState
from inferwatch.core.drift.row_anomaly import LEARNT_ROWS, RowAnomaly, RowAnomalyState
from inferwatch.core.drift.scale import ERRORS
from inferwatch.errors import ConfigError

WINDOW_METHODS = {
    "psi": 0.25,
    "ks": 0.2,
    "chisquare": 0.1,
    "jensenshannon": 0.2,
    "hellinger": 0.2,
    "wasserstein": 0.5,
    "total_variation": 0.2,
    "l_infinity": 0.1,
}
"""By name, as Evidently has them: from which size on `drift_share` counts a feature as drifted.

About what a shift by half a standard deviation gives, that of 0.25 for PSI.
"""
EMBEDDING_METHODS = {"sliced_wasserstein": 0.2}
"""Of embeddings, beside which size a change is told."""
NUMBERS_ONLY = frozenset({"wasserstein"})
RowMethod = type[Adwin] | type[PageHinkley] | type[RowAnomaly] | Way
ROW_METHODS: dict[str, RowMethod] = {
    "adwin": Adwin,
    "page_hinkley": PageHinkley,
    **WAYS,
    "hst": RowAnomaly,
}
COLUMNS = ("score", "prediction", "feature")
STREAMS = {
    **dict.fromkeys(("adwin", "page_hinkley", "hddm_a"), ("error", *COLUMNS)),
    **dict.fromkeys(("ddm", "eddm", "hddm_w"), ("error",)),
    **dict.fromkeys(("cusum", "ewma"), ("error", *COLUMNS, "latency")),
    "kswin": (*COLUMNS, "latency"),
    "hst": ("features",),
}
"""What each row method reads; "feature" stands for `feature.NAME` and `feature.*`, "prediction" is
a regression's.
"""
WEIGHTED_ROWS = 64
"""Rows of a block in `mode: weighted`: twice as many as exact ADWIN puts between two looks.

With 64 a small change is found as soon as by the exact one, with 100 a tenth later.
"""
Detector = Adwin | PageHinkley | Named | RowAnomaly
DetectorState = AdwinState | PageHinkleyState | NamedState | RowAnomalyState


def stream_of(metric: str) -> str:
    """The stream of rows that a metric names; one that names none is no key of `STREAMS`."""
    return "feature" if metric.startswith("feature.") else metric


def reads_rows(method: str, metric: str) -> bool:
    """Whether a check reads rows; `ewma` reads windows too, by what it looks at."""
    return stream_of(metric) in STREAMS.get(method, ())


def params_problem(method: str, params: Mapping[str, float]) -> str:
    """What a row method could not work with, "" where it can.

    Cost: that of a detector made and thrown away.
    """
    found = ROW_METHODS[method].PARAMS | dict(params)
    try:
        if method in WAYS:
            WAYS[method].detector(ERRORS, found)
        elif method == "hst":
            RowAnomaly([], found)
        else:
            detectors.make(method, **found)
    except ConfigError as error:
        return f"{error.problem}: {error.fix}"
    return ""


def state_bytes(method: str, params: Mapping[str, float]) -> int:
    """Bytes of a checkpoint that one detector of a check takes, at its most.

    Fresh, it has the size that its parameters ask for; ADWIN's grows to what its table says, and
    half-space trees hold scores while they learn. Cost: that of a detector made and dumped.
    """
    way = ROW_METHODS[method]
    given = way.PARAMS | dict(params)
    if isinstance(way, type) and issubclass(way, RowAnomaly):
        learning = LEARNT_ROWS * np.dtype(np.float64).itemsize
        return len(msgspec.msgpack.encode(way([], given).dump())) + learning
    fresh = len(msgspec.msgpack.encode(way.make(ERRORS, given).dump()))
    return max(fresh, detectors.methods()[method].METHOD.state_bytes)


def load(state: DetectorState) -> Detector:
    """The detector that was dumped.

    :raises ValueError: the state is damaged or of another library version.
    """
    match state:
        case AdwinState():
            return Adwin.load(state)
        case PageHinkleyState():
            return PageHinkley.load(state)
        case NamedState():
            return Named.load(state)
    return RowAnomaly.load(state)
