"""What a check sees in a closed window, and how bad it is. No state: `alerts` remembers."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from inferwatch.core import anomaly, resources
from inferwatch.core.anomaly import SERIES_METHODS
from inferwatch.core.drift import EMBEDDING_METHODS, WINDOW_METHODS
from inferwatch.core.drift.columns import Drift
from inferwatch.core.embeddings import DISTANCE
from inferwatch.core.figure import Figure
from inferwatch.core.figures import LEARNING, drift_share
from inferwatch.core.inspectors import INSPECTORS
from inferwatch.core.metrics import LATENESS, class_of, of_every_class, on_labels, on_reference
from inferwatch.core.parts import PARTS
from inferwatch.core.plan import WindowPlan, coverage_needed
from inferwatch.records.definition import Check, Limit, Profile
from inferwatch.records.events import Inspection
from inferwatch.records.outputs import FeatureFigures, SchemaChange, Span, percent

Level = Literal["fail", "warn", "ok", "unknown", "learning"]
NOT_OF_ROWS = {
    "captured",
    "drift_share",
    *resources.SHARES,
    *resources.AMOUNTS,
    *resources.DURATIONS,
}
"""Figures of samples, counters and features: how many of those there are says nothing of rows."""


class View(msgspec.Struct):
    """One closed window of one version and segment, as checks read it.

    `baseline` holds the reference's own figures for this segment (empty while unknown); `learning`
    is true until there is a reference. `series` are past figures by metric, `hours` those of one
    window an hour, and `utc_offsets` says what the model's clock shows. `behind_ms` is how old the
    model's newest event was by the log's time: it depends on when rows arrived, so it is no figure
    of the window's rows and not published with them. `inspection` is what the checks of
    an inspector read. `lost` is what the window may lack, `instances` the serving processes that
    figures of resources are of, as its record says it. `calibrated` says whether estimates stand
    on scores that the reference's labels calibrated, None without estimates. `words` are the rows
    of each word, by category, while the window closes.
    """

    plan: WindowPlan
    version: str
    span: Span
    segment: str
    rows: int
    labels: int
    coverage: float | None
    metrics: Mapping[str, Figure]
    features: Mapping[str, FeatureFigures]
    drifts: Mapping[str, Drift]
    profile: Profile | None
    baseline: Mapping[str, float]
    learning: bool
    series: Mapping[str, list[float]]
    end_ms: int
    began_ms: int
    first_offset: int
    behind_ms: int | None = None
    inspection: Inspection | None = None
    hours: Mapping[str, dict[int, float]] = {}
    utc_offsets: anomaly.Offsets = ()
    schema: Mapping[str, SchemaChange] = {}
    lost: Mapping[str, int] = {}
    instances: Mapping[str, str] = {}
    calibrated: bool | None = None
    words: Mapping[str, Mapping[str, int]] = {}


class Reading(msgspec.Struct, frozen=True):
    """The figure that a check compares, with what it is compared to.

    `peak` is false for a score that may go on what has begun, but begins nothing. `unsure` is half
    the interval about the distance of the two: what of it is not sure begins nothing either.
    """

    value: float | None
    reference: float | None = None
    unknown: str = ""
    learning: bool = False
    peak: bool = True
    unsure: float = 0.0


def targets(check: Check, view: View) -> list[str]:
    """What of its wildcard the check speaks of, each with an alert of its own; [""] without one.

    Features by their names, classes as `class.cat`.
    """
    if of_every_class(check.metric):
        return _classes(check.metric, view)
    if not check.metric.startswith("feature."):
        return [""]
    name = feature_of(check.metric)
    if name != "*":
        return [name]
    known = view.profile
    names = view.features if known is None else {**known.numeric, **known.categories}
    return sorted(names)


def _classes(metric: str, view: View) -> list[str]:
    """The classes that have the figure of `metric` in this window, known or not."""
    figure = metric.removeprefix("class.*")
    named = [name for name in view.metrics if class_of(name) and name.endswith(figure)]
    return sorted(name.removesuffix(figure) for name in named)


def feature_of(metric: str) -> str:
    """ "amount" of `feature.amount` and of `feature.amount.missing`."""
    name = metric.removeprefix("feature.")
    return name.rsplit(".", 1)[0] if part_of(metric) else name


def part_of(metric: str) -> str:
    """ "missing" of `feature.amount.missing`, "" of `feature.amount`."""
    last = metric.rsplit(".", 1)[-1]
    return last if metric.count(".") > 1 and last in PARTS else ""


def read(check: Check, feature: str, view: View) -> Reading:
    """The figure of `check` in this window, or why there is none."""
    blind = _blind(check, view)
    if blind:
        return Reading(None, unknown=blind)
    if check.method in INSPECTORS:
        return _inspection(view)
    if check.metric == "drift_share" and check.method not in SERIES_METHODS:
        return _drift_share(check, view)
    if check.method in WINDOW_METHODS:
        return _drift(check, feature, view)
    if check.method in EMBEDDING_METHODS:
        return _embedding(check, view)
    if check.method in SERIES_METHODS:
        return _anomaly(check, view)
    if part_of(check.metric):
        return _feature_part(check, feature, view)
    metric = check.metric
    if of_every_class(metric):
        metric = metric.replace("class.*", feature, 1)
    if metric == "freshness" and view.behind_ms is not None:
        figure = Figure(float(view.behind_ms), view.rows)
    else:
        figure = view.metrics.get(metric, Figure(None, unknown="not measured"))
    figure = _of_enough(check, figure)
    reference = view.baseline.get(on_reference(metric))
    if figure.value is None:
        return Reading(None, reference, figure.unknown)
    if _needs_reference(check) and reference is None:
        why = LEARNING if view.learning else "no reference"
        return Reading(None, unknown=why, learning=view.learning)
    return Reading(figure.value, reference)


def _needs_reference(check: Check) -> bool:
    limits = [limit for limit in (check.warn, check.fail) if limit is not None]
    return not check.versus and any(limit.direction in ("drop", "rise") for limit in limits)


def _blind(check: Check, view: View) -> str:
    if view.rows < check.need.rows:
        return f"{view.rows} rows of {check.need.rows}"
    if not on_labels(check.metric):
        return ""
    if view.labels < check.need.labels:
        return f"{view.labels} labels of {check.need.labels}"
    least = check.need.coverage if check.metric in LATENESS else coverage_needed(check)
    if (view.coverage or 0.0) < least:  # how late labels are is told by those that came
        return f"coverage {percent(view.coverage or 0.0)}"
    return ""


def _of_enough(check: Check, figure: Figure) -> Figure:
    """The figure, unknown where it is of fewer values than the check asks for rows: a column may be
    empty in most rows of a window.
    """
    apart = check.metric in NOT_OF_ROWS or on_labels(check.metric)
    if apart or figure.value is None or figure.n >= check.need.rows:
        return figure
    return Figure(None, figure.n, unknown=f"{figure.n} values of {check.need.rows}")


def _drift_share(check: Check, view: View) -> Reading:
    if view.learning:
        return Reading(None, unknown=LEARNING, learning=True)
    method = check.method if check.method in WINDOW_METHODS else "psi"
    figure = drift_share(view.drifts, method, check.params.get(method), check.need.rows)
    return Reading(figure.value, unknown=figure.unknown)


def _drift(check: Check, feature: str, view: View) -> Reading:
    if view.learning:
        return Reading(None, unknown=LEARNING, learning=True)
    drift = view.drifts.get(f"feature.{feature}" if feature else check.metric)
    if drift is None:
        return Reading(None, unknown="not in the reference or not sent")
    figure = _of_enough(check, drift.by(check.method))
    return Reading(figure.value, unknown=figure.unknown)


def _embedding(check: Check, view: View) -> Reading:
    figure = _of_enough(check, view.metrics.get(DISTANCE, Figure(None, unknown="no embeddings")))
    return Reading(figure.value, unknown=figure.unknown, learning=figure.unknown == LEARNING)


def _anomaly(check: Check, view: View) -> Reading:
    found = view.metrics.get(check.metric, Figure(None, unknown="not measured"))
    figure = _of_enough(check, found)
    if figure.value is None:
        return Reading(None, unknown=figure.unknown)
    score = anomaly.score(check.method, check.params, past(check, view), figure.value)
    return Reading(score.value, unknown=score.unknown, peak=score.peak)


def past(check: Check, view: View) -> Sequence[float] | anomaly.Floats:
    """The figures of earlier windows that the check holds this one against."""
    if not anomaly.by_hour(check.method):
        return view.series.get(check.metric, [])
    hours = view.hours.get(check.metric, {})
    return anomaly.hourly(hours, view.began_ms, view.utc_offsets, anomaly.kept(check))


def _inspection(view: View) -> Reading:
    found = view.inspection
    if found is None:
        return Reading(None, unknown="not inspected")
    return Reading(found.value, unknown=found.unknown, learning=found.unknown == LEARNING)


def _feature_part(check: Check, feature: str, view: View) -> Reading:
    part = part_of(check.metric)
    seen = view.features.get(feature)
    if seen is None:
        return Reading(None, unknown="not sent")
    if PARTS[part].compares and view.learning:
        return Reading(None, unknown=LEARNING, learning=True)
    column = None if view.profile is None else view.profile.column(feature)
    figure, reference = PARTS[part].read(seen, column)
    figure = _of_enough(check, figure)
    return Reading(figure.value, reference, figure.unknown)


def measure(limit: Limit, reading: Reading, unsure: float = 0.0) -> float | None:
    """The figure in the limit's own measure: itself, or its distance from the reference, of which
    so much is `unsure`.

    A rise by a share is past value − (1 + share)·reference = 0, whose interval is at most 1 + share
    times as wide as that of the distance.
    """
    if reading.value is None or limit.direction in ("above", "below"):
        return reading.value
    if reading.reference is None:
        return None
    distance = reading.reference - reading.value
    if limit.direction == "rise":
        distance = -distance
        unsure *= 1 + limit.value if limit.relative else 1
    distance -= unsure
    if not limit.relative:
        return distance
    return distance / abs(reading.reference) if reading.reference else None


def passed(limit: Limit | None, reading: Reading, *, firing: bool) -> bool:
    """Whether the figure is surely past the limit, or, once `firing`, not back behind `clear`."""
    if limit is None:
        return False
    value = measure(limit, reading, 0.0 if firing else reading.unsure)
    if value is None:
        return False
    edge = limit.clear if firing else limit.value
    return value < edge if limit.direction == "below" else value > edge


def level(check: Check, reading: Reading, firing: str, *, failing: bool = True) -> Level:
    """How bad the reading is; `firing` is the severity that fires now, or "".

    :param failing: whether the window before was bad; what is no peak then begins nothing.
    """
    if reading.value is None:
        return "learning" if reading.learning else "unknown"
    limits = [limit for limit in (check.warn, check.fail) if limit is not None]
    if limits and all(measure(limit, reading) is None for limit in limits):
        return "unknown"
    if not (reading.peak or failing):
        return "ok"
    if passed(check.fail, reading, firing=firing == "critical"):
        return "fail"
    if passed(check.warn, reading, firing=firing in ("critical", "warning")):
        return "warn"
    return "ok"


def blind(level: Level, reading: Reading) -> str:
    """Why the level is none, "" where it is one."""
    if level not in ("unknown", "learning"):
        return ""
    return reading.unknown or "no figure of the reference to compare with"


def limit_value(check: Check, severity: str, reading: Reading) -> float | None:
    """The limit in the figure's own units, for people: 0.76 for a drop of 5 % from 0.80."""
    limit = check.fail if severity == "critical" and check.fail else (check.warn or check.fail)
    if limit is None:
        return None
    if limit.direction in ("above", "below"):
        return limit.value
    if reading.reference is None:
        return None
    distance = limit.value * abs(reading.reference) if limit.relative else limit.value
    return reading.reference + (distance if limit.direction == "rise" else -distance)
