"""What on-call may do: a sentence for whatever a check can look at, and where to read more."""

import pytest

from inferwatch.config import checks
from inferwatch.notify.next_step import ODD, SENDERS, SERVING, SOURCE, WORSE, next_step
from inferwatch.records.outputs import Versus
from inferwatch.testing.alerts import TOLD_MS, alert_record


@pytest.mark.parametrize(
    ("metric", "method", "words"),
    [
        ("traffic", "absent", SENDERS),
        ("recall", "value", WORSE),
        ("class.*.recall", "value", WORSE),
        ("error", "adwin", WORSE),
        ("ndcg@5", "value", WORSE),
        ("estimated.accuracy", "value", WORSE),
        ("latency.p99", "auto", SERVING),
        ("feature.*", "psi", SOURCE),
        ("feature.amount.missing", "value", SOURCE),
        ("features", "isolation_forest", SOURCE),
        ("cost.total", "value", ODD),
    ],
)
def test_what_fires_says_what_to_do_next(metric, method, words):
    """By what the check looks at; then the command that shows the alert by its own id."""
    alert = alert_record(metric=metric, method=method)
    assert next_step(alert) == f"Next: {words} · inferwatch alerts show {alert.fingerprint[:8]}"


def test_every_metric_has_a_sentence():
    """Of any method; a figure that is added without one says at least where to look."""
    for method, metrics in checks.METRICS.items():
        for metric in metrics:
            assert len(next_step(alert_record(metric=metric, method=method)).split(" · ")) == 2


def test_a_worse_version_is_told_which_to_go_back_to():
    """With the deploy record of the other where there is one, and how to tell the log."""
    back = 'and tell the log: Monitor.deploy("11", rollback=True)'
    for found, words in (
        (Versus(version="11", low=-0.1, high=-0.02), f"roll back to v11, {back}"),
        (
            Versus(version="11", low=0.1, high=0.2, deployed_ms=TOLD_MS, note="retrained"),
            f"roll back to v11, deployed 2026-02-25 15:00 UTC (retrained), {back}",
        ),
        (
            Versus(version="11", low=0.1, high=0.2, deployed_ms=-1),
            f"roll back to v11, deployed -1 ms UTC, {back}",
        ),
    ):
        assert next_step(alert_record(versus=found)).startswith(f"Next: {words} · inferwatch ")


def test_a_runbook_is_named():
    """That of the check's own annotation, last."""
    alert = alert_record(annotations={"runbook_url": "https://wiki/recall", "owner": "risk"})
    assert next_step(alert).endswith(" · https://wiki/recall")


@pytest.mark.parametrize("condition", ["ok", "pending", "no_data"])
def test_what_does_not_fire_asks_for_nothing(condition):
    """Neither does what is told for information; the command that shows it stands there."""
    for alert in (alert_record(condition=condition), alert_record(severity="info")):
        assert next_step(alert) == f"inferwatch alerts show {alert.fingerprint[:8]}"
