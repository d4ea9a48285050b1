"""What on-call may do about an alert: one sentence by what it is about, and where to read more."""

from inferwatch.core.metrics import LATENESS, on_labels
from inferwatch.notify.stamps import stamp
from inferwatch.records.outputs import AlertRecord, Versus

ID_DIGITS = 8
RUNBOOK = "runbook_url"
"""The annotation of a check that names its runbook, as Prometheus' rules have it."""
SENDERS = "see whether the model's servers run and reach the brokers"
LABELS_LATE = "see whether labels still come, and from where"
WORSE = (
    "see whether a deploy or the drifted features explain it; else go back to the version before"
)
SOURCE = "ask who feeds it what changed; if that is meant, make it the reference"
SERVING = "look at the serving processes and at what was deployed last"
DROPPED = "see in the SDK's counters why it drops rows"
ODD = "look at its figures beside those of the same hours of other days"
BY_METRIC = (
    (("label_delay.", "maturity"), LABELS_LATE),
    (("estimated.",), WORSE),
    (("captured",), DROPPED),
    (("rows", "throughput", "freshness", "duplicate_rate"), SENDERS),
    (
        (
            *("latency.", "error_rate", "availability", "timeout_rate", "restarts", "uptime"),
            *("cpu", "memory", "gpu", "throttled", "time_to_first_token.", "tokens_per_second."),
        ),
        SERVING,
    ),
    (
        (
            *("feature.", "features", "drift_share", "schema_changes", "score", "prediction"),
            "embedding",
        ),
        SOURCE,
    ),
)


def next_step(alert: AlertRecord) -> str:
    """ "Next: ask who … · inferwatch alerts show 1f2e3d4c · https://…"; of what is over, or asks
    for nothing, the command alone.
    """
    show = f"inferwatch alerts show {alert.fingerprint[:ID_DIGITS]}"
    if alert.condition != "firing" or alert.severity == "info":
        return show
    parts = [_advice(alert), show, alert.annotations.get(RUNBOOK, "")]
    return f"Next: {' · '.join(part for part in parts if part)}"


def _advice(alert: AlertRecord) -> str:
    if alert.method == "absent":
        return SENDERS
    if alert.versus is not None:
        return _back(alert.versus)
    if alert.metric == "error" or (on_labels(alert.metric) and alert.metric not in LATENESS):
        return WORSE
    for prefixes, words in BY_METRIC:
        if alert.metric.startswith(prefixes):
            return words
    return ODD


def _back(versus: Versus) -> str:
    """ "roll back to v11, deployed 2026-11-29 08:00 UTC (retrained), and tell the log: …"."""
    since = ""
    if versus.deployed_ms is not None:
        since = f", deployed {stamp(versus.deployed_ms)} UTC"
        since += f" ({versus.note})" if versus.note else ""
    call = f'Monitor.deploy("{versus.version}", rollback=True)'
    return f"roll back to v{versus.version}{since}, and tell the log: {call}"
