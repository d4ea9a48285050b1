"""Words that travel in an alert: what else happened, and which feature moved most.

Features are ranked by PSI; every phrase is complete, so that a channel need not know anything.
"""

from collections.abc import Mapping, Sequence

from inferwatch.core import anomaly
from inferwatch.core.drift.columns import Drift
from inferwatch.core.figure import Figure
from inferwatch.core.figures import PSI_DRIFTED
from inferwatch.core.metrics.estimated import ESTIMATES
from inferwatch.core.parts import PARTS, Column
from inferwatch.records.definition import CategoryProfile, NumericProfile
from inferwatch.records.events import Deploy, Inspection, Pair, Slice
from inferwatch.records.outputs import FeatureFigures, percent

DEPLOY_NEAR_MS = 3_600_000
LATENCY_NORMAL = 3.0
CAUSES_MAX = 3
GAPS_MOVED = 0.1
_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
]


_LOST = {
    "dropped": "dropped by senders",
    "skipped": "records skipped",
    "gap": "records of the log lost",
}


def telling(inspection: Inspection | None) -> list[str]:
    """What an inspector says beside its figure: the features that matter most, pairs of them that
    no longer go together, or a window's figures.
    """
    if inspection is None:
        return []
    told = []
    if inspection.figures:
        told.append(f"figures farthest from past windows: {_spreads(inspection.figures)}")
    if inspection.features:
        ordered = sorted(inspection.features.items(), key=lambda pair: (-pair[1], pair[0]))
        words = [f"{name} ({percent(share)})" for name, share in ordered[:CAUSES_MAX]]
        told.append(f"tells by {', '.join(words)}")
    if inspection.pairs:
        told.append(f"correlation of {', '.join(map(_tie, inspection.pairs[:CAUSES_MAX]))}")
    return told


def _tie(pair: Pair) -> str:
    """ "amount and age 0.80 → 0.12"."""
    moved = f"{pair.before:.2f} → {pair.now:.2f}".replace("-", "−")
    return f"{' and '.join(pair.features)} {moved}"


def where_new(worst: Slice | None) -> list[str]:
    """ "new where amount > 512 and age ≤ 30: 38 % of rows, 4 % of the reference's"."""
    if worst is None:
        return []
    here, there = percent(worst.share), percent(worst.reference_share)
    return [f"new where {worst.rule}: {here} of rows, {there} of the reference's"]


def where_wrong(found: Inspection | None) -> list[str]:
    """ "errors where age ≤ 30: 41 % of 120 rows, 12 % before; elsewhere 9 %, 8 % before", of
    numbers "errors above 2.5 where …".
    """
    if found is None or found.errors is None:
        return []
    there = found.errors
    above = "" if there.above is None else f" above {_number(there.above)}"
    now, before = percent(there.error_rate), percent(there.before)
    elsewhere = f"{percent(there.elsewhere)}, {percent(there.elsewhere_before)} before"
    inside = f"{now} of {there.rows:,} rows, {before} before"
    return [f"errors{above} where {there.rule}: {inside}; elsewhere {elsewhere}"]


def as_given(metric: str, *, calibrated: bool | None) -> list[str]:
    """What an estimate stands on, where no label has shown that scores are probabilities."""
    unproven = metric in ESTIMATES and not calibrated
    return ["estimated from scores as given: the reference lacks labels"] if unproven else []


def lost(found: Mapping[str, int]) -> list[str]:
    """ "may lack rows: 12 dropped by senders": what is not in the window's figures."""
    words = [f"{found[why]:,} {said}" for why, said in _LOST.items() if why in found]
    return [f"may lack rows: {', '.join(words)}"] if words else []


def _spreads(figures: Mapping[str, float]) -> str:
    """ "latency.p99 (+12 sd), cpu (-3.1 sd)": the farthest first."""
    ordered = sorted(figures.items(), key=lambda pair: (-abs(pair[1]), pair[0]))
    return ", ".join(f"{name} ({far:+.3g} sd)" for name, far in ordered[:CAUSES_MAX])


def ranked(drifts: Mapping[str, Drift]) -> list[tuple[str, float]]:
    """Features by PSI, the largest first; ties by name."""
    known = [
        (name.removeprefix("feature."), drift.psi.value)
        for name, drift in drifts.items()
        if name.startswith("feature.") and drift.psi.value is not None
    ]
    return sorted(known, key=lambda pair: (-pair[1], pair[0]))


def causes(drifted: Sequence[tuple[str, float]], judged: int) -> list[str]:
    """ "amount (PSI 4.10)", …, "19 of 20 features quiet"; nothing where no reference is known."""
    if not judged:
        return []
    moved = [pair for pair in drifted if pair[1] > PSI_DRIFTED]
    words = [f"{name} (PSI {value:.2f})" for name, value in moved[:CAUSES_MAX]]
    return [*words, f"{judged - len(moved)} of {judged} features quiet"]


def after_deploy(deploys: Sequence[Deploy], began_ms: int, version: str) -> list[str]:
    """ "two minutes after deploy v12" for the last deploy within an hour before the beginning, and,
    where it is `version` that is worse since, to which version one could go back.
    """
    near = [deploy for deploy in deploys if 0 <= began_ms - deploy.time_ms <= DEPLOY_NEAR_MS]
    if not near:
        return []
    last = max(near, key=lambda deploy: deploy.time_ms)
    words = [f"{_minutes(began_ms - last.time_ms)} after {last.kind} v{last.version}"]
    earlier = [one for one in deploys if one.time_ms < last.time_ms and one.version != version]
    if earlier and (last.kind, last.version) == ("deploy", version):
        before = max(earlier, key=lambda deploy: deploy.time_ms)
        words.append(f"v{before.version} was live before: roll back to it if it was well")
    return words


def since_deploy(deploys: Sequence[Deploy], at_ms: int, version: str) -> list[str]:
    """ "5 hours after deploy v12": how long the version had been live by its newest record."""
    live = [one for one in deploys if one.version == version and one.time_ms <= at_ms]
    if not live:
        return []
    hours = (at_ms - live[-1].time_ms) // 3_600_000
    spent = _minutes(at_ms - live[-1].time_ms) if hours < 2 else f"{hours} hours"
    spent = spent if hours < 48 else f"{hours // 24} days"
    return [f"{spent} after {live[-1].kind} v{version}"]


def usual(metric: str, past: Sequence[float], now: float | None) -> list[str]:
    """ "rows usually 1,200, now 300": what a distance from windows before is the distance of."""
    if now is None or not len(past):
        return []
    unit = " ms" if metric.startswith("latency.") else ""
    median = sorted(past)[len(past) // 2]
    return [f"{metric} usually {_number(median)}{unit}, now {_number(now)}{unit}"]


def moved_mean(name: str, before: NumericProfile | None, now: float | None) -> list[str]:
    """ "mean of amount 50.2 → 80.1": which way a column of numbers drifted."""
    if before is None or now is None:
        return []
    return [f"mean of {name} {_number(before.mean)} → {_number(now)}"]


def moved_word(before: CategoryProfile, now: Mapping[str, int]) -> list[str]:
    """ "'web' 50 % → 12 % of rows": the word whose share changed most; ties by the word."""
    was = dict(zip(before.words, before.counts, strict=True))
    sums = max(sum(was.values()), 1), max(sum(now.values()), 1)
    shares = {
        word: (was.get(word, 0) / sums[0], now.get(word, 0) / sums[1]) for word in [*was, *now]
    }
    if not shares or not sum(now.values()):
        return []
    word = min(shares, key=lambda word: (-abs(shares[word][1] - shares[word][0]), word))
    first, then = shares[word]
    return [f"'{word}' {percent(first)} → {percent(then)} of rows"]


def moved(
    name: str, before: Column, now: FeatureFigures | None, words: Mapping[str, int]
) -> list[str]:
    """Which way a feature drifted, in plain numbers; nothing of one that nobody ever sent."""
    if now is None:
        return []
    missing, was = PARTS["missing"].read(now, before)
    gaps = moved_gaps(name, was, missing.value)
    if isinstance(before, CategoryProfile):
        return gaps + moved_word(before, words)
    return gaps + moved_mean(name, before, now.mean)


def moved_gaps(name: str, before: float | None, now: float | None) -> list[str]:
    """ "age missing 0 % → 99 % of rows", from ten points on: then it is most of a drift, or all."""
    if before is None or now is None or abs(now - before) < GAPS_MOVED:
        return []
    return [f"{name} missing {percent(before)} → {percent(now)} of rows"]


def _number(value: float) -> str:
    """Three digits that count, without an exponent where people would not write one."""
    return f"{value:,.0f}" if 1_000 <= abs(value) < 1e15 else f"{value:.3g}"


def _minutes(span_ms: int) -> str:
    minutes = span_ms // 60_000
    if not minutes:
        return "less than a minute"
    number = _SMALL[minutes] if minutes < len(_SMALL) else str(minutes)
    return f"{number} minute" + "s" * (minutes != 1)


def other_segments(segment: str, levels: Mapping[str, str]) -> list[str]:
    """ "other country values unchanged" where no other segment of the column is past its limit."""
    if not segment:
        return []
    column = segment.split("=", 1)[0]
    others = {
        name: level
        for name, level in levels.items()
        if name != segment
        and name.startswith(f"{column}=")
        and level not in ("unknown", "learning")
    }
    if not others:
        return []
    bad = sorted(name for name, level in others.items() if level in ("warn", "fail"))
    if not bad:
        return [f"other {column} values unchanged"]
    return [f"also {', '.join(bad[:CAUSES_MAX])}" + " …" * (len(bad) > CAUSES_MAX)]


def serving(metric: str, metrics: Mapping[str, Figure], instances: Mapping[str, str]) -> list[str]:
    """ "highest cpu 0.97, at pod-7" for a check on it, and "1 restart, last of pod-7" for any."""
    told = []
    name = metric.removesuffix(".max")
    peak = f"{name}.max"
    if peak in instances:
        told.append(f"highest {name} {_value(metrics[peak])}, at {instances[peak]}")
    if metric == "uptime" and metric in instances:
        told.append(f"the youngest is {instances[metric]}")
    if "restarts" in instances:
        restarts = _value(metrics["restarts"])
        told.append(f"{restarts} restart{'s' * (restarts != '1')}, last of {instances['restarts']}")
    return told


def _value(figure: Figure) -> str:
    return f"{figure.value or 0.0:.3g}"


def latency(past: Sequence[float], now: float | None) -> list[str]:
    """ "latency normal", or how p99 moved; nothing while too little is known."""
    if now is None:
        return []
    score = anomaly.score("zscore", {}, past, now).value
    if score is None:
        return []
    if score < LATENCY_NORMAL:
        return ["latency normal"]
    return [f"latency p99 {sum(past) / len(past):.3g} → {now:.3g} ms"]
