"""The life of an alert: conditions, what moves them, and the record of each move.

`TRANSITIONS` is the whole machine. A gap in data never resolves an alert: besides recovery it ends
only because its check, version or segment is gone, and says so.
"""

from typing import Any, Literal

import msgspec

from inferwatch.records import keys
from inferwatch.records.definition import Check
from inferwatch.records.outputs import (
    FOLD_VERSION,
    AlertRecord,
    Condition,
    Severity,
    alert_fingerprint,
    identity,
)

Signal = Literal["ok", "breach", "held", "unknown", "learning", "silent", "ended"]

# (condition, signal) → (condition, reason). `breach`: past the limit, but `for` has not passed yet.
TRANSITIONS: dict[tuple[Condition, Signal], tuple[Condition, str]] = {
    ("learning", "ok"): ("ok", "learnt"),
    ("learning", "breach"): ("pending", "limit_passed"),
    ("learning", "held"): ("firing", "limit_passed"),
    ("learning", "unknown"): ("unknown", "blind"),
    ("learning", "learning"): ("learning", ""),
    ("learning", "silent"): ("no_data", "data_gone"),
    ("learning", "ended"): ("ok", "ended"),
    ("unknown", "ok"): ("ok", "sighted"),
    ("unknown", "breach"): ("pending", "limit_passed"),
    ("unknown", "held"): ("firing", "limit_passed"),
    ("unknown", "unknown"): ("unknown", ""),
    ("unknown", "learning"): ("learning", "reference_changed"),
    ("unknown", "silent"): ("no_data", "data_gone"),
    ("unknown", "ended"): ("ok", "ended"),
    ("ok", "ok"): ("ok", ""),
    ("ok", "breach"): ("pending", "limit_passed"),
    ("ok", "held"): ("firing", "limit_passed"),
    ("ok", "unknown"): ("unknown", "blind"),
    ("ok", "learning"): ("learning", "reference_changed"),
    ("ok", "silent"): ("no_data", "data_gone"),
    ("ok", "ended"): ("ok", "ended"),
    ("pending", "ok"): ("ok", "recovered_early"),
    ("pending", "breach"): ("pending", ""),
    ("pending", "held"): ("firing", "limit_passed"),
    ("pending", "unknown"): ("unknown", "blind"),
    ("pending", "learning"): ("learning", "reference_changed"),
    ("pending", "silent"): ("no_data", "data_gone"),
    ("pending", "ended"): ("ok", "ended"),
    ("firing", "ok"): ("ok", "recovered"),
    ("firing", "breach"): ("firing", ""),
    ("firing", "held"): ("firing", ""),
    ("firing", "unknown"): ("firing", ""),
    ("firing", "learning"): ("firing", ""),
    ("firing", "silent"): ("no_data", "data_gone"),
    ("firing", "ended"): ("ok", "ended"),
    ("no_data", "ok"): ("ok", "recovered"),
    ("no_data", "breach"): ("pending", "limit_passed"),
    ("no_data", "held"): ("firing", "data_back"),
    ("no_data", "unknown"): ("no_data", ""),
    ("no_data", "learning"): ("no_data", ""),
    ("no_data", "silent"): ("no_data", ""),
    ("no_data", "ended"): ("ok", "ended"),
}

FLAPS = 20
FLAPS_MASK = (1 << FLAPS) - 1
FLAP_OLDEST, FLAP_STEP = 0.8, 0.4 / 19
FLAP_IN, FLAP_OUT = 0.3, 0.15


class Instance(msgspec.Struct, kw_only=True):
    """One alert of one check: a fingerprint and where it stands.

    `history` holds (window start, level) of the windows that `times` counts; `failing` says that
    the last known level was bad, `began_ms` when that run of windows began. `fired` stays true
    through `no_data`, so that data coming back bad fires again at once. `judged_ms` is the end of
    the last window that it saw; `changes` has a bit for each of the last 20 windows, set where it
    began or ceased to fire. `blind` is why no window could be judged so far, "" once one was.
    `true_class` is the one whose errors changed, where a check on errors
    fires.
    """

    alert: str
    version: str
    feature: str
    segment: str
    condition: Condition = "unknown"
    severity: Severity = "warning"
    seq: int = 0
    seq_before: int = 0
    fired: bool = False
    history: list[tuple[int, str]] = []
    bad_since_ms: int | None = None
    ok_since_ms: int | None = None
    failing: bool = False
    began_ms: int | None = None
    first_bad: str = ""
    until_ms: int | None = None
    silenced_until_ms: int | None = None
    acknowledged: bool = False
    judged_ms: int | None = None
    changes: int = 0
    flapping: bool = False
    true_class: str = ""
    blind: str = ""

    def firing_severity(self) -> str:
        """The severity in force, "" when nothing fires."""
        return self.severity if self.condition == "firing" else ""

    def flags(self, now_ms: int) -> list[str]:
        """Flags beside the condition."""
        silenced = self.silenced_until_ms is not None and now_ms < self.silenced_until_ms
        flags = ["silenced"] * silenced + ["acknowledged"] * self.acknowledged
        return flags + ["flapping"] * self.flapping


def key(check: Check, version: str, feature: str, segment: str) -> str:
    """Where a model keeps the instance."""
    return keys.join(check.alert, version, feature, segment)


def alert_of(key: str) -> str:
    """Name of the alert that is kept under `key`."""
    return keys.split(key)[0]


def version_of(key: str) -> str:
    """The version whose alert is kept under `key`."""
    return keys.split(key)[1]


def is_of(key: str, alert: str, version: str | None) -> bool:
    """Whether an alert of that name is kept under `key`; of any version where none is given."""
    name, of, *_ = keys.split(key)
    return name == alert and version in (None, of)


def begin_anew(instances: dict[str, Instance], key: str) -> None:
    """Forget all of an alert but its `seq`, for a number that was given never comes again, and an
    operator's silence, which is of the fingerprint and ends by its own time.
    """
    old = instances.pop(key)
    if old.seq:
        instances[key] = Instance(
            alert=old.alert,
            version=old.version,
            feature=old.feature,
            segment=old.segment,
            seq=old.seq,
            seq_before=old.seq,
            silenced_until_ms=old.silenced_until_ms,
        )


def count(check: Check, instance: Instance, start: int, level: str, stride: int) -> str:
    """The level of n of the last m windows, this one and those whole multiples of its size back."""
    n, m = check.times
    oldest = start - (m - 1) * stride
    kept = [(at, seen) for at, seen in instance.history if at >= oldest]
    instance.history = [*kept, (start, level)]
    levels = [seen for at, seen in instance.history if (start - at) % stride == 0]
    if level in ("unknown", "learning"):
        return level
    if levels.count("fail") >= n:
        return "fail"
    if levels.count("fail") + levels.count("warn") >= n:
        return "warn"
    return "ok"


def signal(check: Check, instance: Instance, level: str, bad_from_ms: int, now_ms: int) -> Signal:
    """What the level means, given how long `for` and `keep_firing_for` ask it to last."""
    if level == "unknown":
        return "unknown"
    if level == "learning":
        return "learning"
    if level == "ok":
        instance.bad_since_ms = None
        if instance.condition != "firing" or not check.keep_firing_for_ms:
            return "ok"
        if instance.ok_since_ms is None:
            instance.ok_since_ms = now_ms
        lasted_ms = now_ms - instance.ok_since_ms
        return "ok" if lasted_ms >= check.keep_firing_for_ms else "held"
    instance.ok_since_ms = None
    if instance.bad_since_ms is None:
        instance.bad_since_ms = bad_from_ms
    if instance.fired or now_ms - instance.bad_since_ms >= check.for_ms:
        return "held"
    return "breach"


def flap(instance: Instance, *, changed: bool) -> str:
    """Count a window; gives "flapping" or "steady" where the flag is set or taken away, else "".

    Of the last 21 windows, the share that began or ended a firing, the newest weighing half as much
    again as the oldest: in at 30 %, when it fires, out at 15 %. Source: Nagios Core, "Detection and
    Handling of State Flapping".
    """
    instance.changes = (instance.changes << 1 | changed) & FLAPS_MASK
    if not instance.changes and not instance.flapping:
        return ""
    weights = [FLAP_OLDEST + FLAP_STEP * at for at in range(FLAPS)]
    share = sum(
        weight for at, weight in enumerate(weights) if instance.changes >> (FLAPS - 1 - at) & 1
    ) / sum(weights)
    if instance.flapping and share <= FLAP_OUT:
        instance.flapping = False
        return "steady"
    if not instance.flapping and share >= FLAP_IN and instance.condition == "firing":
        instance.flapping = True
        return "flapping"
    return ""


class Move(msgspec.Struct, frozen=True):
    """A change worth telling: from what, and why."""

    previous: Condition
    reason: str


def move(instance: Instance, sign: Signal, severity: Severity, reason: str = "") -> Move | None:
    """Move the instance; None where nobody need hear of it.

    An alert is on the topic from its first `pending` or `firing` on; before that it has no record.
    """
    previous, before = instance.condition, instance.severity
    instance.condition, why = TRANSITIONS[(previous, sign)]
    if instance.condition in ("pending", "firing") and sign in ("breach", "held"):
        instance.severity = severity
    if instance.condition == "firing":
        instance.fired = True
    elif instance.condition != "no_data":
        instance.fired = instance.acknowledged = False
    if instance.condition != "pending" and not instance.fired:
        instance.bad_since_ms = None  # a gap ends what was pending: `for` counts anew behind it
    if previous == instance.condition:
        if instance.condition != "firing" or before == instance.severity:
            return None
        order = ("info", "warning", "critical")
        raised = order.index(instance.severity) > order.index(before)
        return Move(previous, "severity_raised" if raised else "severity_lowered")
    if instance.seq == instance.seq_before and instance.condition not in ("pending", "firing"):
        return None
    return Move(previous, reason or why)


def after_silence(instance: Instance, now_ms: int) -> Move | None:
    """End a silence that is over; a move where the alert fires, of which channels heard nothing.

    `now_ms` is record time: an operator asks for hours of the clock on the wall, and rows and their
    labels may be any time behind it.
    """
    if instance.silenced_until_ms is None or now_ms < instance.silenced_until_ms:
        return None
    instance.silenced_until_ms = None
    return Move("firing", "silence_over") if instance.condition == "firing" else None


def record(
    model: str,
    check: Check,
    instance: Instance,
    moved: Move,
    at_ms: int,
    now_ms: int,
    **found: Any,
) -> AlertRecord:
    """The record of a move; takes the next `seq`. `found` are further fields of the record.

    :param now_ms: time of the record being folded, the clock that silences end by.
    """
    instance.seq += 1
    fingerprint = alert_fingerprint(
        check.alert, model, instance.version, instance.feature, instance.segment
    )
    fields: dict[str, Any] = {
        "id": identity(fingerprint, instance.seq, FOLD_VERSION),
        "fingerprint": fingerprint,
        "seq": instance.seq,
        "alert": check.alert,
        "model": model,
        "version": instance.version,
        "feature": instance.feature,
        "segment": instance.segment,
        "severity": instance.severity,
        "condition": instance.condition,
        "previous": moved.previous,
        "reason": moved.reason,
        "mode": check.mode,
        "flags": instance.flags(now_ms),
        "labels": check.labels,
        "annotations": check.annotations,
        "metric": check.metric,
        "method": check.method,
        "at_ms": at_ms,
        "began_ms": instance.began_ms,
        "first_bad": instance.first_bad,
    }
    return AlertRecord(**(fields | found))
