"""The worker's metrics, in a registry of their own. docs/operating.md lists them."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from inferwatch.errors import Reason

disable_created_metrics()  # a second series a counter that nobody reads

DELAYS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)


class Metrics:
    """One attribute a metric."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        within = {"namespace": "inferwatch", "registry": self.registry}
        self.in_rows = Counter("in", "Rows read from the events topic", **within)
        self.rejected = Counter("rejected", "Rows that could not be read", ["reason"], **within)
        for reason in Reason:
            self.rejected.labels(reason.value)
        self.outputs = Counter("outputs", "Records given out by the fold", ["kind"], **within)
        for kind in ("window", "alert", "dead", "forward"):
            self.outputs.labels(kind)
        self.checkpoints = Counter("checkpoints", "Checkpoints accepted by the group", **within)
        self.fenced = Counter("fenced", "Commits that the group refused", **within)
        self.state_written = Counter(
            "state_written_bytes", "Bytes of state written by checkpoints", **within
        )
        self.rebalances = Counter("rebalances", "Assignments taken over", **within)
        self.partitions = Gauge("partitions", "Partitions owned", **within)
        self.lag = Gauge("lag_records", "Records in the log and not folded", **within)
        self.commit_time = Gauge(
            "commit_timestamp_seconds", "Time of the last accepted commit", ["partition"], **within
        )
        self.checkpoint_time = Gauge(
            "checkpoint_timestamp_seconds", "Time of the last checkpoint", ["partition"], **within
        )
        self.progress_time = Gauge(
            "progress_timestamp_seconds", "Time of the last record folded", ["partition"], **within
        )
        self.state_bytes = Gauge(
            "state_bytes", "State in the last checkpoint", ["partition"], **within
        )
        self.model_rows = Gauge(
            "model_rows", "Inference rows folded into the model's state", ["model"], **within
        )
        self.watermark = Gauge(
            "watermark_timestamp_seconds",
            "Event time that the model has reached",
            ["model"],
            **within,
        )
        self.alert_firing = Gauge(
            "alert_firing", "Alerts that fire now", ["alertname", "model"], **within
        )
        self.event_delay = Histogram(
            "event_delay_seconds", "From record time to fold", buckets=DELAYS_S, **within
        )


class NotifierMetrics:
    """The notifier's, one attribute a metric; `channels` are known, so every series starts at 0."""

    def __init__(self, channels: Sequence[str]) -> None:
        self.registry = CollectorRegistry()
        within = {"namespace": "inferwatch", "registry": self.registry}
        self.notifications = Counter(
            "notifications", "Messages that are over", ["channel", "outcome"], **within
        )
        self.retries = Counter(
            "notification_retries", "Attempts to be repeated", ["channel"], **within
        )
        self.durations = Histogram(
            "notification_duration_seconds", "One attempt", ["channel"], buckets=DELAYS_S, **within
        )
        self.waiting = Gauge("notifications_waiting", "Planned, not over", ["channel"], **within)
        for channel in channels:
            for outcome in ("sent", "rejected"):
                self.notifications.labels(channel, outcome)
            for metric in (self.retries, self.durations, self.waiting):
                metric.labels(channel)
        self.rejected = Counter(
            "alerts_rejected", "Records on the alerts topic that could not be read", **within
        )
        self.rebalances = Counter("rebalances", "Assignments taken over", **within)
        self.partitions = Gauge("partitions", "Partitions owned", **within)
        self.lag = Gauge("lag_records", "Transitions in the log and not planned", **within)
