"""An alert as people read it: what, how far, since when and what else, the cause.

    [FIRING·critical] RecallDrop  risk/fraud-scorer v12  country=DE
    recall 0.61, limit 0.76 (reference 0.80, −24 %) · 14:00–15:00 UTC · 412 labels, coverage 83 %
    Began 14:07, two minutes after deploy v12 · other country values unchanged · latency normal
    Most of it: amount (PSI 4.10), 19 of 20 features quiet · first bad offset events.v1/7@88213
    Next: see whether a deploy or the drifted features … · inferwatch alerts show 1f2e3d4c

Times are UTC; a date stands where it is not the day of the message. Names come from data, so
whatever is not printable is escaped.
"""

import math
import re
from collections.abc import Callable

from inferwatch.notify.next_step import next_step
from inferwatch.notify.stamps import stamp
from inferwatch.records.outputs import AlertRecord, Span, Versus, percent

DELAYED_MS = 3_600_000
STATISTICS = {
    "psi": "PSI",
    "ks": "KS",
    "chisquare": "chi²",
    "jensenshannon": "Jensen–Shannon distance",
    "hellinger": "Hellinger distance",
    "wasserstein": "Wasserstein distance",
    "sliced_wasserstein": "sliced Wasserstein distance",
    "total_variation": "total variation",
    "l_infinity": "largest shift of a share",
    "correlation": "largest change of a correlation",
    "zscore": "z-score",
    "iqr": "IQR distance",
    "mad": "robust z-score",
    "seasonal": "robust z-score of the hour",
    "auto": "robust z-score",
    "adwin": "ADWIN",
    "page_hinkley": "Page–Hinkley",
}
LONG_TIMES = ("freshness", "uptime", "label_delay.")
UNITS = dict.fromkeys((*LONG_TIMES, "latency.", "time_to_first_token."), " ms") | {
    "throughput": " rows/s",
    "tokens_per_second.": " tokens/s",
}
RECOVERED = ("recovered", "quiet")
DEPLOYED = re.compile(r" after (deploy|rollback) v")
ENDS = {"ended": "its check, version or segment is gone"}


def render(alert: AlertRecord, told_ms: int, now_ms: int) -> str:
    """Up to five lines. `told_ms` is the record time of the alert, `now_ms` when it is sent."""
    parts = [
        header(alert, delayed=now_ms - told_ms > DELAYED_MS),
        _figure_line(alert, told_ms),
        _began_line(alert, told_ms),
        _cause_line(alert),
        next_step(alert),
    ]
    return "\n".join(printable(part) for part in parts if part)


def header(alert: AlertRecord, *, delayed: bool = False) -> str:
    """The first line: state, alert, model and version, feature and segment."""
    flapping = "flapping" in alert.flags and alert.condition == "firing"
    states = [_state(alert), *["flapping"] * flapping, *["delayed"] * delayed]
    version = f" v{alert.version}" if alert.version else ""
    names = [alert.alert, alert.model + version, alert.feature, alert.segment]
    return f"[{'·'.join(states)}] " + "  ".join(name for name in names if name)


def _state(alert: AlertRecord) -> str:
    if alert.condition == "ok":
        return "RESOLVED"
    if alert.condition == "firing" and alert.severity == "info":
        return "INFO"
    return f"{alert.condition.replace('_', ' ').upper()}·{alert.severity}"


def _figure_line(alert: AlertRecord, told_ms: int) -> str:
    parts = [_figure(alert)]
    if alert.window is not None:
        parts.append(_span(alert.window, told_ms))
    if alert.coverage is not None:
        parts.append(f"{_count(alert.labelled, 'label')}, coverage {percent(alert.coverage)}")
    elif alert.rows and not (alert.window and alert.window.rows == alert.rows):
        parts.append(_count(alert.rows, "row"))
    return " · ".join(parts)


def _figure(alert: AlertRecord) -> str:
    if alert.condition == "no_data":
        return f"{_subject(alert)} unknown: the model sends nothing"
    if alert.method == "absent":
        return _silence(alert)
    if alert.value is None:
        return _unmeasured(alert)
    if _is_shift(alert):
        return _shift(alert, alert.value)
    if alert.versus is not None and alert.reference is not None:
        return _differs(alert, alert.value, alert.reference, alert.versus)
    return _compared(alert, alert.value)


def _unmeasured(alert: AlertRecord) -> str:
    """What time or a person has moved, no window: there is no figure, but there is a reason."""
    subject = _subject(alert)
    if alert.condition == "ok":
        quiet = alert.reason == "quiet"
        return f"no further change of {subject}" if quiet else f"{subject} is watched no more"
    return f"{subject} as told before" if alert.condition == "firing" else f"{subject} unknown"


def _is_shift(alert: AlertRecord) -> bool:
    """Whether a detector found it row by row: such an alert has a moment, not a window."""
    return alert.window is None and alert.method not in ("value", "absent")


def _silence(alert: AlertRecord) -> str:
    if alert.condition != "firing" or alert.value is None or alert.limit is None:
        return "rows are coming again"
    return f"no rows for {_duration(alert.value)}, limit {_duration(alert.limit)}"


def _shift(alert: AlertRecord, value: float) -> str:
    subject, found = _subject(alert), STATISTICS.get(alert.method, alert.method)
    if alert.reference is None:
        return f"{subject} {_number(value, _decimals(value))} ({found})"
    digits = _decimals(value, alert.reference)
    moved = f"{_number(alert.reference, digits)} → {_number(value, digits)}"
    return f"{subject} {moved} ({', '.join([*_change(value, alert.reference), found])})"


def _compared(alert: AlertRecord, value: float) -> str:
    shown = _written(alert, value)
    words = f"{_subject(alert)} {shown(value)}"
    if alert.limit is not None:
        words += f", limit {shown(alert.limit)}"
    if alert.reference is not None:
        reference = f"reference {shown(alert.reference)}"
        words += f" ({', '.join([reference, *_change(value, alert.reference)])})"
    elif alert.reference_span and alert.method != "value":
        words += f" (against {alert.reference_span})"
    return words


def _differs(alert: AlertRecord, value: float, reference: float, versus: Versus) -> str:
    """Both versions' figures, and between which ends their difference surely lies."""
    shown = _written(alert, value)
    against = f"{shown(reference)} of {alert.reference_span}"
    change = "".join(f" ({share})" for share in _change(value, reference))
    low, high = (f"{'+' if end > 0 else ''}{shown(end)}" for end in (versus.low, versus.high))
    words = f"{_subject(alert)} {shown(value)} against {against}{change}, surely {low} to {high}"
    if alert.limit is None or alert.limit == reference:
        return words
    return f"{words}, limit {shown(alert.limit)}"


def _subject(alert: AlertRecord) -> str:
    """ "recall", "amount missing", "PSI of amount"."""
    if alert.method == "absent":
        return "traffic"
    if alert.metric.startswith("class.*."):
        return alert.metric.replace("class.*", alert.feature, 1)
    name = alert.metric.removeprefix("feature.").replace("*", alert.feature)
    if alert.metric.startswith("feature.") and alert.feature:
        part = name.removeprefix(alert.feature).lstrip(".")
        name = f"{alert.feature} {part}".rstrip()
    if alert.method == "value" or _is_shift(alert):
        return name
    statistic = STATISTICS.get(alert.method, alert.method)
    return f"{name} by {statistic}" if name == "drift_share" else f"{statistic} of {name}"


def _written(alert: AlertRecord, value: float) -> Callable[[float], str]:
    """How the alert's figures are written: with their unit, long times as "2 h 5 min"."""
    least, of_value = _decimals(value, alert.limit), alert.method == "value"
    if of_value and alert.metric.startswith(LONG_TIMES):
        told = _duration(value / 1000)
        if alert.limit is None or told != _duration(alert.limit / 1000):
            return lambda number_ms: _duration(number_ms / 1000)
    unit = next((unit for of, unit in UNITS.items() if alert.metric.startswith(of)), "")
    return lambda number: _number(number, _faithful(number, least)) + unit * of_value


def _began_line(alert: AlertRecord, told_ms: int) -> str:
    parts = [] if alert.began_ms is None else [_began(alert, alert.began_ms, told_ms)]
    if alert.condition == "no_data":
        parts.append("not resolved")
    if alert.condition == "ok" and alert.reason not in RECOVERED:
        parts.append(f"not recovered: {ENDS.get(alert.reason, alert.reason.replace('_', ' '))}")
    for phrase in alert.context:
        # "two minutes after deploy v12" belongs to the beginning, the rest stands beside it
        if parts and DEPLOYED.search(phrase) and alert.condition == "firing":
            parts[0] += f", {phrase}"
        else:
            parts.append(phrase)
    return _sentence(" · ".join(parts))


def _began(alert: AlertRecord, began_ms: int, told_ms: int) -> str:
    timed = alert.window is not None and not alert.window.rows
    # a version's loss is there before it is sure
    verb = "Sure since" if alert.versus is not None else "Began"
    words = f"{verb} {stamp(began_ms, told_ms)}" + ("" if timed else " UTC")
    if alert.condition == "ok" and alert.at_ms >= began_ms:
        lasted = _duration((alert.at_ms - began_ms) / 1000)
        words += f", ended {stamp(alert.at_ms, began_ms)} after {lasted}"
    return words


def _cause_line(alert: AlertRecord) -> str:
    parts = []
    if alert.causes:
        label = "Most of it: " if len(alert.causes) > 1 else ""
        parts.append(label + ", ".join(alert.causes))
    if alert.first_bad:
        parts.append(f"first bad offset {alert.first_bad}")
    return _sentence(" · ".join(parts))


def _span(window: Span, told_ms: int) -> str:
    if window.rows:
        return f"rows {window.start:,}–{window.end:,}"
    seconds = bool(window.start % 60_000 or window.end % 60_000)
    start = stamp(window.start, told_ms, seconds=seconds)
    return f"{start}–{stamp(window.end, window.start, seconds=seconds)} UTC"


def _duration(seconds: float) -> str:
    """The two largest units: "2 h 53 min"."""
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    rest, words = round(seconds), []
    for name, size in units:
        if rest >= size:
            words.append(f"{rest // size} {name}")
            rest %= size
    return " ".join(words[:2]) or "0 s"


def _decimals(value: float, other: float | None = None) -> int:
    """As many as show the value and two digits of its distance from what it is compared with."""
    size = max(abs(value), abs(other or 0.0))
    digits = 0 if size >= 100 else 1 if size >= 10 else 2
    distance = abs(value - other) if other is not None else 0.0
    if distance:
        digits = max(digits, 1 - math.floor(math.log10(distance)))
    return min(digits, 9)


def _faithful(number: float, least: int) -> int:
    """`least` decimals, or more where these would make 8 of a limit of 7.5."""
    own = _decimals(number)
    exact = (digits for digits in range(least, own) if round(number, digits) == number)
    return next(exact, max(least, own))


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}".replace("-", "−")


def _change(value: float, reference: float) -> list[str]:
    """ "−24 %" of the reference; nothing where that is zero."""
    if not reference:
        return []
    share = (value - reference) / abs(reference) * 100
    return [f"{share:+,.{0 if abs(share) >= 9.95 else 1}f} %".replace("-", "−")]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + "s" * (number != 1)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def printable(line: str) -> str:
    """`line` with control, invisible and direction-changing characters escaped."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in line
    )
