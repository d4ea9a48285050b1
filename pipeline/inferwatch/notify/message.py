"""An alert in Alertmanager's words, as webhook and Alertmanager get it: labels and annotations."""

from datetime import UTC, datetime

from inferwatch.notify import text
from inferwatch.records.notified import Plan
from inferwatch.records.outputs import AlertRecord


def labels_of(alert: AlertRecord) -> dict[str, str]:
    """Identity, for routing: never a number in it, and a check's own labels cannot replace ours."""
    ours = {
        "alertname": alert.alert,
        "severity": alert.severity,
        "model": alert.model,
        "version": alert.version,
        "feature": alert.feature,
        "segment": alert.segment,
        "source": "inferwatch",
    }
    return alert.labels | {name: value for name, value in ours.items() if value}


def annotations_of(plan: Plan, now_ms: int) -> dict[str, str]:
    """What was measured, and the message as text; a check's own annotations stand first."""
    alert = plan.alert
    window = alert.window
    known = {
        "summary": text.header(alert),
        "description": text.render(alert, plan.at_ms, now_ms),
        "condition": alert.condition,
        "reason": alert.reason,
        "value": alert.value,
        "threshold": alert.limit,
        "reference": alert.reference,
        "window_start": window and (window.start if window.rows else rfc3339(window.start)),
        "window_end": window and (window.end if window.rows else rfc3339(window.end)),
        "evidence": alert.first_bad,
        "alert_id": alert.id,
        "seq": alert.seq,
    }
    ours = {name: str(value) for name, value in known.items() if value not in (None, "")}
    return ours | alert.annotations


def rfc3339(time_ms: int) -> str:
    """UTC, to the millisecond."""
    at = datetime.fromtimestamp(time_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
