"""The limits of a check: what they may say, in which unit, and that they can be reached."""

from inferwatch.config import document, ranges
from inferwatch.config.document import Node
from inferwatch.core import embeddings, llm, resources, stability
from inferwatch.core.calibration import EFFECTS
from inferwatch.core.inspectors import FEATURES, FIGURES, FIGURES_LIMIT, INSPECTORS
from inferwatch.core.metrics import (
    CLASS_FIGURES,
    ERRORS,
    LABEL_METRICS,
    SHARE,
    class_of,
    of_every_class,
    on_labels,
    on_reference,
)
from inferwatch.core.metrics.estimated import ESTIMATES
from inferwatch.core.parts import PARTS
from inferwatch.core.quality import DELAYS
from inferwatch.records.definition import Direction, Limit, Profile

RATIOS = frozenset(
    [
        "error_rate",
        "availability",
        "timeout_rate",
        "captured",
        "duplicate_rate",
        *stability.SHARES,
        *embeddings.SHARES,
        "positive_rate",
        *resources.SHARES,
        "drift_share",
        *llm.SHARES,
        *ESTIMATES,
        *(name for name, metric in LABEL_METRICS.items() if metric.share),
    ]
)
LATENCIES = ("latency.p50", "latency.p90", "latency.p95", "latency.p99", "latency.mean")
DURATIONS = (*LATENCIES, *llm.DURATIONS, "freshness", *resources.DURATIONS, *DELAYS)
SHARES = frozenset(name for name, part in PARTS.items() if part.share) | frozenset(
    name for name, share in CLASS_FIGURES.items() if share
)
CALIBRATED = "calibrated"
SILENCE = "no rows at all is `metric: traffic`, `method: absent`, `for: 10m`"
CHANGES: tuple[Direction, ...] = ("drop", "rise")
DIRECTIONS: tuple[Direction, ...] = ("above", "below", *CHANGES)


def read(
    node: Node, metric: str, method: str, profile: Profile | None, *, versus: bool = False
) -> Limit:
    """One level. With a `profile`, a change from it is of a figure that this has; `versus` another
    version it is a change, and any that is sure may be one.

    :raises ConfigError: naming the line, the key and the fix.
    """
    if node.value == CALIBRATED:
        return _calibrated(node, metric, method)
    if isinstance(node.value, str | int | float):
        ways = " or ".join(f"`{{{name}: {node.value}}}`" for name in DIRECTIONS)
        raise node.error(f"{document.kind(node.value)} has no direction", f"write {ways}")
    fields = node.fields((*DIRECTIONS, "clear"))
    given = [name for name in DIRECTIONS if name in fields]
    if len(given) != 1:
        raise node.error("one limit is needed", f"write exactly one of {', '.join(DIRECTIONS)}")
    direction = given[0]
    if versus and direction not in CHANGES:
        raise fields[direction].error(
            "looks at the figure itself, not at its distance from another version's",
            "use drop or rise, or leave `versus` out",
        )
    if direction in CHANGES and method != "value":
        fix = "use above" if method in INSPECTORS else "use above or below"
        raise fields[direction].error(f"method {method} already compares with the reference", fix)
    if direction == "below" and method in INSPECTORS:
        raise fields[direction].error(f"what {method} finds grows with the change", "use above")
    if direction in CHANGES and profile is not None and not versus:
        _known(fields[direction], metric, profile)
    value, relative = _measure(fields[direction], metric, direction, zero=versus)
    ends = ranges.of(metric, method, share=is_share(metric))
    when = ranges.effect(direction, value, ends, relative=relative)
    if when:
        what = f"'{metric}'" if method == "value" else f"'{metric}' by {method}"
        raise fields[direction].error(
            f"{what} is {ranges.told(ends)}, so `{direction}: {fields[direction].value}` "
            f"{when} fires",
            _reachable(direction, value, when, ends, share=is_share(metric)),
        )
    clear = value
    if "clear" in fields:
        clear, clear_relative = _measure(fields["clear"], metric, direction, zero=versus)
        if clear_relative != relative:
            raise fields["clear"].error("has another unit than the limit", "use the same unit")
        beyond = (clear < value) if direction == "below" else (clear > value)
        if beyond or ranges.effect(direction, clear, ends, relative=relative) == "always":
            raise fields["clear"].error(
                "lies beyond the limit, so it would never end",
                "put it on the good side of the limit",
            )
    return Limit(direction=direction, value=value, relative=relative, clear=clear)


def is_share(metric: str) -> bool:
    """Whether a limit of the metric may be in percent and, for a change, in points."""
    return metric in (FEATURES, FIGURES, ERRORS, *RATIOS) or metric.rsplit(".", 1)[-1] in SHARES


def _reachable(
    direction: str, value: float, when: str, ends: tuple[float, float], *, share: bool
) -> str:
    """The fix of a limit that `when` fires: a percentage of a whole, what hears of no rows, or on
    which side to look.
    """
    if ends == ranges.COUNTED and when == "never":
        return SILENCE
    if ends != SHARE or not 2 <= value < 100:
        smaller = (direction == "below") == (when == "always")
        return "write a smaller one" if smaller else "write a larger one"
    if not share:
        return f"write `{direction}: {value / 100:g}`"
    plain = f"{value:g}pp" if direction in CHANGES else f"{value / 100:g}"
    return f"write `{direction}: {value:g}%` or `{direction}: {plain}`"


def _calibrated(node: Node, metric: str, method: str) -> Limit:
    if method not in EFFECTS or metric == "drift_share":
        raise node.error(
            f"'{metric}' by method {method} has no limit of its own to find",
            f"write a number; {CALIBRATED} are features, score, prediction and embedding by a "
            "drift method",
        )
    effect = EFFECTS[method]
    return Limit(direction="above", value=effect, clear=effect, calibrated=True)


def or_own(
    warn: Limit | None, fail: Limit | None, metric: str, method: str
) -> tuple[Limit | None, Limit | None]:
    """The limits of an inspector's check, its method's own where it names none."""
    if warn is None and fail is None:
        limit = FIGURES_LIMIT if metric == FIGURES else INSPECTORS[method]
        fail = Limit(direction="above", value=limit, clear=limit)
    return warn, fail


def _known(node: Node, metric: str, profile: Profile) -> None:
    """A profile has figures of labels and features; of traffic and latency it knows nothing."""
    known, name = profile.quality.get("", {}), on_reference(metric)
    if metric.startswith("feature.") or name in known:
        return
    if of_every_class(metric) and any(class_of(one) for one in known):
        return
    fix = "use above or below"
    if on_labels(name):
        fix += ", or build the profile from rows with scores and labels"
    raise node.error(f"the profile '{profile.name}' has no {name} to compare with", fix)


def _measure(node: Node, metric: str, direction: str, *, zero: bool) -> tuple[float, bool]:
    """A limit's value, and whether it is relative; `zero` may be a change too."""
    amount = node.amount()
    ratio = is_share(metric)
    if direction in CHANGES:
        if amount.value < 0 or not (amount.value or zero):
            raise node.error("a change is a positive amount", "write 5% or 5pp")
        if amount.unit == "%":
            return amount.value, True
        if amount.unit == "pp" and not ratio:
            raise node.error(f"'{metric}' is no share, so it has no points", "write 5% or a number")
    elif amount.unit in ("%", "pp") and not ratio:
        raise node.error(f"'{metric}' is no share", "write a number")
    elif amount.unit == "pp":
        share = f"{amount.value * 100:g}%"
        raise node.error(
            "points are a distance from the reference", f"write {share}, or drop, rise"
        )
    if amount.unit == "ms" and metric not in DURATIONS:
        raise node.error(f"'{metric}' is no duration", "write a number")
    return amount.value, False


def in_order(node: Node, by_rows: bool, warn: Limit | None, fail: Limit | None) -> None:
    """There is a limit, where one is needed, and `warn` comes before `fail`."""
    if warn is None and fail is None:
        if by_rows:
            return
        raise node.error("has no limit", "add `warn:` or `fail:`")
    if warn is None or fail is None:
        return
    if warn.calibrated and fail.calibrated:
        raise node.error("`warn` and `fail` would be the same limit", "calibrate one of the two")
    if warn.calibrated or fail.calibrated:
        return
    if warn.direction != fail.direction or warn.relative != fail.relative:
        return
    wrong = warn.value < fail.value if fail.direction == "below" else warn.value > fail.value
    if wrong:
        raise node.error("`warn` lies beyond `fail`", "swap the two")
