"""What Grafana's dashboards show: the fleet, one model, the pipeline's own health."""

from collections.abc import Sequence
from typing import NamedTuple

WORKER = 'job="inferwatch-worker"'
RATE = "$__rate_interval"


class Panel(NamedTuple):
    """One panel; `queries` are (PromQL, legend)."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 12
    about: str = ""


def stat(title: str, query: str, unit: str = "short", about: str = "") -> Panel:
    """A figure as it stands."""
    return Panel(title, [(query, "")], unit, "stat", 6, about)


def quantile(q: float, metric: str, by: str = "", where: str = "") -> str:
    """A quantile of a histogram over the last interval."""
    chosen = f"{{{where}}}" if where else ""
    labels = ", ".join(part for part in (by, "le") if part)
    return f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{chosen}[{RATE}])))"


FLEET = [
    stat("Models watched", "sum(inferwatch_models)"),
    stat("Alerts that fire", "sum(inferwatch_alert_firing)"),
    stat("Rows a second", f"sum(rate(inferwatch_in_total[{RATE}]))", "cps"),
    stat("Workers that answer", f"sum(up{{{WORKER}}})"),
    Panel(
        "What fires",
        [("sum by (model, alertname, severity) (inferwatch_alert_firing) > 0", "")],
        kind="table",
        width=24,
        about="Empty while nothing fires. inferwatch_alert_firing counts fingerprints.",
    ),
    Panel(
        "Rows a second by model (10 busiest)",
        [("topk(10, sum by (model) (deriv(inferwatch_model_rows[5m])))", "{{model}}")],
        "cps",
    ),
    Panel(
        "Age of the newest event by model (10 oldest)",
        [
            (
                "topk(10, time() - max by (model) (inferwatch_last_event_timestamp_seconds))",
                "{{model}}",
            )
        ],
        "s",
    ),
    Panel(
        "Largest drift by model (PSI, 10 largest)",
        [
            (
                'topk(10, max by (model) (inferwatch_drift_score{method="psi"}))',
                "{{model}}",
            )
        ],
    ),
    Panel(
        "Label coverage by model (10 least covered)",
        [("bottomk(10, min by (model) (inferwatch_label_coverage_ratio))", "{{model}}")],
        "percentunit",
    ),
    Panel(
        "Share of failed answers by model (10 worst)",
        [
            (
                'topk(10, max by (model) (inferwatch_window_ratio{metric="error_rate"}))',
                "{{model}}",
            )
        ],
        "percentunit",
    ),
    Panel(
        "Latency by model (99th percentile, 10 slowest)",
        [
            (
                f"topk(10, {quantile(0.99, 'inferwatch_prediction_latency_seconds', 'model')})",
                "{{model}}",
            )
        ],
        "s",
    ),
]

THIS = 'model="$model"'
ERRORS = "log_loss|brier|calibration_bias|calibration_error|mae|rmse|bias|mape"
RESOURCES = "cpu|memory|throttled|gpu|gpu_memory"
SHARES = (
    "accuracy|balanced_accuracy|precision|recall|f1|specificity|auc|average_precision|macro_.*"
    "|weighted_.*"
)
MODEL = [
    stat("Rows folded", f"max(inferwatch_model_rows{{{THIS}}})"),
    stat("Alerts that fire", f"sum(inferwatch_alert_firing{{{THIS}}})"),
    stat(
        "Label coverage",
        f"min(inferwatch_label_coverage_ratio{{{THIS}}})",
        "percentunit",
        "Of the window whose quality is shown.",
    ),
    stat(
        "Age of the newest event",
        f"time() - max(inferwatch_last_event_timestamp_seconds{{{THIS}}})",
        "s",
    ),
    Panel(
        "Quality by label (shares)",
        [
            (
                "max by (version, window, metric) (inferwatch_quality"
                f'{{{THIS}, metric=~"{SHARES}"}})',
                "{{metric}} {{version}} {{window}}",
            )
        ],
        "percentunit",
        about="Of the newest window whose labels have come; the panel on its age tells which.",
    ),
    Panel(
        "Quality by label (errors)",
        [
            (
                "max by (version, window, metric) (inferwatch_quality"
                f'{{{THIS}, metric=~"{ERRORS}"}})',
                "{{metric}} {{version}} {{window}}",
            )
        ],
    ),
    Panel(
        "Accuracy: estimated, corrected, by labels",
        [
            (
                "max by (version, window) (inferwatch_window_ratio"
                f'{{{THIS}, metric="estimated.accuracy"}})',
                "estimated {{version}} {{window}}",
            ),
            (
                "max by (version, window) (inferwatch_quality"
                f'{{{THIS}, metric="corrected.accuracy"}})',
                "corrected {{version}} {{window}}",
            ),
            (
                f'max by (version, window) (inferwatch_quality{{{THIS}, metric="accuracy"}})',
                "by labels {{version}} {{window}}",
            ),
        ],
        "percentunit",
        about="Of models with checks on the first two. The estimate is of "
        "the newest window, what labels say of one before: where they part for long, inputs and "
        "truths are related in another way.",
    ),
    Panel(
        "Recall by class (10 lowest)",
        [
            (
                "bottomk(10, max by (version, window, class) "
                f'(inferwatch_class_quality{{{THIS}, metric="recall"}}))',
                "{{class}} {{version}} {{window}}",
            )
        ],
        "percentunit",
        about="Of models of several classes: of the 20 classes with most labels.",
    ),
    Panel(
        "Drift (PSI, 10 largest)",
        [
            (
                "topk(10, max by (version, window, feature) "
                f'(inferwatch_drift_score{{{THIS}, method="psi"}}))',
                "{{feature}} {{version}} {{window}}",
            )
        ],
    ),
    Panel(
        "Limits of the checks on drift",
        [
            (
                "max by (window, method, feature, severity) "
                f"(inferwatch_drift_threshold{{{THIS}}})",
                "{{method}} {{feature}} {{window}} {{severity}}",
            )
        ],
    ),
    Panel(
        "Latency",
        [
            (quantile(q, "inferwatch_prediction_latency_seconds", "version", THIS), legend)
            for q, legend in ((0.5, "half {{version}}"), (0.99, "99 % {{version}}"))
        ],
        "s",
    ),
    Panel(
        "Answers",
        [
            (
                "max by (version, window, metric) (inferwatch_window_ratio"
                f'{{{THIS}, metric!~"{RESOURCES}|estimated.*"}})',
                "{{metric}} {{version}} {{window}}",
            )
        ],
        "percentunit",
    ),
    Panel(
        "Resources of the serving processes (means)",
        [
            (
                "max by (version, window, metric) (inferwatch_window_ratio"
                f'{{{THIS}, metric=~"{RESOURCES}"}})',
                "{{metric}} {{version}} {{window}}",
            )
        ],
        "percentunit",
        about="Of all instances that the SDK samples; windows name the highest one.",
    ),
    Panel(
        "Restarts of serving processes",
        [
            (
                f'max by (version, window) (inferwatch_window_figure{{{THIS}, metric="restarts"}})',
                "{{version}} {{window}}",
            )
        ],
    ),
    Panel(
        "Tokens and cost of a call (means)",
        [
            (
                "max by (version, window, metric) (inferwatch_window_figure"
                f'{{{THIS}, metric=~"(input_tokens|output_tokens|cost).mean"}})',
                "{{metric}} {{version}} {{window}}",
            )
        ],
        about="Of language models; cost in the currency that the server logs.",
    ),
    Panel(
        "Time to first token",
        [
            (
                "max by (version, window, metric) (inferwatch_window_figure"
                f'{{{THIS}, metric=~"time_to_first_token.p.*"}})',
                "{{metric}} {{version}} {{window}}",
            )
        ],
        "ms",
    ),
    Panel(
        "Age of what the quality is of",
        [
            (
                "time() - max by (version, window) "
                f"(inferwatch_quality_timestamp_seconds{{{THIS}}})",
                "{{version}} {{window}}",
            )
        ],
        "s",
        about="Grows while no labels come: the quality shown is old then, and not known now.",
    ),
    Panel(
        "Rows a second",
        [(f"sum(deriv(inferwatch_model_rows{{{THIS}}}[5m]))", "rows")],
        "cps",
    ),
    Panel(
        "What fires",
        [
            (
                f"sum by (alertname, severity) (inferwatch_alert_firing{{{THIS}}})",
                "{{alertname}} {{severity}}",
            )
        ],
    ),
]

PIPELINE = [
    stat("Workers ready", f"sum(inferwatch_ready{{{WORKER}}})"),
    stat("Partitions owned", f"sum(inferwatch_partitions{{{WORKER}}})"),
    stat("Records that wait", f"sum(inferwatch_lag_records{{{WORKER}}})"),
    stat(
        "Longest since a commit",
        "max(time() - inferwatch_commit_timestamp_seconds)",
        "s",
        "What a kill would have folded again. The group's answer, by partition.",
    ),
    Panel(
        "Our own alerts",
        [('ALERTS{alertname=~"Inferwatch.*"}', "")],
        kind="table",
        width=24,
        about="Empty while all is well. docs/operating.md has a runbook for each.",
    ),
    Panel(
        "Rows a second by outcome",
        [
            (f"sum(rate(inferwatch_ok_total[{RATE}]))", "ok"),
            (f"sum(rate(inferwatch_rejected_total[{RATE}]))", "rejected"),
            (f"sum(rate(inferwatch_duplicate_total[{RATE}]))", "duplicate"),
            (f"sum(rate(inferwatch_late_total[{RATE}]))", "late"),
        ],
        "cps",
    ),
    Panel(
        "Records that wait",
        [(f"inferwatch_lag_records{{{WORKER}}}", "{{instance}}")],
    ),
    Panel(
        "From record time to fold",
        [
            (quantile(0.5, "inferwatch_event_delay_seconds"), "half"),
            (quantile(0.99, "inferwatch_event_delay_seconds"), "99 %"),
        ],
        "s",
        about="Exemplars name the record: topic, partition and offset.",
    ),
    Panel(
        "Since the last commit",
        [
            (
                "max by (instance) (time() - inferwatch_commit_timestamp_seconds)",
                "{{instance}}",
            )
        ],
        "s",
    ),
    Panel(
        "Since the last record folded",
        [
            (
                "max by (instance) (time() - inferwatch_progress_timestamp_seconds)",
                "{{instance}}",
            )
        ],
        "s",
    ),
    Panel("Event loop waits", [("inferwatch_loop_lag_seconds", "{{job}} {{instance}}")], "s"),
    Panel(
        "Partitions and takeovers",
        [
            (f"inferwatch_partitions{{{WORKER}}}", "{{instance}}"),
            (f"increase(inferwatch_rebalances_total{{{WORKER}}}[5m])", "takeovers {{instance}}"),
            ("increase(inferwatch_fenced_total[5m])", "commits refused {{instance}}"),
        ],
    ),
    Panel(
        "State",
        [("sum by (instance) (inferwatch_state_bytes)", "{{instance}}")],
        "bytes",
    ),
    Panel(
        "State written by checkpoints",
        [
            (
                f"sum by (instance) (rate(inferwatch_state_written_bytes_total[{RATE}]))",
                "{{instance}}",
            )
        ],
        "Bps",
    ),
    Panel(
        "Records given out",
        [(f"sum by (kind) (rate(inferwatch_outputs_total[{RATE}]))", "{{kind}}")],
        "cps",
    ),
    Panel(
        "Checkpoints",
        [(f"sum by (outcome) (rate(inferwatch_checkpoints_total[{RATE}]))", "{{outcome}}")],
        "cps",
    ),
    Panel(
        "Rows that could not be read, and dead letters",
        [
            (f"sum by (reason) (rate(inferwatch_rejected_total[{RATE}])) > 0", "{{reason}}"),
            (f"sum by (outcome) (rate(inferwatch_dlq_total[{RATE}]))", "letter {{outcome}}"),
        ],
        "cps",
    ),
    Panel(
        "Over a cap",
        [
            ("sum by (kind) (increase(inferwatch_overflow_total[1h]))", "{{kind}}"),
            (
                "sum by (reason) (increase(inferwatch_series_dropped_total[1h]))",
                "no series: {{reason}}",
            ),
        ],
    ),
    Panel(
        "Messages",
        [
            (
                f"sum by (channel, outcome) (rate(inferwatch_notifications_total[{RATE}]))",
                "{{channel}} {{outcome}}",
            ),
            (
                f"sum by (channel) (rate(inferwatch_notification_retries_total[{RATE}]))",
                "{{channel}} again",
            ),
        ],
        "cps",
        about="Exemplars name the alert.",
    ),
    Panel(
        "Messages that wait",
        [("sum by (channel) (inferwatch_notifications_waiting)", "{{channel}}")],
    ),
    Panel(
        "One attempt at a message",
        [
            (
                quantile(0.99, "inferwatch_notification_duration_seconds", "channel"),
                "{{channel}} 99 %",
            )
        ],
        "s",
    ),
    Panel(
        "Rows of the bridge",
        [
            (f"sum by (instance) (rate(inferwatch_bridge_rows_total[{RATE}]))", "{{instance}}"),
            (
                f"sum by (instance) (rate(inferwatch_bridge_forwarded_total[{RATE}]))",
                "no event {{instance}}",
            ),
        ],
        "cps",
        about="Empty where no bridge runs.",
    ),
    Panel(
        "Rows of the SDK",
        [
            (f"sum(rate(inferwatch_sdk_emitted_total[{RATE}]))", "emitted"),
            (f"sum(rate(inferwatch_sdk_delivered_total[{RATE}]))", "delivered"),
            (f"sum by (reason) (rate(inferwatch_sdk_dropped_total[{RATE}]))", "{{reason}}"),
            ("sum(inferwatch_sdk_pending)", "pending"),
        ],
        "cps",
        about="Empty where Prometheus scrapes no model server (docs/metrics.md).",
    ),
]
