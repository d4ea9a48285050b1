"""What a definition will hold in memory and on the state topic: measured bytes times counts.

Bytes were measured on checkpoints of 500-row panes, those in memory on processes. The estimate is
an upper bound for steady traffic: fewer segments, versions or labels take less.
"""

import math
from collections.abc import Sequence

import msgspec

from inferwatch.core import embeddings, error_rows, llm, places, stability
from inferwatch.core import plan as plans
from inferwatch.core.anomaly import SERIES_METHODS, by_hour, kept
from inferwatch.core.columns import SCORES_MAX
from inferwatch.core.directions import DIRECTIONS
from inferwatch.core.drift import WINDOW_METHODS, state_bytes
from inferwatch.core.inspections import WAIT_MS, WAITING_MAX
from inferwatch.core.inspectors import FEATURES, FIGURES, panes_of
from inferwatch.core.metrics import CLASS_FIGURES, CLASSES_SHOWN, ERRORS, LABEL_METRICS, on_labels
from inferwatch.core.metrics.estimated import ESTIMATES
from inferwatch.core.online import CLASS_STREAMS_MAX
from inferwatch.core.past import APART, KEPT_MAX
from inferwatch.core.plan import P99_KEPT, WindowPlan
from inferwatch.core.recent import PIECES
from inferwatch.core.sketches import row_sample, score_labels
from inferwatch.errors import ConfigError
from inferwatch.records.definition import Check, Definition
from inferwatch.telemetry.catalogue import LATENCIES_S
from inferwatch.telemetry.models import FEATURES_MAX, VERSIONS_MAX

PANE_BYTES = 4_720  # 450 of them samples of the serving processes
FEATURE_BYTES = 1_460
SEGMENT_BYTES = 2_470
DECIDED_BYTES = 4_200  # scores by answer, in a cell
CLOSED_BYTES = 3_500
CLOSED_SEGMENT_BYTES = 1_500
LABEL_CELL_BYTES = 4_300  # and those of pairs of classes
LABEL_BIN_BYTES = 16  # of scores, by label
PAIR_BYTES = 8  # of a true class and an answer
JUDGED_BYTES = 12_500  # scores by answer, of all rows, of right and of wrong ones
CLASS_BYTES = 21  # a name of 20 characters
CLASS_FIGURE_BYTES = 90  # in the record of all rows, with its interval
REFERENCE_FEATURE_BYTES = 1_700
CATEGORY_BYTES = 26_000  # 1,000 words of 20 characters, their counts, a sketch of those beyond
CATEGORY_MEMORY_BYTES = 180_000  # beside that: words and counts as objects of Python
CALLS_BYTES = 1_200  # of language models, in a cell, and their histograms
CALLS_FIGURES_BYTES = 1_300  # in a window's record
BIN_BYTES = 12
BINS = 400  # of a histogram of delays or calls: twelve octaves
ENTITIES_BYTES = 58_000
ENTITIES_FIGURES_BYTES = 150  # in the record of all rows
SAMPLED_ROW_BYTES = 16  # and 4 a feature
PAST_FIGURES = 110  # a window, all that are listed; and those of single classes
FIGURE_BYTES = 9
HOUR_BYTES = 14  # a figure and its hour
COUNTER_BYTES = 50  # of a segment value of 20 characters, in a checkpoint
COUNTER_MEMORY_BYTES = 250  # beside that
COLUMN_BYTES = 50  # a feature that half-space trees look at
SIDE_BYTES = 6_600  # of a check that compares versions: a week of hours and the sums
ROUND_BYTES = 45  # a window of it that waits for its labels
KEY_BYTES = 50  # whose detector or past it is
ROW_BYTES = 75  # an id of 20 characters, the columns of the join and the label
QUERY_BYTES = 24  # of a ranking more: its query and a number as its label
VALUE_BYTES = 16  # of a regression more: answer and truth
WORKER_BYTES = 300_000_000  # a process that is ready, without any model
MODEL_MEMORY_BYTES = 100_000
REFERENCE_FEATURE_MEMORY_BYTES = 18_000  # edges and counts as numbers of Python, look-up tables
DIRECTION_MEMORY_BYTES = 8  # of each of its numbers, ready for use
DETECTOR_MEMORY_BYTES = 6_000  # beside twice its checkpoint: work arrays of half-space trees
LEARNT_COLUMNS = 10  # of 4 bytes, beside the features
CLOSED_MAX = 50_000
SERIES_A_MODEL = 4  # rows, watermark, newest event, share joined
SERIES_A_WINDOW = 14  # coverage and age of what labels say, five shares, seven of processes
SERIES_A_CALL = len((*llm.SHARES, *llm.DURATIONS, *llm.AMOUNTS))
SERIES_AN_ENTITY = len((*stability.SHARES, *stability.AMOUNTS))
SERIES_AN_EMBEDDING = len((*embeddings.SHARES, *embeddings.AMOUNTS))
SERIES_A_LATENCY = len(LATENCIES_S) + 3  # buckets, the one without end, count, sum


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected of one model: its traffic and its width.

    `classes` count where the task is multiclass, each with a score; `categories` are those features
    that have more words than a pane keeps. `entities` and `llm`: whether its rows have them;
    `embedding` are the numbers of each row's, 0 without.
    """

    rows_per_s: float = 10.0
    features: int = 20
    segments: int = 10
    versions: int = 2
    classes: int = 10
    categories: int = 0
    entities: bool = False
    llm: bool = False
    embedding: int = 0

    def columns(self) -> int:
        """Numbers that are counted by bins: features, and embeddings along each direction."""
        return self.features + DIRECTIONS * bool(self.embedding)


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of one model by what they are for; `closed` windows wait for labels, all versions.

    `panes_bytes` has the samples of windows that wait for inspectors, the counters of segment
    values and the last answers about entities too, `detectors_bytes` the past figures of anomaly
    checks and rows that wait for their labels, `reference_bytes` the span that it was learnt from.
    `memory_bytes` is what all of it takes in a worker, at most: beside the state indexes of the
    join, references ready for counting, and, while a reference is learnt, its rows, three times
    when it is complete.
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
        + _waiting_bytes(plan.windows, definition, load)
        + _word_cells(definition, load) * CATEGORY_BYTES
        + _counters(definition, load) * COUNTER_BYTES
        + ENTITIES_BYTES * load.entities,
        closed=sum(closed.values()),
        closed_bytes=sum(
            closed[one.window.name]
            * (
                _closed_bytes(_pane_rows(one, load), definition, load, segments, _overlaps(one))
                + (1 + segments) * JUDGED_BYTES * one.corrects
            )
            for one in plan.windows
        ),
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
            + sum(_past_bytes(one, definition, load, segments) for one in plan.windows)
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
        learnt = 3 * rows * 4 * (load.columns() + LEARNT_COLUMNS)
    ready = load.columns() * REFERENCE_FEATURE_MEMORY_BYTES
    ready += load.embedding * DIRECTIONS * DIRECTION_MEMORY_BYTES
    checks = plans.make(definition).row_checks
    live = load.versions * sum(_detectors(one, definition, load) for one in checks)
    detectors = 2 * found.detectors_bytes + live * DETECTOR_MEMORY_BYTES
    state = found.panes_bytes + found.closed_bytes + 2 * found.pending_bytes + found.reference_bytes
    counters = _counters(definition, load) * COUNTER_MEMORY_BYTES
    references = load.versions * (learnt + ready + load.categories * CATEGORY_MEMORY_BYTES)
    words = _word_cells(definition, load) * CATEGORY_MEMORY_BYTES
    return MODEL_MEMORY_BYTES + state + counters + detectors + references + words


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
            rows, overlaps = _pane_rows(one, load), _overlaps(one)
            a_window = _closed_bytes(rows, definition, load, segments=0, overlaps=overlaps)
            mebibytes = closed * a_window >> 20
            raise ConfigError(
                f"{closed:,} windows '{one.window.name}' would wait for labels, about "
                f"{mebibytes:,} MiB a model and version",
                key="model.label_horizon",
                fix=f"at most {CLOSED_MAX:,}: a shorter horizon, or longer windows for labels",
            )


def _reference_bytes(definition: Definition, load: Load) -> int:
    """The reference of one version with the score's, and what it is or was made of.

    That is the span it was learnt from, as a window, and pieces where it moves along.
    """
    asked = definition.reference
    pieces = PIECES + 1 if asked.last_ms else 0
    span = 0
    if asked.profile is None:
        span = _closed_bytes(asked.min_rows, definition, load, _segments(definition, load))
    piece_bytes = PANE_BYTES + load.columns() * FEATURE_BYTES + _calls_bytes(BINS, load)
    columns = (load.columns() + 1) * REFERENCE_FEATURE_BYTES + load.categories * CATEGORY_BYTES
    columns += load.embedding * DIRECTIONS
    return columns + pieces * piece_bytes + span


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
    width = load.columns() * FEATURE_BYTES
    sampled = int(_sample_bytes(load) * (1 + 1 / row_sample.SPARE)) * one.sampled
    calls = _calls_bytes(_pane_rows(one, load), load)
    a_segment = SEGMENT_BYTES + calls + width * one.segment_features
    decided = (1 + segments) * DECIDED_BYTES * bool(one.estimates)
    return PANE_BYTES + sampled + width + calls + segments * a_segment + decided


def _pane_rows(one: WindowPlan, load: Load) -> int:
    return math.ceil(load.rows_per_s * one.pane_ms / 1_000) if one.pane_ms else one.window.rows


def _calls_bytes(rows: int, load: Load) -> int:
    """A cell's calls of language models."""
    return (CALLS_BYTES + len(llm.LOGGED) * BIN_BYTES * min(rows, BINS)) * load.llm


def _word_cells(definition: Definition, load: Load) -> int:
    """How often the words of a category are counted, of all categories."""
    segments = _segments(definition, load)
    cells = (PIECES + 1) * bool(definition.reference.last_ms) + sum(
        _open_panes(one) * (1 + segments * one.segment_features)
        for one in plans.make(definition).windows
    )
    return load.versions * load.categories * cells


def _sample_bytes(load: Load) -> int:
    return row_sample.size(load.features) * (SAMPLED_ROW_BYTES + 4 * load.features)


def _waiting_bytes(windows: Sequence[WindowPlan], definition: Definition, load: Load) -> int:
    """Windows that wait for inspectors, if none ever answers."""
    waiting = {FEATURES: 0, FIGURES: 0, ERRORS: 0}
    for one in windows:
        closings = 1 + int(_closings_a_second(one, load) * WAIT_MS / 1_000)
        for metric, _ in one.inspectors:
            waiting[metric] += load.versions * closings
    rows, figures, errors = (
        min(WAITING_MAX, waiting[metric]) for metric in (FEATURES, FIGURES, ERRORS)
    )
    return (
        (rows + 2 * errors) * _sample_bytes(load)  # those of windows before beside its own
        + figures * _kept_bytes(definition, load)
        + min(WAITING_MAX, rows + figures + errors) * CLOSED_SEGMENT_BYTES
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


def _overlaps(one: WindowPlan) -> bool:
    """Whether a row may be too late for a window and in time for another one."""
    return one.window.step_ms not in (0, one.window.size_ms)


def _closed_bytes(
    rows: int, definition: Definition, load: Load, segments: int, overlaps: bool = False
) -> int:
    """A window of so many rows that waits for labels: its records, and what its labels say; of one
    that overlaps with others those of rows that were too late for it besides.
    """
    classes = _classes(definition, load)
    delays = BIN_BYTES * min(rows, BINS)
    calls = CALLS_FIGURES_BYTES * load.llm
    finer = (definition.model.bins() - score_labels.BINS) * LABEL_BIN_BYTES
    labels = LABEL_CELL_BYTES + finer + classes * (classes * PAIR_BYTES + CLASS_BYTES)
    cell = labels * (1 + overlaps) + calls
    whole = (
        CLOSED_BYTES
        + delays * (1 + overlaps)
        + _class_figures(definition, load) * CLASS_FIGURE_BYTES
    )
    whole += ENTITIES_FIGURES_BYTES * load.entities
    return whole + cell + segments * (CLOSED_SEGMENT_BYTES + cell)


def _classes(definition: Definition, load: Load) -> int:
    return load.classes if definition.model.task == "multiclass" else 0


def _class_figures(definition: Definition, load: Load) -> int:
    """Of single classes, in the record of all rows."""
    return len(CLASS_FIGURES) * min(CLASSES_SHOWN, _classes(definition, load))


def _pending_bytes(definition: Definition, load: Load) -> int:
    task = definition.model.task
    scores = min(_classes(definition, load), SCORES_MAX)
    row_bytes = ROW_BYTES + 4 * (len(definition.model.segments) + scores)
    row_bytes += QUERY_BYTES * (task == "ranking") + VALUE_BYTES * (task == "regression")
    return int(load.rows_per_s * definition.model.label_horizon_ms / 1_000 * row_bytes)


def _series(definition: Definition, load: Load) -> int:
    """Metric series of one model, as docs/metrics.md has them; those of labels by the task."""
    checks = definition.checks
    methods = {"psi"} | {one.method for one in checks if one.method in WINDOW_METHODS}
    labels = sum(definition.model.task in one.tasks for one in LABEL_METRICS.values())
    labels += _class_figures(definition, load)
    features = min(load.features + load.categories, FEATURES_MAX + 1)
    carried = SERIES_A_CALL * load.llm + SERIES_AN_ENTITY * load.entities
    carried += SERIES_AN_EMBEDDING * bool(load.embedding)
    carried += len(ESTIMATES) * any(one.metric in ESTIMATES for one in checks)
    a_window = SERIES_A_WINDOW + labels + carried + len(methods) * features
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
    bytes_each += load.features * COLUMN_BYTES * (check.metric == FEATURES)
    return _detectors(check, definition, load) * bytes_each


def _past_bytes(one: WindowPlan, definition: Definition, load: Load, segments: int) -> int:
    """What is kept of one version's past windows: figures that anomaly checks, inspectors and
    alerts read, and rows that wait for their labels.
    """
    found = (1 + segments) * (P99_KEPT * FIGURE_BYTES + KEY_BYTES) + JUDGED_BYTES * one.corrects
    found += _kept_bytes(definition, load) * one.keeps_figures
    if one.reads_errors:
        wait_s = definition.model.label_wait_ms / 1_000
        windows = min(error_rows.KEPT_MAX, 1 + int(wait_s * _closings_a_second(one, load)))
        seen = _pane_rows(one, load) * panes_of(one.window)
        found += windows * min(_sample_bytes(load), seen * (SAMPLED_ROW_BYTES + 4 * load.features))
        found += _sample_bytes(load) + windows * KEY_BYTES
    for check in one.checks:
        if check.method in SERIES_METHODS:
            figure_bytes = HOUR_BYTES if by_hour(check.method) else FIGURE_BYTES
            cut = segments if check.segment_by else 1
            found += cut * (kept(check) * figure_bytes + KEY_BYTES)
        if check.versus:
            wait_s = definition.model.label_wait_ms / 1_000 * on_labels(check.metric)
            rounds = 1 + int(wait_s * _closings_a_second(one, load))
            found += SIDE_BYTES + KEY_BYTES + rounds * ROUND_BYTES
    return found


def _kept_bytes(definition: Definition, load: Load) -> int:
    """The figures of past windows that inspectors of figures read."""
    return 4 * (PAST_FIGURES + _class_figures(definition, load)) * (KEPT_MAX + APART)
