"""What a definition implies for the fold, worked out once when it takes effect."""

import math
from collections.abc import Iterable

import msgspec

from inferwatch.core import anomaly
from inferwatch.core.anomaly import SERIES_METHODS
from inferwatch.core.drift import reads_rows
from inferwatch.core.inspectors import FEATURES, FIGURES, INSPECTORS
from inferwatch.core.metrics import CORRECTED, ERRORS, class_of, of_every_class, on_labels
from inferwatch.core.metrics.estimated import ESTIMATES
from inferwatch.core.sketches.score_labels import BINS
from inferwatch.records.definition import Check, Definition, Window, digest

COVERAGE_DEFAULT = 0.8
P99, P99_KEPT = "latency.p99", 200


class WindowPlan(msgspec.Struct, frozen=True):
    """One window definition and everything that reads it.

    `pane_ms` is 0 for windows of rows. `coverage` is the share of labels under which its label
    figures are unknown. `digest` is all that its figures depend on. `inspectors` are what
    inspectors read of it, rows or figures, and by which method. `estimates` is the positive class
    where checks read estimated performance, "" elsewhere; `corrects` where they read the accuracy
    that few labels correct.
    """

    window: Window
    pane_ms: int
    reads_labels: bool
    coverage: float
    segment_features: bool
    checks: tuple[Check, ...]
    digest: str
    inspectors: tuple[tuple[str, str], ...] = ()
    estimates: str = ""
    corrects: bool = False

    @property
    def sampled(self) -> bool:
        """Whether its panes keep a sample of rows."""
        return _read_rows(self.inspectors)

    @property
    def reads_errors(self) -> bool:
        """Whether its rows wait for labels, to say where the errors are."""
        return any(metric == ERRORS for metric, _ in self.inspectors)

    @property
    def keeps_figures(self) -> bool:
        """Whether the figures of its windows are kept for later ones."""
        return any(metric == FIGURES for metric, _ in self.inspectors)


class Plan(msgspec.Struct, frozen=True):
    """A definition with its checks sorted by who evaluates them.

    `shortest` is the window of the shortest panes, `soonest` the shortest window, both of time
    where there are any. `classes` are those that checks name, `versus` the checks that compare
    versions, with the window that each reads.
    """

    definition: Definition
    windows: tuple[WindowPlan, ...]
    shortest: WindowPlan | None
    row_checks: tuple[Check, ...]
    absent_checks: tuple[Check, ...]
    classes: tuple[str, ...]
    versus: tuple[tuple[WindowPlan, Check], ...] = ()
    soonest: WindowPlan | None = None


def make(definition: Definition) -> Plan:
    """Sort the checks of `definition` by what they read."""
    by_window: dict[str, list[Check]] = {window.name: [] for window in definition.windows}
    for check in definition.checks:
        if check.window:
            by_window[check.window].append(check)
        elif not reads_rows(check.method, check.metric) and check.method != "absent":
            by_window[definition.windows[0].name].append(check)
    longest = max(definition.windows, key=_extent, default=None)
    windows = tuple(
        _plan(definition, window, by_window[window.name], window is longest)
        for window in definition.windows
    )
    return Plan(
        definition,
        windows,
        min(
            windows,
            key=lambda one: (not one.pane_ms, one.pane_ms, one.window.rows),
            default=None,
        ),
        tuple(check for check in definition.checks if reads_rows(check.method, check.metric)),
        tuple(check for check in definition.checks if check.method == "absent"),
        tuple(
            {
                name: None
                for check in definition.checks
                if (name := class_of(check.metric)) and not of_every_class(check.metric)
            }
        ),
        tuple((one, check) for one in windows for check in one.checks if check.versus),
        min(
            windows,
            key=lambda one: (not one.pane_ms, one.window.size_ms, one.window.rows),
            default=None,
        ),
    )


def _read_rows(inspectors: Iterable[tuple[str, str]]) -> bool:
    """Whether any of them, by metric and method, reads rows of a window."""
    return any(metric in (FEATURES, ERRORS) for metric, _ in inspectors)


def _extent(window: Window) -> tuple[int, int]:
    """Windows of rows last as long as their rows take to come: any of time is taken for longer."""
    return window.size_ms, window.rows


def _plan(definition: Definition, window: Window, checks: list[Check], longest: bool) -> WindowPlan:
    step_ms = window.step_ms or window.size_ms
    labelled = [check for check in checks if on_labels(check.metric)]
    corrects = any(check.metric == CORRECTED for check in labelled)
    covered = [
        coverage_needed(check) for check in labelled if check.metric not in (CORRECTED, ERRORS)
    ]
    coverage = max(covered, default=COVERAGE_DEFAULT)
    facts, reads_labels = definition.model, bool(labelled) or longest
    inspectors = dict.fromkeys(
        (check.metric, check.method) for check in checks if check.method in INSPECTORS
    )
    sampled = _read_rows(inspectors)
    estimates = corrects or any(check.metric in ESTIMATES for check in checks)
    return WindowPlan(
        window=window,
        pane_ms=math.gcd(window.size_ms, step_ms),
        reads_labels=reads_labels,
        coverage=coverage,
        segment_features=any(check.segment_by and _reads_features(check) for check in checks),
        checks=tuple(checks),
        digest=digest(
            [
                window,
                facts.task,
                facts.positive,
                facts.segments,
                facts.segments_max,
                facts.label_horizon_ms,
                facts.restate_every_ms,
                definition.reference,
                coverage,
                reads_labels,
                *(["sampled"] if sampled else []),  # one that was not has no rows to show
                *(["estimates"] if estimates else []),
                *(["corrects"] if corrects else []),
                *([facts.segments_min_rows] if facts.floor_rows() > 1 else []),
                *([f"bins {facts.bins()}"] if facts.bins() != BINS else []),
            ]
        ),
        inspectors=tuple(inspectors),
        estimates=facts.positive if estimates else "",
        corrects=corrects,
    )


def _reads_features(check: Check) -> bool:
    return check.metric.startswith(("feature.", "embedding")) or check.metric == "drift_share"


def coverage_needed(check: Check) -> float:
    """Share of labels a check waits for: its own `when`, or 80 % where it names none.

    A number of labels will do instead, but not of two versions, of which one has it earlier.
    """
    if not on_labels(check.metric) or check.metric == CORRECTED:
        return check.need.coverage
    early = check.need.labels and not check.versus
    return check.need.coverage or (0.0 if early else COVERAGE_DEFAULT)


def applies(check: Check, segment: str) -> bool:
    """Whether the check judges a segment by its name ("country=DE", "" for all rows)."""
    if not check.segment_by:
        return not segment
    return bool(segment) and segment.split("=", 1)[0] in check.segment_by


def past_kept(plan: WindowPlan, segment: str, *, by_hour: bool) -> dict[str, int]:
    """How many figures of past windows, or of hours, are kept of a segment, by metric: those that
    checks on it read; and latencies, which every alert tells.
    """
    found = {} if by_hour else {P99: P99_KEPT}
    for check in plan.checks:
        reads = check.method in SERIES_METHODS and anomaly.by_hour(check.method) == by_hour
        if reads and applies(check, segment):
            found[check.metric] = max(found.get(check.metric, 0), anomaly.kept(check))
    return found
