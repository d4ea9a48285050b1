"""From what a window holds to the figures that are published and judged."""

import math
from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.cell import LATENCY, SCORE, VALUE, Cell
from inferwatch.core.columns import OTHER, Columns
from inferwatch.core.drift import chi_square, ks, psi, share
from inferwatch.core.figure import Figure
from inferwatch.core.metrics.intervals import wilson
from inferwatch.core.reference import VersionReference
from inferwatch.core.sketches import binned, log_histogram, moments
from inferwatch.records.definition import CategoryProfile, NumericProfile, Profile
from inferwatch.records.outputs import FeatureFigures

QUANTILES = {"latency.p50": 0.5, "latency.p90": 0.9, "latency.p95": 0.95, "latency.p99": 0.99}
PSI_DRIFTED = 0.25
ROWS_MIN = 200
LEARNING = "learning"


class Drift(msgspec.Struct, frozen=True):
    """How far one column is from its reference.

    `statistic` is D for numbers and chi² for words, `effect` D or Cramér's V, `p_value` only ranks.
    """

    psi: Figure
    statistic: Figure
    effect: Figure
    p_value: float | None
    numeric: bool


def rate(part: int, whole: int, why: str) -> Figure:
    """A share with its Wilson interval; unknown where there is nothing to divide by."""
    if not whole:
        return Figure(None, unknown=why)
    low, high = wilson(part, whole)
    return Figure(part / whole, whole, low, high)


def known(value: float, n: int, why: str) -> Figure:
    """`value` as a figure; unknown for NaN."""
    return Figure(value, n) if math.isfinite(value) else Figure(None, n, unknown=why)


def service(cell: Cell, columns: Columns, positive: str) -> dict[str, Figure]:
    """Traffic, errors, latency, scores, resources of a window and segment."""
    mean, variance = moments.mean(cell.answers), moments.variance(cell.answers)
    count = cell.answers.count
    found = {
        "rows": Figure(float(cell.rows), cell.rows),
        "error_rate": rate(cell.failed, cell.rows, "no rows"),
        "captured": rate(max(0, cell.emitted - cell.dropped), cell.emitted, "no counters"),
    }
    if count[LATENCY]:
        found |= {name: log_histogram.quantile(cell.latency, q) for name, q in QUANTILES.items()}
        found["latency.mean"] = known(float(mean[LATENCY]), int(count[LATENCY]), "no latency")
    if count[SCORE]:
        n = int(count[SCORE])
        found["score.mean"] = known(float(mean[SCORE]), n, "no scores")
        found["score.sd"] = known(math.sqrt(max(variance[SCORE], 0.0)), n, "one score")
    if count[VALUE]:
        n = int(count[VALUE])
        found["prediction.mean"] = known(float(mean[VALUE]), n, "no predictions")
        found["prediction.sd"] = known(math.sqrt(max(variance[VALUE], 0.0)), n, "one prediction")
    if columns.task == "binary" and cell.classes:
        code = columns.classes.index(positive) if positive in columns.classes else -1
        found["positive_rate"] = rate(
            cell.classes.get(code, 0), sum(cell.classes.values()), "no predictions"
        )
    for name, gauge in cell.gauges.items():
        found[name] = Figure(gauge.total / gauge.n, gauge.n)
        found[f"{name}.max"] = Figure(gauge.most, gauge.n)
    return found


def drifts(cell: Cell, columns: Columns, reference: VersionReference) -> dict[str, Drift]:
    """Drift of every feature, of "score" and of "prediction", against the reference."""
    profile = reference.profile
    if profile is None or predates(cell, reference):
        return {}
    found: dict[str, Drift] = {}
    if cell.bins is not None and reference.grid is not None:
        kept = _kept(cell, columns, reference)
        for at, name in enumerate(reference.names):
            counts = binned.feature_counts(cell.bins, reference.grid, at)
            found[f"feature.{name}"] = numeric_drift(
                profile.numeric[name], counts, kept.get(name), reference.values.get(name)
            )
    if cell.numeric is not None:
        for name, column in profile.categories.items():
            found[f"feature.{name}"] = category_drift(
                column, cell.words.get(name, {}), cell.wordless.get(name, 0)
            )
    if cell.score_bins is not None and reference.score_grid is not None and profile.score:
        counts = binned.feature_counts(cell.score_bins, reference.score_grid, 0)
        scores = np.concatenate(cell.kept.score) if cell.kept is not None else None
        found["score"] = numeric_drift(profile.score, counts, scores, reference.values.get("score"))
    return found | _prediction(cell, columns, profile)


def predates(cell: Cell, reference: VersionReference) -> bool:
    """Whether rows were counted before the reference was known: part of a window is no window."""
    features = reference.grid is not None and cell.numeric is not None and cell.bins is None
    return features or (reference.score_grid is not None and cell.score_bins is None)


def _kept(
    cell: Cell, columns: Columns, reference: VersionReference
) -> dict[str, NDArray[np.float32]]:
    """Raw columns of an exact window, by feature."""
    if cell.kept is None or not reference.values:
        return {}
    width = len(columns.numeric)
    blocks = [
        np.concatenate([block, np.full((width - len(block), block.shape[1]), np.nan, np.float32)])
        for block in cell.kept.numeric
    ]
    whole = np.concatenate(blocks, axis=1)
    return {name: whole[at] for at, name in enumerate(columns.numeric)}


def _prediction(cell: Cell, columns: Columns, profile: Profile) -> dict[str, Drift]:
    if not isinstance(profile.prediction, CategoryProfile) or not cell.classes:
        return {}
    words = {columns.classes[code]: count for code, count in sorted(cell.classes.items())}
    missing = cell.rows - sum(words.values())
    return {"prediction": category_drift(profile.prediction, words, missing)}


def numeric_drift(
    profile: NumericProfile,
    counts: NDArray[np.int64],
    rows: NDArray[np.floating] | None,
    reference_rows: NDArray[np.floating] | None,
) -> Drift:
    """PSI on ten reference quantiles; KS from rows where they are kept, else from the fine bins."""
    fine = np.array(profile.counts, np.int64)
    edges = np.array(profile.edges, np.float32)
    groups = np.searchsorted(np.array(profile.psi_edges, np.float32), edges, side="left")
    figure = psi.psi(_coarse(fine, groups, profile), _coarse(counts, groups, profile))
    if rows is not None and reference_rows is not None:
        finite = rows[np.isfinite(rows)]
        statistic, p_value = ks.ks_rows(reference_rows, finite)
    else:
        statistic, p_value = ks.ks_bins(fine[:-1], counts[:-1])
    return Drift(figure, statistic, statistic, p_value, numeric=True)


def _coarse(
    counts: NDArray[np.int64], groups: NDArray[np.intp], profile: NumericProfile
) -> NDArray[np.int64]:
    """Fine counts summed to the PSI groups, missing last."""
    place = np.append(groups, len(profile.psi_edges))
    coarse = np.bincount(place, weights=counts[:-1], minlength=len(profile.psi_edges) + 1)
    return np.append(coarse.astype(np.int64), counts[-1])


def category_drift(profile: CategoryProfile, words: Mapping[str, int], missing: int) -> Drift:
    """PSI and chi² on the reference's words, the unseen ones together, and missing."""
    seen = [words.get(word, 0) for word in profile.words]
    unseen = sum(words.values()) - sum(seen)
    reference = np.array([*profile.counts, 0, profile.missing], np.int64)
    current = np.array([*seen, unseen, missing], np.int64)
    statistic, p_value, effect = chi_square.chi_square(reference, current)
    return Drift(psi.psi(reference, current), statistic, effect, p_value, numeric=False)


def drift_share(found: Mapping[str, Drift], limit: float = PSI_DRIFTED) -> Figure:
    """Share of features whose PSI is above `limit`."""
    flags = {
        name: None if drift.psi.value is None else drift.psi.value > limit
        for name, drift in found.items()
        if name.startswith("feature.")
    }
    return share.drift_share(flags)


def features(
    cell: Cell, columns: Columns, reference: VersionReference, found: Mapping[str, Drift]
) -> dict[str, FeatureFigures]:
    """What each feature looked like, with its drift."""
    if cell.numeric is None:
        return {}
    state, profile = cell.numeric, reference.profile
    mean, variance = moments.mean(state), moments.variance(state)
    described = {}
    for at, name in enumerate(columns.numeric[: len(state.count)]):
        n = int(state.count[at])
        described[name] = _with_drift(
            FeatureFigures(
                rows=n,
                missing=int(state.missing[at]),
                non_finite=int(state.non_finite[at]),
                mean=float(mean[at]) if n else None,
                sd=math.sqrt(max(float(variance[at]), 0.0)) if n > 1 else None,
                least=float(state.least[at]) if n else None,
                most=float(state.most[at]) if n else None,
            ),
            found.get(f"feature.{name}"),
        )
    for name in columns.categories:
        words = cell.words.get(name, {})
        reference_words = profile.categories.get(name) if profile else None
        unseen = 0
        if reference_words is not None:
            unseen = sum(
                count
                for word, count in words.items()
                if word not in reference_words.words or word == OTHER
            )
        described[name] = _with_drift(
            FeatureFigures(
                rows=sum(words.values()), missing=cell.wordless.get(name, 0), unseen=unseen
            ),
            found.get(f"feature.{name}"),
        )
    return described


def _with_drift(figures: FeatureFigures, drift: Drift | None) -> FeatureFigures:
    if drift is None:
        return figures
    statistic = drift.statistic.value
    return msgspec.structs.replace(
        figures,
        psi=drift.psi.value,
        ks=statistic if drift.numeric else None,
        chi_square=None if drift.numeric else statistic,
        p_value=drift.p_value,
    )
