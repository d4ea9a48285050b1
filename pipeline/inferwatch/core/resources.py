"""Samples of the serving processes in a window: what they used, how long they live, who restarted.

State: up to 450 bytes a pane, and 30 an instance for each window definition and version.
Cost: 2 µs a sample and window definition, nothing for models without samples.
"""

from typing import TypeVar

import msgspec

from inferwatch.core.columns import OTHER, Columns
from inferwatch.core.figure import Figure, known
from inferwatch.records.definition import ModelFacts
from inferwatch.records.events import Resource

T = TypeVar("T")

NAMES = ("cpu", "memory", "throttled", "gpu", "gpu_memory")
SHARES = (*NAMES, *(f"{name}.max" for name in NAMES))
AMOUNTS = ("restarts",)
DURATIONS = ("uptime",)
INSTANCES_MAX = 1_000


class Gauge(msgspec.Struct):
    """Samples of a resource in a pane; the highest was of instance `where`."""

    n: int = 0
    total: float = 0.0
    most: float = 0.0
    where: str = ""


class Lives(msgspec.Struct):
    """Samples that say when their process began, the latest `started_ms`, of instance `youngest`.

    Of `restarts` the last was of instance `restarted`.
    """

    n: int = 0
    started_ms: int = 0
    youngest: str = ""
    restarts: int = 0
    restarted: str = ""


def restarted(heard: dict[str, int], sample: Resource) -> bool:
    """Whether its process began after the newest sample before of the same instance.

    `heard` is the time of that by instance, of up to 1,000 of them; the one silent longest leaves.
    What repeats or comes late is no restart, nor are processes that share an instance's name.
    """
    if sample.started_ms is None:
        return False
    newest_ms = heard.pop(sample.instance, sample.time_ms)
    heard[sample.instance] = max(newest_ms, sample.time_ms)
    _bound(heard)
    return newest_ms < sample.started_ms <= sample.time_ms


def segments(columns: Columns, facts: ModelFacts, sample: Resource) -> list[str]:
    """The segments that the sample is of, where the model is cut by `instance` or `hardware`.

    Remembers the hardware of up to 1,000 instances, which their rows do not say.
    """
    found = []
    for name, value in (("instance", sample.instance), ("hardware", sample.hardware)):
        if name not in facts.segments or not value:
            continue
        if name == "hardware":
            columns.hardware.pop(sample.instance, None)
            columns.hardware[sample.instance] = value
            _bound(columns.hardware)
        known, places = columns.segments.get(name, []), columns.places.get(name)
        value = value if value in (known if places is None else places.taken) else OTHER
        if value in known:
            found.append(f"{name}:{known.index(value)}")
    return found


def _bound(instances: dict[str, T]) -> None:
    """The one silent longest leaves."""
    while len(instances) > INSTANCES_MAX:
        del instances[next(iter(instances))]


def add(gauges: dict[str, Gauge], sample: Resource) -> None:
    """Add what a process used, in shares of at most 1."""
    for name in NAMES:
        value = getattr(sample, name)
        if value is not None:
            share = min(1.0, value)
            _merge(gauges.setdefault(name, Gauge()), Gauge(1, share, share, sample.instance))


def life(sample: Resource, *, restarted: bool) -> Lives | None:
    """What one sample says; None where it does not say when its process began."""
    if sample.started_ms is None:
        return None
    return Lives(
        n=1,
        started_ms=sample.started_ms,
        youngest=sample.instance,
        restarts=int(restarted),
        restarted=sample.instance if restarted else "",
    )


def merge(into: dict[str, Gauge], other: dict[str, Gauge]) -> None:
    """Add the samples of a later pane."""
    for name, gauge in other.items():
        _merge(into.setdefault(name, Gauge()), gauge)


def _merge(into: Gauge, other: Gauge) -> None:
    if not into.n or other.most > into.most:
        into.most, into.where = other.most, other.where
    into.n, into.total = into.n + other.n, into.total + other.total


def merge_lives(one: Lives | None, later: Lives | None) -> Lives | None:
    """Both; `later` is of a later sample or pane."""
    if one is None or later is None:
        return one or later
    youngest = max(one, later, key=lambda lives: lives.started_ms)
    return Lives(
        one.n + later.n,
        youngest.started_ms,
        youngest.youngest,
        one.restarts + later.restarts,
        later.restarted or one.restarted,
    )


def figures(gauges: dict[str, Gauge], lives: Lives | None, end_ms: int) -> dict[str, Figure]:
    """What was sampled: means and peaks, restarts, uptime of the youngest process at `end_ms`."""
    found = {}
    for name, gauge in gauges.items():
        found[name] = known(gauge.total / gauge.n, gauge.n, "too large to add up")
        found[f"{name}.max"] = Figure(gauge.most, gauge.n)
    if lives is not None:
        found["restarts"] = Figure(float(lives.restarts), lives.n)
        found["uptime"] = Figure(float(max(0, end_ms - lives.started_ms)), lives.n)
    return found


def instances(gauges: dict[str, Gauge], lives: Lives | None) -> dict[str, str]:
    """The instance that each such figure is of; of restarts the last."""
    found = {f"{name}.max": gauge.where for name, gauge in gauges.items()}
    if lives is not None:
        found |= {"uptime": lives.youngest, "restarts": lives.restarted}
    return {name: instance for name, instance in found.items() if instance}
