"""Whether a definition can be folded by: one may come from the log, where nobody has checked it.

Monitor files are checked line by line (`config`), so what is found here was written by another hand
or damaged. Cost: some microseconds a check.
"""

import itertools
import math
from collections.abc import Container, Iterable, Iterator, Mapping

from inferwatch.core import anomaly, duel
from inferwatch.core.anomaly import SERIES_METHODS
from inferwatch.core.calibration import EFFECTS
from inferwatch.core.columns import OTHER
from inferwatch.core.directions import DIRECTIONS
from inferwatch.core.drift import (
    EMBEDDING_METHODS,
    ROW_METHODS,
    WINDOW_METHODS,
    params_problem,
    reads_rows,
)
from inferwatch.core.inspectors import FEATURES, INSPECTORS, metrics_of, panes_of
from inferwatch.core.inspectors import PANES_MAX as SAMPLED_PANES_MAX
from inferwatch.core.metrics import ERRORS
from inferwatch.core.sketches import score_labels
from inferwatch.records.definition import (
    CategoryProfile,
    Check,
    Definition,
    EmbeddingProfile,
    ModelFacts,
    NumericProfile,
    Profile,
    Reference,
    Window,
)
from inferwatch.records.raw import EMBEDDING_DIM_MAX

WINDOWS_MAX = 16
PANES_MAX = 2_000
CHECKS_MAX = 500
SEGMENT_COLUMNS_MAX = 20
SEGMENTS_MAX = 10_000
ROWS_MAX = 1_000_000
TIMES_MAX = 60
LONGEST_MS = 10 * 366 * 86_400_000
PENDING_MAX_BYTES = 1 << 40
OFFSETS_MAX = 1_000
DAY_MS = 86_400_000
COUNT_MAX = 1 << 53
METHODS = (
    "value",
    "absent",
    *WINDOW_METHODS,
    *EMBEDDING_METHODS,
    *ROW_METHODS,
    *SERIES_METHODS,
    *INSPECTORS,
)


def problem(definition: Definition) -> str:
    """What the fold could not work with, "" where it can."""
    return next(_problems(definition), "")


def _problems(definition: Definition) -> Iterator[str]:
    yield from _facts(definition.model)
    yield from _reference(definition.reference)
    names = [window.name for window in definition.windows]
    if not 1 <= len(names) <= WINDOWS_MAX or len(names) != len(dict.fromkeys(names)):
        yield f"{len(names)} windows: 1 to {WINDOWS_MAX}, each with its own name"
    for window in definition.windows:
        yield from (f"window '{window.name[:80]}' {wrong}" for wrong in _window(window))
    alerts = [check.alert for check in definition.checks]
    if len(alerts) > CHECKS_MAX or len(alerts) != len(dict.fromkeys(alerts)):
        yield f"{len(alerts)} checks: at most {CHECKS_MAX}, each with its own name"
    windows = {window.name: window for window in definition.windows}
    for check in definition.checks:
        found = _of_check(check, windows, definition.model)
        yield from (f"check '{check.alert[:80]}' {wrong}" for wrong in found)


def _facts(facts: ModelFacts) -> Iterator[str]:
    times = (facts.label_delay_ms, facts.label_wait_ms, facts.label_horizon_ms)
    if not all(0 <= time_ms <= LONGEST_MS for time_ms in (*times, facts.restate_every_ms)):
        yield "a time of the labels is negative, or longer than ten years"
    segments = facts.segments
    if len(segments) > SEGMENT_COLUMNS_MAX or len(segments) != len(dict.fromkeys(segments)):
        yield f"{len(segments)} segment columns: at most {SEGMENT_COLUMNS_MAX}, each once"
    yield from filter(None, map(segment_problem, segments))
    if not 1 <= facts.segments_max <= SEGMENTS_MAX:
        yield f"segments_max {facts.segments_max} is not in 1 to {SEGMENTS_MAX}"
    if not 1 <= facts.floor_rows() <= ROWS_MAX:
        yield f"segments_min_rows {facts.floor_rows()} is not in 1 to {ROWS_MAX}"
    grids = (score_labels.BINS, score_labels.FINE_BINS)
    if facts.bins() not in grids:
        yield f"score_bins {facts.bins()} is not one of {grids}"
    since = [since_ms for since_ms, _ in facts.utc_offsets()]
    ahead_ms = [ahead_ms for _, ahead_ms in facts.utc_offsets()]
    ascending = all(early < late for early, late in itertools.pairwise(since))
    if not (
        len(since) <= OFFSETS_MAX
        and ascending
        and _is_time(*since)
        and all(abs(one) <= DAY_MS for one in ahead_ms)
    ):
        yield "the rules of its time zone are damaged"
    if not 1 <= facts.pending_max_bytes <= PENDING_MAX_BYTES:
        yield f"pending_max_bytes {facts.pending_max_bytes} is not in 1 to {PENDING_MAX_BYTES}"


def segment_problem(name: str) -> str:
    """Why rows cannot be cut by a column of this name, "" where they can: windows and profiles name
    its segments `column=value`.
    """
    if "=" in name:
        return f"'{name[:80]}' has a `=`, which parts a segment's column from its value"
    return f"'{name}' stands for values without a place" if name == OTHER else ""


def _reference(reference: Reference) -> Iterator[str]:
    if not 1 <= reference.min_rows <= ROWS_MAX:
        yield f"min_rows {reference.min_rows} is not in 1 to {ROWS_MAX}"
    if not 0 <= reference.last_ms <= LONGEST_MS:
        yield "the reference reaches further back than ten years"
    if not 0 <= reference.min_span_ms <= LONGEST_MS:
        yield "the reference is learnt for longer than ten years"
    if reference.profile is not None:
        wrong = profile_problem(reference.profile)
        if wrong:
            yield wrong


def profile_problem(profile: Profile) -> str:
    """What is wrong with a profile, "" for nothing."""
    if not (0 < profile.rows <= COUNT_MAX and _is_time(profile.from_ms, profile.to_ms)):
        return "the profile's rows or times are out of range"
    columns: list[tuple[str, NumericProfile | CategoryProfile | None]] = [
        *profile.numeric.items(),
        *profile.categories.items(),
        ("score", profile.score),
        ("prediction", profile.prediction),
    ]
    for name, column in columns:
        if column is not None and not _is_sound(column):
            return f"the profile's column '{name[:80]}' is damaged: its bins do not fit"
    if profile.embedding is not None and not _is_whole(profile.embedding):
        return "the profile's embedding is damaged: its directions or bins do not fit"
    if profile.labelled and not (
        [len(counts) for counts in profile.labelled] == [score_labels.BINS] * 2
        and all(map(_counts, profile.labelled))
    ):
        return "the profile's labels by score are damaged"
    figures = (value for found in profile.quality.values() for value in found.values())
    return "" if _finite(figures) else "the profile's quality is not finite"


def _is_time(*times_ms: int) -> bool:
    return all(-LONGEST_MS <= time_ms <= 1_000 * LONGEST_MS for time_ms in times_ms)


def _is_sound(column: NumericProfile | CategoryProfile) -> bool:
    if isinstance(column, CategoryProfile):
        words = dict.fromkeys(column.words)
        counted = len(column.counts) == len(column.words) == len(words)
        return counted and _counts([*column.counts, column.missing])
    figures = (column.mean, column.sd, column.least, column.most, column.low, column.high)
    return (
        len(column.counts) == len(column.edges) + 2
        and _counts(column.counts)
        and _ascending(column.edges)
        and _ascending(column.psi_edges)
        and _finite(figures)
    )


def _is_whole(embedding: EmbeddingProfile) -> bool:
    dim, stored = embedding.dim, embedding.directions
    return (
        1 <= dim <= EMBEDDING_DIM_MAX
        and 1 <= len(embedding.along) <= DIRECTIONS
        and len(stored) == dim * len(embedding.along)
        and all(any(stored[at : at + dim]) for at in range(0, len(stored), dim))
        and all(map(_is_sound, embedding.along))
    )


def _counts(counts: list[int]) -> bool:
    return min(counts) >= 0 and sum(counts) <= COUNT_MAX


def _finite(values: Iterable[float]) -> bool:
    return all(map(math.isfinite, values))


def _ascending(edges: list[float]) -> bool:
    return _finite(edges) and all(low < high for low, high in itertools.pairwise(edges))


def _window(window: Window) -> Iterator[str]:
    if window.rows:
        if not 1 <= window.rows <= ROWS_MAX or window.size_ms or window.step_ms:
            yield f"has {window.rows} rows: 1 to {ROWS_MAX}, and no size"
        return
    step_ms = window.step_ms or window.size_ms
    if not 1_000 <= window.size_ms <= LONGEST_MS or not 1 <= step_ms <= window.size_ms:
        yield f"is {window.size_ms} ms long every {step_ms} ms"
    elif window.size_ms // math.gcd(window.size_ms, step_ms) > PANES_MAX:
        yield f"has more than {PANES_MAX} panes"
    if not 0 <= window.grace_ms <= LONGEST_MS:
        yield f"waits {window.grace_ms} ms"
    if window.exact:
        yield "keeps its rows, which only windows of rows can"


def _of_check(check: Check, windows: Mapping[str, Window], facts: ModelFacts) -> Iterator[str]:
    window = windows.get(check.window)
    if check.method in INSPECTORS:
        yield from _inspected(check, panes_of(window) if window else 0, facts.task)
    if check.versus:
        yield from _compared(check, window)
    yield from _check(check, windows, facts.segments)


def _check(check: Check, windows: Container[str], segments: Container[str]) -> Iterator[str]:
    by_rows = reads_rows(check.method, check.metric) or check.method == "absent"
    if check.method not in METHODS:
        yield f"has the method '{check.method[:80]}', which this release does not know"
    if check.method in ROW_METHODS and not by_rows and check.method not in SERIES_METHODS:
        yield f"reads '{check.metric[:80]}', which its method does not"
    if check.window not in windows and not (by_rows and not check.window):
        yield f"reads the window '{check.window[:80]}', which is not there"
    if any(name not in segments for name in check.segment_by):
        yield "reads a segment that the model does not have"
    limits = [limit for limit in (check.warn, check.fail) if limit is not None]
    if not all(_finite((limit.value, limit.clear)) for limit in limits):
        yield "has a limit that is no number"
    if any(limit.calibrated for limit in limits) and (
        check.method not in EFFECTS or check.metric == "drift_share"
    ):
        yield "finds its limit by itself, which only drift of one column can"
    if not limits and not by_rows:
        yield "has no limit"
    n, m = check.times
    if not 1 <= n <= m <= TIMES_MAX:
        yield f"asks for {n} of {m} windows"
    if not all(0 <= time <= LONGEST_MS for time in (check.for_ms, check.keep_firing_for_ms)):
        yield "has a duration that is negative, or longer than ten years"
    if not math.isfinite(check.need.coverage):
        yield "needs a share of labels that is no number"
    yield from _params(check)


def _inspected(check: Check, panes: int, task: str) -> Iterator[str]:
    reads = metrics_of(check.method)
    if check.metric not in reads or check.segment_by:
        known = " or ".join(reads)
        yield f"reads '{check.metric[:80]}' by {check.method}: {known} of all rows"
    if check.metric in (FEATURES, ERRORS) and panes > SAMPLED_PANES_MAX:
        yield f"needs a sample in each of {panes} panes"
    if check.metric == ERRORS and task == "ranking":
        yield "asks for the errors of single rows, which a ranking has not"


def _compared(check: Check, window: Window | None) -> Iterator[str]:
    """Versions are compared by rows that a figure was counted on, and by windows of the same rows,
    each once.
    """
    if check.method != "value" or not duel.compares(check.metric):
        yield f"compares versions by '{check.metric[:80]}', by which none can be"
    if check.segment_by:
        yield "compares versions, and cuts them by segment"
    if window is not None and (window.rows or window.step_ms not in (0, window.size_ms)):
        yield "compares versions by windows that overlap, or that are of rows"


def _params(check: Check) -> Iterator[str]:
    by_rows = reads_rows(check.method, check.metric)
    by_series = not by_rows and check.method in SERIES_METHODS
    known: Iterable[str] = WINDOW_METHODS
    if by_rows or by_series:
        known = (ROW_METHODS if by_rows else SERIES_METHODS)[check.method].PARAMS
    strange = [
        f"has the parameter '{name[:80]}' {value}"
        for name, value in check.params.items()
        if name not in known or not (0 < value < math.inf)
    ]
    yield from strange
    wrong = ""
    if not strange and (by_rows or by_series):
        problem = params_problem if by_rows else anomaly.params_problem
        wrong = problem(check.method, check.params)
    if wrong:
        yield f"has a parameter out of range: {wrong}"
