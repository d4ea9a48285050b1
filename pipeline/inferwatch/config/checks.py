"""The `checks:` of a monitor file: which metric goes with which method, what else they may say."""

import re
from collections.abc import Callable, Mapping

from inferwatch.config import document, limits, metric_names, ranges
from inferwatch.config.document import Node
from inferwatch.config.limits import CHANGES, DURATIONS, RATIOS
from inferwatch.core import anomaly, duel, embeddings, llm, resources, stability
from inferwatch.core.anomaly import SERIES_METHODS
from inferwatch.core.drift import (
    EMBEDDING_METHODS,
    NUMBERS_ONLY,
    ROW_METHODS,
    STREAMS,
    WEIGHTED_ROWS,
    WINDOW_METHODS,
    params_problem,
    reads_rows,
    stream_of,
)
from inferwatch.core.inspectors import (
    FEATURES,
    FIGURES,
    INSPECTORS,
    PANES_MAX,
    ROWS_NEEDED,
    metrics_of,
    panes_of,
)
from inferwatch.core.metrics import (
    CORRECTED,
    ERRORS,
    LABEL_METRICS,
    LATENESS,
    class_of,
    of_every_class,
    on_labels,
)
from inferwatch.core.metrics.estimated import ESTIMATES
from inferwatch.core.parts import PARTS
from inferwatch.core.rules import feature_of, part_of
from inferwatch.records.definition import Check, Limit, ModelFacts, Need, Profile, Window

ROW_FEATURES = tuple(name for name, streams in STREAMS.items() if "feature" in streams)
READ_FEATURES = (*sorted(WINDOW_METHODS), *ROW_FEATURES)
ONLY_SERIES = tuple(name for name in SERIES_METHODS if name not in ROW_METHODS)
METHODS = (
    "value",
    *sorted(WINDOW_METHODS),
    *EMBEDDING_METHODS,
    *ROW_METHODS,
    *ONLY_SERIES,
    *INSPECTORS,
    "absent",
)
AMOUNTS = (
    "rows",
    "throughput",
    "schema_changes",
    "score.mean",
    "score.sd",
    "prediction.mean",
    "prediction.sd",
    *llm.AMOUNTS,
    *stability.AMOUNTS,
    *embeddings.AMOUNTS,
    *resources.AMOUNTS,
)
PLAIN = frozenset([*AMOUNTS, *DURATIONS]) | RATIOS | LABEL_METRICS.keys()
SERIES = PLAIN - LABEL_METRICS.keys() - {"drift_share", "freshness"}  # published as it closes
METRICS = {
    "value": PLAIN,
    "absent": ("traffic",),
    **dict.fromkeys(SERIES_METHODS, SERIES),
    **dict.fromkeys(WINDOW_METHODS, ("score", "prediction", "drift_share")),
    **dict.fromkeys(EMBEDDING_METHODS, ("embedding",)),
    **{name: metrics_of(name) for name in INSPECTORS},
    **{
        name: (
            *(stream for stream in streams if stream != "feature"),
            *(SERIES if name in SERIES_METHODS else ()),
        )
        for name, streams in STREAMS.items()
    },
}
NAMED_MAX = 12
MODES = ("exact", "weighted")
CORRECTED_LABELS = 100
Problem = Callable[[str, Mapping[str, float]], str]
HINTS = {
    "value": ("feature.<name>.missing", "class.<name>.recall"),
    **dict.fromkeys(READ_FEATURES, ("feature.<name>", "feature.*")),
}
TASKS = {name: metric.tasks for name, metric in LABEL_METRICS.items()} | {
    "positive_rate": ("binary",),
    **dict.fromkeys(ESTIMATES, ("binary",)),
    "estimated.accuracy": ("binary", "multiclass"),
    "flip_rate": ("binary", "multiclass"),
    "score_change.mean": ("binary", "multiclass", "regression"),
    "prediction": ("binary", "multiclass", "regression"),
    "prediction.mean": ("regression",),
    "prediction.sd": ("regression",),
    "error": ("binary", "multiclass"),
    ERRORS: ("binary", "multiclass", "regression"),
}
ROW_PARAMS = {name: method.PARAMS for name, method in ROW_METHODS.items()}
SERIES_PARAMS = {name: method.PARAMS for name, method in SERIES_METHODS.items()}
SHARE_PARAMS = {
    **{name: {name: limit} for name, limit in WINDOW_METHODS.items()},
    "value": {"psi": WINDOW_METHODS["psi"]},
}
KEYS = [
    "alert",
    "metric",
    "method",
    "window",
    "against",
    "versus",
    "segment_by",
    "when",
    "warn",
    "fail",
    "times",
    "for",
    "keep_firing_for",
    "mode",
    "labels",
    "annotations",
    "params",
]


def parse(
    node: Node,
    facts: ModelFacts,
    windows: Mapping[str, Window],
    profile: Profile | None = None,
) -> Check:
    """One check. With a `profile` it may name only figures that this has.

    :raises ConfigError: naming the line, the key and the fix.
    """
    fields = node.fields(KEYS, required=("alert", "metric"))
    method = fields["method"].choice(METHODS) if "method" in fields else "value"
    metric = _metric(fields["metric"], method, facts)
    by_rows = reads_rows(method, metric) or method == "absent"
    _without_effect(fields, method, by_rows)
    _against(fields.get("against"))
    versus = _versus(fields, metric, method, windows)
    warn, fail = (
        limits.read(fields[name], metric, method, profile, versus=bool(versus))
        if name in fields
        else None
        for name in ("warn", "fail")
    )
    if profile is not None and metric.startswith("feature."):
        _in_profile(fields["metric"], method, (warn, fail), profile)
    if method in EMBEDDING_METHODS and profile is not None and profile.embedding is None:
        raise fields["metric"].error(
            f"the profile '{profile.name}' has no embeddings", "build it from rows that have them"
        )
    if method in INSPECTORS:
        _inspected(fields, windows, profile, metric)
        warn, fail = limits.or_own(warn, fail, metric, method)
    limits.in_order(node, by_rows, warn, fail)
    check = Check(
        alert=fields["alert"].text(),
        metric=metric,
        method=method,
        window=_window(node, fields.get("window"), by_rows, windows),
        segment_by=_segments(fields.get("segment_by"), facts, metric),
        need=_need(fields.get("when"), metric, ROWS_NEEDED if method in INSPECTORS else 1),
        warn=warn,
        fail=fail,
        times=_times(fields.get("times")),
        for_ms=fields["for"].duration_ms() if "for" in fields else 0,
        keep_firing_for_ms=(
            fields["keep_firing_for"].duration_ms() if "keep_firing_for" in fields else 0
        ),
        mode=fields["mode"].choice(("alert", "observe")) if "mode" in fields else "alert",  # type: ignore[arg-type]
        labels=_words(fields.get("labels")),
        annotations=_words(fields.get("annotations")),
        params=_params(fields.get("params"), method, metric),
        versus=versus,
    )
    if method == "absent" and not check.for_ms:
        raise node.error("an absent check needs a duration", "add `for: 10m`")
    if check.window and not check.versus:
        _met(fields.get("when", node), check.need, windows[check.window])
    return check


def _without_effect(fields: Mapping[str, Node], method: str, by_rows: bool) -> None:
    """What reads rows knows no windows: a key that would do nothing is a mistake."""
    if not by_rows:
        return
    idle = "keep_firing_for" if method == "absent" else "for"
    for name in ("window", "segment_by", "when", "times", idle):
        if name in fields:
            raise fields[name].error(
                f"has no effect on method {method}, which looks at no window", "leave it out"
            )


def _metric(node: Node, method: str, facts: ModelFacts) -> str:
    metric, allowed = node.text(), sorted(METRICS[method])
    _readable(node, metric, method)
    _by_methods(node, metric, method)
    if metric.startswith("feature.") and len(metric) > len("feature.") and method != "absent":
        return _feature(node, metric, method)
    of_class = method == "value" and bool(class_of(metric))
    task, of_classes = facts.task, facts.task in ("unknown", "multiclass")
    fitting = [name for name in allowed if task in ("unknown", *_tasks(name, method, (task,)))]
    if metric in METHODS and metric not in allowed:
        raise node.error(
            f"'{metric}' is a method", f"write `method: {metric}`, and what it looks at as `metric`"
        )
    if metric not in allowed and not of_class:
        hints = [name for name in HINTS.get(method, ()) if not class_of(name) or of_classes]
        raise node.error(
            f"'{metric}' is no metric" + (f" for method {method}" if method != "value" else ""),
            metric_names.fix(metric, [*fitting, *hints]),
        )
    if metric not in fitting and not (of_class and of_classes):
        of = " and ".join(_tasks(metric, method, ("multiclass",)))
        fix = metric_names.fix(metric, fitting)
        raise node.error(f"'{metric}' means nothing for a {task} model, it is of {of} ones", fix)
    return metric


def _tasks(metric: str, method: str, other: tuple[str, ...]) -> tuple[str, ...]:
    """The tasks of whose models a metric is; `other` where it is of any."""
    if metric == "prediction" and method in (*NUMBERS_ONLY, *STREAMS):
        return ("regression",)
    return TASKS.get(metric, other)


def _readable(node: Node, metric: str, method: str) -> None:
    """A stream of rows that the method does not read: which it reads, and what reads the stream."""
    stream = stream_of(metric)
    others = [name for name, streams in STREAMS.items() if stream in streams]
    if method not in STREAMS or stream in STREAMS[method] or not others:
        return
    reads = [{"feature": "feature.NAME"}.get(name, name) for name in STREAMS[method]]
    raise node.error(
        f"method {method} does not read '{metric}' but {', '.join(reads)}",
        f"'{metric}' is read by {', '.join(others)}",
    )


def _by_methods(node: Node, metric: str, method: str) -> None:
    """What has no value of its own, as all features together: methods look at it."""
    methods = [name for name, metrics in METRICS.items() if metric in metrics]
    together = metric in (FEATURES, FIGURES, ERRORS)
    if method not in methods and (together or (methods and method == "value")):
        what = "has no value of its own" if method == "value" else f"is not read by {method}"
        raise node.error(f"'{metric}' {what}", f"name a method: {', '.join(methods)}")


def _feature(node: Node, metric: str, method: str) -> str:
    part = metric.rsplit(".", 1)[-1] if metric.count(".") > 1 else ""
    if part in PARTS and method != "value":
        raise node.error(f"'{metric}' is a plain figure", "leave `method` out")
    if method in INSPECTORS:
        raise node.error(f"{method} looks at all features together", f"write `metric: {FEATURES}`")
    if part not in PARTS and method not in READ_FEATURES:
        raise node.error(
            f"'{metric}' has no value of its own",
            f"name a method ({', '.join(READ_FEATURES)}) or a part such as {metric}.missing",
        )
    return metric


def _in_profile(node: Node, method: str, given: tuple[Limit | None, ...], profile: Profile) -> None:
    """What is compared with the profile must be a column of it, and of a kind that is read."""
    name, part = feature_of(node.text()), PARTS.get(part_of(node.text()))
    changes = any(limit is not None and limit.direction in CHANGES for limit in given)
    if name == "*" or (part is not None and not part.compares and not changes):
        return
    known = sorted([*profile.numeric, *profile.categories])
    if name not in known:
        more = f" and {len(known) - NAMED_MAX} more" if len(known) > NAMED_MAX else ""
        has = ", ".join(known[:NAMED_MAX]) + more if known else "none"
        raise node.error(
            f"the profile '{profile.name}' has no feature '{name}'",
            f"{document.meant(name, known)}it has {has}",
        )
    if name in profile.categories and method in (*NUMBERS_ONLY, *ROW_FEATURES):
        raise node.error(f"'{name}' is of words, and {method} reads numbers", "use another method")


def _against(node: Node | None) -> None:
    if node is not None:
        node.choice(["reference"])


def _versus(
    fields: Mapping[str, Node], metric: str, method: str, windows: Mapping[str, Window]
) -> str:
    """The version to compare with: by whole windows of time, of figures whose rows can be told."""
    if "versus" not in fields:
        return ""
    node = fields["versus"]
    if method != "value" or not duel.compares(metric):
        known = ", ".join((*duel.RATES, *duel.AMOUNTS, "class.NAME.recall", "class.NAME.precision"))
        what = f"'{metric}'" if method == "value" else f"'{metric}' by {method}"
        raise node.error(f"{what} of two versions cannot be compared", f"it can for {known}")
    for name in ("against", "segment_by"):
        if name in fields:
            raise fields[name].error("has no place beside `versus`", "leave one of the two out")
    given = fields["window"].text() if "window" in fields else next(iter(windows))
    window = windows.get(given)
    if window is not None and (window.rows or window.step_ms not in (0, window.size_ms)):
        raise fields.get("window", node).error(
            f"two versions have no windows '{given}' of the same rows, each once",
            "name a window of time without a `step`",
        )
    return node.text()


def _inspected(
    fields: Mapping[str, Node],
    windows: Mapping[str, Window],
    profile: Profile | None,
    metric: str,
) -> None:
    """What an inspector asks of its check: all rows, and for a sample of them few panes."""
    if "segment_by" in fields:
        raise fields["segment_by"].error("inspectors look at a window as a whole", "leave it out")
    if metric == FIGURES:
        return
    if metric == FEATURES and profile is not None and profile.sample_digest is None:
        raise fields["method"].error(
            f"the profile '{profile.name}' kept no rows for inspectors", "build it again"
        )
    given = fields["window"].text() if "window" in fields else next(iter(windows))
    panes = panes_of(windows[given]) if given in windows else 1
    if panes > PANES_MAX:
        raise fields.get("window", fields["method"]).error(
            f"'{given}' keeps a sample of rows in each of its {panes} panes",
            f"a window of at most {PANES_MAX} panes: a longer step",
        )


def _window(node: Node, given: Node | None, by_rows: bool, windows: Mapping[str, Window]) -> str:
    if given is not None:
        return given.choice(windows)
    if by_rows:
        return ""
    if len(windows) == 1:
        return next(iter(windows))
    named = " or ".join(f"`window: {name}`" for name in windows)
    raise node.error("does not say which window it reads", f"add {named}")


def _segments(node: Node | None, facts: ModelFacts, metric: str) -> list[str]:
    if node is None:
        return []
    if metric in LATENESS:
        raise node.error(f"'{metric}' is of the whole model", "leave `segment_by` out")
    if of_every_class(metric):
        raise node.error(
            f"'{metric}' is of the whole model", "leave `segment_by` out, or name one class"
        )
    if not facts.segments:
        named = ", ".join(item.text() for item in node.items())
        raise node.error("the model has no segments", f"add `segments: [{named}]` to `model`")
    return [_segment(item, facts.segments) for item in node.items()]


def _segment(node: Node, known: list[str]) -> str:
    name = node.text()
    if name not in known:
        wanted = f"[{', '.join([*known, name])}]"
        raise node.error(
            f"'{name}' is no segment of the model",
            f"{document.meant(name, known)}add it to `model.segments`: {wanted}",
        )
    return name


def _need(node: Node | None, metric: str, rows: int) -> Need:
    """What `when` asks for; `rows` where it names none, and labels for what few of them correct."""
    labels = CORRECTED_LABELS if metric == CORRECTED else 0
    if node is None:
        return Need(rows=rows, labels=labels)
    fields = node.fields(("rows", "labels", "coverage"))
    for name in ("labels", "coverage"):
        if name in fields and not on_labels(metric):
            raise fields[name].error(f"'{metric}' needs no labels", "use `rows`")
    coverage = 0.0
    if "coverage" in fields:
        amount = fields["coverage"].amount()
        coverage = amount.value
        if not 0 < coverage <= 1 or amount.unit not in ("", "%"):
            told = document.kind(fields["coverage"].value)
            raise fields["coverage"].error(f"{told} is no share", "write a share such as 80%")
    return Need(
        rows=fields["rows"].integer(1, 10**9) if "rows" in fields else rows,
        labels=fields["labels"].integer(1, 10**9) if "labels" in fields else labels,
        coverage=coverage,
    )


def _met(node: Node, need: Need, window: Window) -> None:
    """A window of rows has no more of them, nor more labels: its check would never be judged."""
    for name, asked in (("rows", need.rows), ("labels", need.labels)):
        if window.rows and asked > window.rows:
            raise node.error(
                f"asks for {asked:,} {name}, and '{window.name}' is a window of {window.rows:,} "
                "rows, so it would never be judged",
                f"at most {window.rows}, or a longer window",
            )


def _times(node: Node | None) -> tuple[int, int]:
    if node is None:
        return 1, 1
    found = re.fullmatch(r"([0-9]{1,2}) of ([0-9]{1,2})", node.text())
    if found is not None:
        n, m = int(found[1]), int(found[2])
        if 1 <= n <= m <= 60:
            return n, m
    raise node.error(
        f"'{node.text()}' is no count of windows", "write `2 of 3`, at most `60 of 60`"
    )


def _words(node: Node | None) -> dict[str, str]:
    return {name: item.text() for name, item in node.entries().items()} if node else {}


def _params(node: Node | None, method: str, metric: str) -> dict[str, float]:
    if node is None:
        return {}
    allowed, problem = _allowed(method, metric)
    if not allowed:
        raise node.error(f"'{metric}' by method {method} has none", "leave `params` out")
    fields = node.fields((*allowed, "mode") if "block" in allowed else allowed)
    mode = fields.pop("mode", None)
    if mode is not None and "block" in fields:
        raise mode.error("says the same as `block`", "leave one of the two out")
    for name, item in fields.items():
        if item.number() <= 0:
            raise item.error("must be positive", f"the default is {allowed[name]:g}")
    found = {name: item.number() for name, item in fields.items()}
    if mode is not None and mode.choice(MODES) == "weighted":
        found["block"] = float(WEIGHTED_ROWS)
    wrong = problem(method, found)
    if wrong:
        raise node.error(wrong, "bring it into that range")
    return found


def _allowed(method: str, metric: str) -> tuple[dict[str, float], Problem]:
    """The parameters of a method with their defaults, and what says whether some fit together."""
    if reads_rows(method, metric):
        return ROW_PARAMS[method], params_problem
    if method in SERIES_PARAMS:
        return SERIES_PARAMS[method], anomaly.params_problem
    return SHARE_PARAMS.get(method, {}) if metric == "drift_share" else {}, _uncounted


def _uncounted(_method: str, params: Mapping[str, float]) -> str:
    """Whether no feature would ever be counted in `drift_share`: its distance has an end."""
    for name, value in params.items():
        ends = ranges.of("feature.*", name, share=False)
        if ranges.effect("above", value, ends, relative=False):
            return f"{name} is {ranges.told(ends)}, so no feature would be counted"
    return ""
