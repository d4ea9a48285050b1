"""The worker's and the notifier's metrics, each in a registry of its own.

docs/operating.md lists them; a test compares.
"""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from inferwatch.errors import Reason

disable_created_metrics()  # a second series a counter that nobody reads

DELAYS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)
MODELS_MAX = 200
OTHER = "__other__"
KINDS = {
    "outputs": ("window", "alert", "dead", "forward"),
    "duplicate": ("offset", "id", "skipped", "misplaced"),
    "dlq": ("whole", "pointer"),
    "checkpoints": ("accepted", "refused"),
    "overflow": ("features", "classes", "segments", "versions"),
}


class Metrics:
    """One attribute a metric. Always, in rows: in = ok + rejected + duplicate."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        within = {"namespace": "inferwatch", "registry": self.registry}
        self.in_rows = Counter("in", "Rows read from the events topic", **within)
        self.ok = Counter("ok", "Rows folded", **within)
        self.rejected = Counter("rejected", "Rows that could not be read", ["reason"], **within)
        for reason in Reason:
            self.rejected.labels(reason.value)
        self.duplicate = Counter("duplicate", "Rows that were a repeat", ["kind"], **within)
        self.late = Counter("late", "Rows that came after their window", **within)
        self.dlq = Counter(
            "dlq", "Dead letters, with their bytes or as a pointer", ["outcome"], **within
        )
        self.outputs = Counter("outputs", "Records given out by the fold", ["kind"], **within)
        self.overflow = Counter(
            "overflow", "Names that found no place under their cap", ["kind"], **within
        )
        self.checkpoints = Counter(
            "checkpoints", "Checkpoints, by the group's answer", ["outcome"], **within
        )
        for name, kinds in KINDS.items():
            for kind in kinds:
                getattr(self, name).labels(kind)
        self.fenced = Counter("fenced", "Commits that the group refused", **within)
        self.gaps = Counter("gap", "Stretches of the log that were lost and passed over", **within)
        self.fold_errors = Counter(
            "fold_errors", "Records that ended a process, as its successor found", **within
        )
        self.state_written = Counter(
            "state_written_bytes", "Bytes of state written by checkpoints", **within
        )
        self.rebalances = Counter("rebalances", "Assignments taken over", **within)
        self.partitions = Gauge("partitions", "Partitions owned", **within)
        self.models = Gauge("models", "Models in the partitions owned", **within)
        self.lag = Gauge("lag_records", "Records in the log and not folded", **within)
        self.loop_lag = Gauge(
            "loop_lag_seconds", "Longest wait for the event loop in the last minute", **within
        )
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
        self.sampled = Gauge(
            "join_sampled_ratio",
            "Share of predictions that are joined with labels",
            ["model"],
            **within,
        )
        self.alert_firing = Gauge(
            "alert_firing", "Alerts that fire now", ["alertname", "model"], **within
        )
        self.event_delay = Histogram(
            "event_delay_seconds", "From record time to fold", buckets=DELAYS_S, **within
        )
        self._named: dict[str, None] = {}

    def model(self, name: str) -> str:
        """The label of a model: beyond the first 200 all share one, so that series are bounded."""
        if len(self._named) < MODELS_MAX:
            self._named[name] = None
        return name if name in self._named else OTHER

    def forget_partition(self, number: int) -> None:
        """Drop the series of a partition that another worker owns now."""
        for metric in (
            self.commit_time,
            self.checkpoint_time,
            self.progress_time,
            self.state_bytes,
        ):
            metric.remove_by_labels({"partition": str(number)})


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
        self.loop_lag = Gauge(
            "loop_lag_seconds", "Longest wait for the event loop in the last minute", **within
        )
