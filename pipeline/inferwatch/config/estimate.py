"""What a definition will hold in memory and on the state topic: measured bytes times counts.

Bytes were measured on checkpoints of 500-row panes, those in memory on processes. The estimate is
an upper bound for steady traffic: fewer segments, versions or labels take less.
"""

import math
from collections.abc import Sequence

import msgspec

from inferwatch.core import places
from inferwatch.core import plan as plans
from inferwatch.core.anomaly import SERIES_METHODS, by_hour, kept
from inferwatch.core.drift import WINDOW_METHODS, state_bytes
from inferwatch.core.inspections import WAIT_MS, WAITING_MAX
from inferwatch.core.inspectors import FEATURES, FIGURES
from inferwatch.core.judge import P99_KEPT
from inferwatch.core.metrics import LABEL_METRICS
from inferwatch.core.online import CLASS_STREAMS_MAX
from inferwatch.core.past import APART, KEPT_MAX
from inferwatch.core.plan import WindowPlan
from inferwatch.core.recent import PIECES
from inferwatch.core.sketches import row_sample
from inferwatch.errors import ConfigError
from inferwatch.records.definition import Check, Definition
from inferwatch.telemetry.catalogue import LATENCIES_S
from inferwatch.telemetry.models import FEATURES_MAX, VERSIONS_MAX

PANE_BYTES = 3_950  # 450 of them samples of the serving processes
FEATURE_BYTES = 1_200
SEGMENT_BYTES = 1_700
CLOSED_BYTES = 3_500
CLOSED_SEGMENT_BYTES = 1_500
LABEL_CELL_BYTES = 4_000
REFERENCE_FEATURE_BYTES = 1_700
SAMPLED_ROW_BYTES = 16  # and 4 a feature
PAST_BYTES = 4 * 100 * (KEPT_MAX + APART)  # 100 figures a window: all that are listed
FIGURE_BYTES = 9
HOUR_BYTES = 14  # a figure and its hour
COUNTER_BYTES = 50  # of a segment value of 20 characters, in a checkpoint
COUNTER_MEMORY_BYTES = 250  # beside that
KEY_BYTES = 50  # whose detector or past it is
ROW_BYTES = 68  # an id of 20 characters and the columns of the join
QUERY_BYTES = 24  # of a ranking more: its query and a number as its label
WORKER_BYTES = 300_000_000  # a process that is ready, without any model
MODEL_MEMORY_BYTES = 100_000
REFERENCE_FEATURE_MEMORY_BYTES = 18_000  # edges and counts as numbers of Python, look-up tables
DETECTOR_MEMORY_BYTES = 6_000  # beside twice its checkpoint: work arrays of half-space trees
LEARNT_COLUMNS = 10  # of 4 bytes, beside the features
CLOSED_MAX = 50_000
SERIES_A_MODEL = 4  # rows, watermark, newest event, share joined
SERIES_A_WINDOW = 14  # coverage and age of what labels say, five shares, seven of processes
SERIES_A_LATENCY = len(LATENCIES_S) + 3  # buckets, the one without end, count, sum


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected of one model: its traffic and its width."""

    rows_per_s: float = 10.0
    features: int = 20
    segments: int = 10
    versions: int = 2


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of one model by what they are for; `closed` windows wait for labels, all versions.

    `panes_bytes` has the samples of windows that wait for inspectors and the counters of segment
    values too, `detectors_bytes` the past figures of anomaly checks. `memory_bytes` is what all of
    it takes in a worker, at most: beside the state indexes of the join, references ready for
    counting, and, while a reference is learnt, its rows, three times when it is complete.
    """

    panes: int
    panes_bytes: int
    closed: int
    closed_bytes: int
    pending_bytes: int
    sampled: float
    reference_bytes: int
    detectors_bytes: int
    windows_per_hour: float
    series: int
    memory_bytes: int = 0

    def total_bytes(self) -> int:
        """All of it."""
        return (
            self.panes_bytes
            + self.closed_bytes
            + self.pending_bytes
            + self.reference_bytes
            + self.detectors_bytes
        )


def of(definition: Definition, load: Load) -> Estimate:
    """The estimate for one model under this load."""
    plan = plans.make(definition)
    segments = _segments(definition, load)
    versions = load.versions
    panes = {one.window.name: versions * _open_panes(one) for one in plan.windows}
    closed = {one.window.name: versions * _closed(one, definition, load) for one in plan.windows}
    wanted_bytes = _pending_bytes(definition, load)
    pending_bytes = min(wanted_bytes, definition.model.pending_max_bytes)
    found = Estimate(
        panes=sum(panes.values()),
        panes_bytes=sum(
            panes[one.window.name] * _pane_bytes(one, load, segments) for one in plan.windows
        )
        + _waiting_bytes(plan.windows, load)
        + _counters(definition, load) * COUNTER_BYTES,
        closed=sum(closed.values()),
        closed_bytes=sum(closed.values())
        * (CLOSED_BYTES + LABEL_CELL_BYTES + segments * (CLOSED_SEGMENT_BYTES + LABEL_CELL_BYTES)),
        pending_bytes=pending_bytes,
        sampled=1.0 if wanted_bytes <= pending_bytes else pending_bytes / wanted_bytes,
        reference_bytes=versions
        * (
            _reference_bytes(definition, load)
            + _sample_bytes(load) * any(one.sampled for one in plan.windows)
        ),
        detectors_bytes=versions
        * (
            sum(_detector_bytes(one, definition, load) for one in plan.row_checks)
            + sum(_past_bytes(one, segments) for one in plan.windows)
        ),
        windows_per_hour=versions
        * (1 + segments)
        * sum(_closings_a_second(one, load) * 3_600 for one in plan.windows),
        series=_series(definition, load),
    )
    return msgspec.structs.replace(found, memory_bytes=_memory_bytes(found, definition, load))


def _memory_bytes(found: Estimate, definition: Definition, load: Load) -> int:
    """Of a process, beside `WORKER_BYTES`."""
    reference = definition.reference
    learnt = 0
    if reference.profile is None:
        rows = reference.min_rows * (2 if reference.min_span_ms else 1)
        learnt = 3 * rows * 4 * (load.features + LEARNT_COLUMNS)
    ready = load.features * REFERENCE_FEATURE_MEMORY_BYTES
    checks = plans.make(definition).row_checks
    live = load.versions * sum(_detectors(one, definition, load) for one in checks)
    detectors = 2 * found.detectors_bytes + live * DETECTOR_MEMORY_BYTES
    state = found.panes_bytes + found.closed_bytes + 2 * found.pending_bytes + found.reference_bytes
    counters = _counters(definition, load) * COUNTER_MEMORY_BYTES
    return MODEL_MEMORY_BYTES + state + counters + detectors + load.versions * (learnt + ready)


def partitions_for(models: int, models_max: int) -> int:
    """Partitions among which so many models find a place when each takes `models_max`.

    Names are placed by a hash, so some partitions get more than their share: the mean and four
    standard deviations of a Poisson count must fit. At least 1; both numbers are positive.
    """
    if models <= models_max:
        return 1
    share = (math.sqrt(4 + models_max) - 2) ** 2
    return math.ceil(models / share)


def check(definition: Definition) -> None:
    """Refuse what no worker could hold, with the figure.

    :raises ConfigError: more windows would wait for labels than a checkpoint can name.
    """
    load = Load(versions=1)
    for one in plans.make(definition).windows:
        if not one.pane_ms:
            continue
        closed = _closed(one, definition, load)
        if closed > CLOSED_MAX:
            mebibytes = closed * (CLOSED_BYTES + LABEL_CELL_BYTES) >> 20
            raise ConfigError(
                f"{closed:,} windows '{one.window.name}' would wait for labels, about "
                f"{mebibytes:,} MiB a model and version",
                key="model.label_horizon",
                fix=f"at most {CLOSED_MAX:,}: a shorter horizon, or longer windows for labels",
            )


def _reference_bytes(definition: Definition, load: Load) -> int:
    """The reference of one version, and where it moves along the pieces it is made of."""
    pieces = PIECES + 1 if definition.reference.last_ms else 0
    piece_bytes = PANE_BYTES + load.features * FEATURE_BYTES
    return load.features * REFERENCE_FEATURE_BYTES + pieces * piece_bytes


def _segments(definition: Definition, load: Load) -> int:
    """As many as find a place, as many that had one before, and the rest."""
    most = len(definition.model.segments) * (2 * definition.model.segments_max + 1)
    return min(load.segments, most)


def _counters(definition: Definition, load: Load) -> int:
    """Those of segment columns that may have more values than places."""
    facts = definition.model
    full = load.segments > facts.segments_max
    return len(facts.segments) * facts.segments_max * places.COUNTERS * full


def _open_panes(one: WindowPlan) -> int:
    if not one.pane_ms:
        return 1
    return (one.window.size_ms + one.window.grace_ms) // one.pane_ms + 1


def _pane_bytes(one: WindowPlan, load: Load, segments: int) -> int:
    width = load.features * FEATURE_BYTES
    sampled = int(_sample_bytes(load) * (1 + 1 / row_sample.SPARE)) * one.sampled
    return PANE_BYTES + sampled + width + segments * (SEGMENT_BYTES + width * one.segment_features)


def _sample_bytes(load: Load) -> int:
    return row_sample.size(load.features) * (SAMPLED_ROW_BYTES + 4 * load.features)


def _waiting_bytes(windows: Sequence[WindowPlan], load: Load) -> int:
    """Windows that wait for inspectors, if none ever answers."""
    waiting = {FEATURES: 0, FIGURES: 0}
    for one in windows:
        closings = 1 + int(_closings_a_second(one, load) * WAIT_MS / 1_000)
        for metric, _ in one.inspectors:
            waiting[metric] += load.versions * closings
    rows, figures = (min(WAITING_MAX, waiting[metric]) for metric in (FEATURES, FIGURES))
    return (
        rows * _sample_bytes(load)
        + figures * PAST_BYTES
        + min(WAITING_MAX, rows + figures) * CLOSED_SEGMENT_BYTES
    )


def _closings_a_second(one: WindowPlan, load: Load) -> float:
    if not one.pane_ms:
        return load.rows_per_s / one.window.rows
    return 1_000 / (one.window.step_ms or one.window.size_ms)


def _closed(one: WindowPlan, definition: Definition, load: Load) -> int:
    """Windows of one version that still take labels."""
    if not one.reads_labels:
        return 0
    horizon_s = definition.model.label_horizon_ms / 1_000
    return int(horizon_s * _closings_a_second(one, load)) + 1


def _pending_bytes(definition: Definition, load: Load) -> int:
    row_bytes = ROW_BYTES + 4 * len(definition.model.segments)
    row_bytes += QUERY_BYTES * (definition.model.task == "ranking")
    return int(load.rows_per_s * definition.model.label_horizon_ms / 1_000 * row_bytes)


def _series(definition: Definition, load: Load) -> int:
    """Metric series of one model, as docs/metrics.md has them; those of labels by the task."""
    checks = definition.checks
    methods = {"psi"} | {one.method for one in checks if one.method in WINDOW_METHODS}
    labels = sum(definition.model.task in one.tasks for one in LABEL_METRICS.values())
    features = min(load.features, FEATURES_MAX + 1)
    a_window = SERIES_A_WINDOW + labels + len(methods) * features
    a_version = SERIES_A_LATENCY + len(definition.windows) * a_window
    levels = sum(max(1, (one.warn is not None) + (one.fail is not None)) for one in checks)
    return SERIES_A_MODEL + 2 * levels + min(load.versions, VERSIONS_MAX) * a_version


def _detectors(check: Check, definition: Definition, load: Load) -> int:
    """Detectors that a check keeps for each version; of errors one a true class."""
    classes = CLASS_STREAMS_MAX + 1 if definition.model.task == "multiclass" else 2
    return {"feature.*": load.features, "error": classes}.get(check.metric, 1)


def _detector_bytes(check: Check, definition: Definition, load: Load) -> int:
    """What the detectors of a check take for each version in a checkpoint."""
    bytes_each = state_bytes(check.method, check.params) + KEY_BYTES
    return _detectors(check, definition, load) * bytes_each


def _past_bytes(one: WindowPlan, segments: int) -> int:
    """The past figures of one version that anomaly checks, inspectors and alerts read."""
    found = (1 + segments) * (P99_KEPT * FIGURE_BYTES + KEY_BYTES)
    found += PAST_BYTES * one.keeps_figures
    for check in one.checks:
        if check.method in SERIES_METHODS:
            figure_bytes = HOUR_BYTES if by_hour(check.method) else FIGURE_BYTES
            cut = segments if check.segment_by else 1
            found += cut * (kept(check) * figure_bytes + KEY_BYTES)
    return found
