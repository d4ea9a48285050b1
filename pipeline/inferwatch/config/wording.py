"""A check in words, so that whoever wrote it sees what was understood."""

from collections.abc import Iterator

from inferwatch.config import units
from inferwatch.config.limits import DURATIONS, is_share
from inferwatch.core.anomaly import SERIES_METHODS
from inferwatch.core.drift import reads_rows
from inferwatch.core.inspectors import COLUMNS_MAX, FEATURES, INSPECTORS
from inferwatch.core.metrics import CLASSES_SHOWN, ERRORS, LATENESS, on_labels
from inferwatch.records.definition import PREVIOUS, CategoryProfile, Check, Definition, Limit

EMBEDDING_CHECK = """\
  - alert: EmbeddingDrift
    metric: embedding
    method: sliced_wasserstein
    window: {window}
    when: {{rows: {rows}}}
    warn: calibrated"""
EMBEDDING_ROWS = 1_000
MOVES = {"drop": "drops", "rise": "rises"}
NO_SHARES = (*SERIES_METHODS, "domain_classifier", "correlation")
"""Methods that make another figure of a share, or of rows."""


def sentence(check: Check) -> str:
    """ "RecallDrop: recall in slow by country: critical if it drops by more than 5% of the
    reference's; 2 of 3 windows; with 200 labels, coverage 80%".
    """
    what = check.metric if check.method == "value" else f"{check.metric} by {check.method}"
    what += f" in {check.window}" if check.window else ""
    what += f" by {', '.join(check.segment_by)}" if check.segment_by else ""
    what += f" versus {_other(check)}" if check.versus else ""
    return f"{check.alert}: {what}: {'; '.join([_levels(check), *_conditions(check)])}"


def _other(check: Check) -> str:
    return "the version before" if check.versus == PREVIOUS else f"v{check.versus}"


def notes(check: Check, features: int) -> Iterator[str]:
    """What of a check is seldom meant, of a model with so many features."""
    waits = on_labels(check.metric) and check.metric not in LATENESS
    early = check.need.labels and not check.versus
    if waits and early and not check.need.coverage:
        yield (
            f"{check.alert} is judged at {check.need.labels:,} labels, though more of its "
            "window's may come: add `coverage: 80%` to wait for them"
        )
    of_rows = check.method in INSPECTORS and check.metric in (FEATURES, ERRORS)
    if of_rows and features > COLUMNS_MAX:
        yield (
            f"{check.alert} will always be unknown: inspectors read at most {COLUMNS_MAX:,} "
            f"numeric features, and {features:,} are expected"
        )


def profile_notes(definition: Definition) -> Iterator[str]:
    """What the profile lacks of what the file asks of it: such checks would never be judged."""
    profile, facts = definition.reference.profile, definition.model
    if profile is None:
        return
    answers = profile.prediction
    if facts.task == "binary" and isinstance(answers, CategoryProfile):
        named = ", ".join(f"'{word}'" for word in answers.words[:CLASSES_SHOWN])
        if facts.positive not in answers.words:
            yield (
                f"no answer in the profile '{profile.name}' is of the positive class "
                f"'{facts.positive}' but {named}: is `model.positive` right?"
            )
    for name in facts.segments:
        asking = [one.alert for one in definition.checks if _asks_segment(one, name)]
        if asking and not any(key.startswith(f"{name}=") for key in profile.quality):
            yield (
                f"the profile '{profile.name}' has no figures by {name}, with which "
                f"{', '.join(asking)} would compare: build it again with `--monitors`"
            )


def _asks_segment(check: Check, name: str) -> bool:
    """Whether it compares label figures of the segment's values with those of the profile."""
    given = [limit for limit in (check.warn, check.fail) if limit is not None]
    changes = any(limit.direction in MOVES for limit in given)
    return name in check.segment_by and on_labels(check.metric) and changes


def embeddings_unseen(definition: Definition) -> str:
    """What to write where rows come with embeddings, "" where a check looks at them."""
    if any(check.metric.startswith("embedding") for check in definition.checks):
        return ""
    longest = max(definition.windows, key=lambda one: (one.size_ms, one.rows))
    rows = min(EMBEDDING_ROWS, longest.rows or EMBEDDING_ROWS)
    where = "under `checks:` in its monitor file"
    if all(check.default for check in definition.checks):
        where = "in a monitor file of its own, which takes the place of the default set"
    lines = EMBEDDING_CHECK.format(window=longest.name, rows=rows)
    return f"no check looks at embeddings; {where}, they are watched by\n{lines}"


def _levels(check: Check) -> str:
    given = [("warning", check.warn), ("critical", check.fail)]
    if check.method == "absent":
        severity = "warning" if check.warn and not check.fail else "critical"
        return f"{severity} after {units.written(check.for_ms)} without a row"
    if reads_rows(check.method, check.metric):
        return f"{'critical' if check.fail else 'warning'} at a change, row by row"
    return ", ".join(f"{severity} {_limit(check, one)}" for severity, one in given if one)


def _limit(check: Check, limit: Limit) -> str:
    if limit.calibrated:
        return "above a limit found from its own past"
    if check.versus:
        return _surely(check, limit)
    said = f"if {limit.direction} {_amount(check, limit, limit.value)}"
    if limit.direction in MOVES:
        said = f"if it {MOVES[limit.direction]} by more than {_amount(check, limit, limit.value)}"
        said += " of the reference's" if limit.relative else " from the reference's"
    if limit.clear != limit.value:
        said += f" (until {_amount(check, limit, limit.clear)})"
    return said


def _surely(check: Check, limit: Limit) -> str:
    """The limit of a difference from another version, which no chance may explain."""
    by = f"by more than {_amount(check, limit, limit.value)} " * (limit.value > 0)
    of = "of" if by and limit.relative else "from"
    said = f"if it surely {MOVES[limit.direction]} {by}{of} {_other(check)}'s"
    if limit.clear != limit.value:
        said += f" (until {_amount(check, limit, limit.clear)})"
    return said


def _amount(check: Check, limit: Limit, value: float) -> str:
    """In the unit that a monitor file would have it in."""
    if limit.relative:
        return f"{value * 100:.6g}%"
    if check.method == "value" and check.metric in DURATIONS:
        return units.written(round(value)) if value == round(value) > 0 else f"{value:g} ms"
    if is_share(check.metric) and check.method not in NO_SHARES:
        return f"{value * 100:.6g}" + ("pp" if limit.direction in MOVES else "%")
    return f"{value:,.6g}"


def _conditions(check: Check) -> Iterator[str]:
    if check.times != (1, 1):
        yield f"{check.times[0]} of {check.times[1]} windows"
    if check.for_ms and check.method != "absent":
        yield f"for {units.written(check.for_ms)}"
    need = check.need
    needs = [f"{need.rows:,} rows"] * (need.rows > 1) + [f"{need.labels:,} labels"] * bool(
        need.labels
    )
    needs += [f"coverage {need.coverage * 100:.6g}%"] * bool(need.coverage)
    if needs:
        yield f"with {', '.join(needs)}"
    if check.mode == "observe":
        yield "observed, never sent"
