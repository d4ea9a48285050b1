"""Every method by name: what it finds, needs, keeps and costs, and which parameters it takes.

Those of monitor files (`used` "check") and those of a stream of values (`used` "detector"), for
`inferwatch detect` and `inferwatch.detectors.make`. A name may be of both, with other parameters:
what pages is calmer. Figures and sources are those of docs/methods.md.
"""

import inspect
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from inferwatch import detectors
from inferwatch.config.estimate import FEATURE_BYTES, FIGURE_BYTES, HOUR_BYTES, SAMPLED_ROW_BYTES
from inferwatch.core.anomaly import SERIES_METHODS, by_hour
from inferwatch.core.directions import DIRECTIONS
from inferwatch.core.drift import EMBEDDING_METHODS, ROW_METHODS, WINDOW_METHODS, Way, state_bytes
from inferwatch.core.inspectors import INSPECTORS, ROWS_NEEDED
from inferwatch.core.sketches import row_sample

Per = Literal["value", "window", "column and window"]
WIDTH = 20
"""Features of the model that costs and sizes of inspectors and `hst` speak of."""
COLUMN_NS = 10_000.0


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table.

    `needs` are so many `of` ("values", "rows", "windows", "cycles") before it says anything,
    `cost_ns` is CPU time for each `per`, `state_bytes` what a checkpoint holds of it: for each
    stream, column and pane, series of figures, or pane of a sample of 20 features. `params` are its
    parameters with their defaults.
    """

    name: str
    used: Literal["check", "detector"]
    finds: str
    needs: int
    of: str
    cost_ns: float
    per: Per
    state_bytes: int
    params: dict[str, Any] = {}
    source: str


class Facts(msgspec.Struct, frozen=True):
    """What no code says of a method of monitor files."""

    finds: str
    source: str
    cost_ns: float = COLUMN_NS


ROWS = {
    "adwin": 64,
    "page_hinkley": 30,
    "ddm": 1_001,
    "eddm": 101,
    "hddm_a": 16,
    "hddm_w": 41,
    "kswin": 500,
    "cusum": 1,
    "ewma": 1,
    "hst": 1_314,
}
"""Rows that a check wants at its own parameters; charts of errors and latencies learn first."""
WINDOW = {
    "psi": Facts("shares by group that moved", "Siddiqi 2006"),
    "ks": Facts("a distribution that moved; of words Cramér's V", "Kolmogorov 1933, Smirnov 1948"),
    "chisquare": Facts("words whose shares moved, as Cramér's V; of numbers KS", "Cramér 1946"),
    "jensenshannon": Facts("shares by group that moved", "Lin 1991"),
    "hellinger": Facts("shares by group that moved", "Hellinger 1909"),
    "wasserstein": Facts("how far numbers moved, in standard deviations", "Vaserstein 1969"),
    "total_variation": Facts("share of rows that changed their group", "½ Σ |p − q|"),
    "l_infinity": Facts("the group whose share moved most", "max |p − q|"),
}
EMBEDDINGS = {
    "sliced_wasserstein": Facts("embeddings that lie otherwise", "Rabin et al. 2011", 100_000.0)
}
SERIES = {
    "zscore": Facts("a figure far from the mean of windows before it", "Welford 1962", 30_000.0),
    "mad": Facts("a figure far from their median", "Iglewicz and Hoaglin 1993", 30_000.0),
    "iqr": Facts("a figure outside their middle half", "Tukey 1977", 30_000.0),
    "ewma": Facts("a figure far from their fading mean", "Montgomery 1991", 25_000.0),
    "seasonal": Facts("one unlike the same hour before", "Iglewicz and Hoaglin 1993", 70_000.0),
    "auto": Facts("whatever stands out: the default", "Iglewicz and Hoaglin 1993", 300_000.0),
}
SAMPLES = {
    "isolation_forest": Facts("rows that few cuts set apart", "Liu et al. 2008", 0.3e9),
    "lof": Facts("rows in sparser places than their neighbours", "Breunig et al. 2000", 0.15e9),
    "one_class_svm": Facts("rows outside the reference's border", "Schölkopf et al. 2001", 0.03e9),
    "random_forest": Facts("rows whose columns do not go together", "Shi, Horvath 2006", 0.9e9),
    "domain_classifier": Facts("any change, by which columns", "Lopez-Paz, Oquab 2017", 7e9),
    "error_slice": Facts("rows where errors rose, once labels come", "Klösgen 1996", 0.15e9),
    "correlation": Facts("two columns tied otherwise", "Larntz, Perlman 1985", 0.01e9),
}


def every() -> list[Method]:
    """Those of monitor files, then detectors, ours and those of installed packages, by name.

    Cost: some seconds where kernels are not compiled yet.
    """
    return [
        *sorted(_checks(), key=lambda one: one.name),
        *sorted(_detectors(), key=lambda one: one.name),
    ]


def _checks() -> Iterator[Method]:
    yield _check("value", Facts("a figure past its limit", "none", 0.0), 1, "rows", "window", 0)
    absent = Facts("a model that sends nothing", "none", 0.0)
    yield _check("absent", absent, 1, "rows", "window", 0)
    known = detectors.methods()
    for name, way in ROW_METHODS.items():
        found = known[name].METHOD
        facts = Facts(found.purpose, found.source, found.cost_ns)
        if isinstance(way, Way) and way.rises:
            facts = Facts(f"{found.purpose}; falls too", found.source, 2 * found.cost_ns)
        yield _check(name, facts, ROWS[name], "rows", "value", state_bytes(name, {}), way.PARAMS)
    for name, series in SERIES_METHODS.items():
        params, of = series.PARAMS, "cycles" if by_hour(name) else "windows"
        kept = params["window"] if "window" in params else params["period"] * params["cycles"]
        size = int(kept) * (HOUR_BYTES if by_hour(name) else FIGURE_BYTES)
        yield _check(name, SERIES[name], int(params["past_min"]), of, "window", size, params)
    for name in WINDOW_METHODS:
        yield _check(name, WINDOW[name], 1, "rows", "column and window", FEATURE_BYTES)
    for name in EMBEDDING_METHODS:
        size = DIRECTIONS * FEATURE_BYTES
        yield _check(name, EMBEDDINGS[name], 1, "rows", "window", size)
    sample = row_sample.size(WIDTH) * (SAMPLED_ROW_BYTES + 4 * WIDTH)
    for name in INSPECTORS:
        yield _check(name, SAMPLES[name], ROWS_NEEDED, "rows", "window", sample)


def _check(
    name: str,
    facts: Facts,
    needs: int,
    of: str,
    per: Per,
    size: int,
    params: dict[str, float] | None = None,
) -> Method:
    return Method(
        name=name,
        used="check",
        finds=facts.finds,
        needs=needs,
        of=of,
        cost_ns=facts.cost_ns,
        per=per,
        state_bytes=size,
        params=params or {},
        source=facts.source,
    )


def _detectors() -> Iterator[Method]:
    known = {name: _detector(made) for name, made in detectors.methods().items()}
    yield from known.values()
    for name, (of, finds) in detectors.DEFAULTS.items():
        yield msgspec.structs.replace(known[of], name=name, finds=f"{finds}: `{of}`")


def _detector(made: type[detectors.Detector]) -> Method:
    told = made.METHOD
    return Method(
        name=told.name,
        used="detector",
        finds=told.purpose,
        needs=told.rows_min,
        of="values",
        cost_ns=told.cost_ns,
        per="value",
        state_bytes=told.state_bytes,
        params={
            name: given.default
            for name, given in inspect.signature(made).parameters.items()
            if given.default is not inspect.Parameter.empty
        },
        source=told.source,
    )
