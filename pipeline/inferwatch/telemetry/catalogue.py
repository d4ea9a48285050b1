"""Every metric of inferwatch, declared once: no process has another, docs/metrics.md lists them.

Names keep Prometheus' conventions (https://prometheus.io/docs/practices/naming/): one prefix, base
units last, `_total` on counters, points in time as `_timestamp_seconds`. No name is generated, and
every label has a closed list of values or a cap.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inferwatch.errors import Reason

Kind = Literal["counter", "gauge", "histogram"]
Process = Literal["worker", "notifier", "bridge", "sdk"]
NAMESPACE = "inferwatch_"
OTHER = "__other__"
MODELS_MAX = 200
# in steps of 1, 2, 5
DELAYS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60)
LATENCIES_S = (0.001, 0.002, 0.005, *DELAYS_S)


@dataclass(frozen=True)
class Metric:
    """One metric; `name` is what a scrape shows, without the prefix.

    `values` are those of the first label where the list is closed: their series are there from the
    start, at 0. `rest` says how models beyond the cap are put together under `__other__`: added up,
    the least or the most of them; "" leaves them out.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    by: tuple[Process, ...]
    labels: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    rest: Literal["", "sum", "least", "most"] = ""
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """With the prefix, as PromQL has it."""
        return NAMESPACE + self.name

    def series(self) -> tuple[str, ...]:
        """Names of its samples."""
        if self.kind == "histogram":
            return tuple(self.full_name + end for end in ("_bucket", "_sum", "_count"))
        return (self.full_name,)


_WORKER: tuple[Process, ...] = ("worker",)
_NOTIFIER: tuple[Process, ...] = ("notifier",)
_BRIDGE: tuple[Process, ...] = ("bridge",)
_SDK: tuple[Process, ...] = ("sdk",)
_FAUST: tuple[Process, ...] = ("worker", "notifier")
_SERVED: tuple[Process, ...] = ("worker", "notifier", "bridge")
_WINDOW = ("model", "version", "window")

CATALOGUE = (
    # every process that listens
    Metric("build_info", "gauge", "", "1, with the release that runs", _SERVED, ("version",)),
    Metric("start_timestamp_seconds", "gauge", "seconds", "Time of the process's start", _SERVED),
    Metric("ready", "gauge", "", "1 while /readyz answers 200, else 0", _SERVED),
    Metric("partitions", "gauge", "partitions", "Partitions owned", _SERVED),
    # worker and notifier
    Metric("rebalances_total", "counter", "assignments", "Assignments taken over", _FAUST),
    Metric("lag_records", "gauge", "records", "Records in the log and not read", _FAUST),
    Metric(
        "loop_lag_seconds",
        "gauge",
        "seconds",
        "Longest wait for the event loop in the last minute",
        _FAUST,
    ),
    # the worker: always, in rows, in = ok + rejected + duplicate
    Metric("in_total", "counter", "rows", "Rows read from the events topic", _WORKER),
    Metric("ok_total", "counter", "rows", "Rows folded", _WORKER),
    Metric(
        "rejected_total",
        "counter",
        "rows",
        "Rows that could not be read",
        _WORKER,
        ("reason",),
        tuple(reason.value for reason in Reason),
    ),
    Metric(
        "duplicate_total",
        "counter",
        "rows",
        "Rows that were a repeat",
        _WORKER,
        ("kind",),
        ("offset", "id", "misplaced", "inspection"),
    ),
    Metric("late_total", "counter", "rows", "Rows that came after their window", _WORKER),
    Metric(
        "dlq_total",
        "counter",
        "letters",
        "Dead letters, with their bytes or as a pointer",
        _WORKER,
        ("outcome",),
        ("whole", "pointer"),
    ),
    Metric(
        "outputs_total",
        "counter",
        "records",
        "Records given out by the fold",
        _WORKER,
        ("kind",),
        ("window", "schema", "alert", "dead", "forward", "request"),
    ),
    Metric(
        "overflow_total",
        "counter",
        "names",
        "Names that found no place under their cap",
        _WORKER,
        ("kind",),
        ("features", "classes", "scores", "segments", "versions"),
    ),
    Metric(
        "series_dropped_total",
        "counter",
        "series",
        "Models, versions, features and classes that found no series of their own",
        _WORKER,
        ("reason",),
        ("models", "versions", "features", "classes"),
    ),
    Metric(
        "checkpoints_total",
        "counter",
        "checkpoints",
        "Checkpoints, by the group's answer",
        _WORKER,
        ("outcome",),
        ("accepted", "refused"),
    ),
    Metric("fenced_total", "counter", "commits", "Commits that the group refused", _WORKER),
    Metric(
        "gap_total",
        "counter",
        "stretches",
        "Stretches of the log that were lost and passed over",
        _WORKER,
    ),
    Metric(
        "fold_errors_total",
        "counter",
        "records",
        "Records that ended a process, as its successor found",
        _WORKER,
    ),
    Metric(
        "state_written_bytes_total",
        "counter",
        "bytes",
        "Bytes of state written by checkpoints",
        _WORKER,
    ),
    Metric("models", "gauge", "models", "Models in the partitions owned", _WORKER),
    Metric(
        "commit_timestamp_seconds",
        "gauge",
        "seconds",
        "Time of the last accepted commit",
        _WORKER,
        ("partition",),
    ),
    Metric(
        "checkpoint_timestamp_seconds",
        "gauge",
        "seconds",
        "Time of the last checkpoint",
        _WORKER,
        ("partition",),
    ),
    Metric(
        "progress_timestamp_seconds",
        "gauge",
        "seconds",
        "Time of the last record folded",
        _WORKER,
        ("partition",),
    ),
    Metric(
        "state_bytes", "gauge", "bytes", "State in the last checkpoint", _WORKER, ("partition",)
    ),
    Metric(
        "event_delay_seconds",
        "histogram",
        "seconds",
        "From record time to fold",
        _WORKER,
        buckets=DELAYS_S,
    ),
    # the watched models, as their owner sees them
    Metric(
        "model_rows",
        "gauge",
        "rows",
        "Inference rows folded into the model's state",
        _WORKER,
        ("model",),
        rest="sum",
    ),
    Metric(
        "watermark_timestamp_seconds",
        "gauge",
        "seconds",
        "Event time that the model has reached",
        _WORKER,
        ("model",),
        rest="least",
    ),
    Metric(
        "last_event_timestamp_seconds",
        "gauge",
        "seconds",
        "Event time of the model's newest row",
        _WORKER,
        ("model",),
        rest="least",
    ),
    Metric(
        "join_sampled_ratio",
        "gauge",
        "ratio",
        "Share of predictions that are joined with labels",
        _WORKER,
        ("model",),
        rest="least",
    ),
    Metric(
        "alert_firing",
        "gauge",
        "alerts",
        "Alerts that fire now",
        _WORKER,
        ("model", "alertname", "severity"),
        rest="sum",
    ),
    Metric(
        "quality",
        "gauge",
        "",
        "A figure on labels of the newest window that has it, in the metric's own unit",
        _WORKER,
        (*_WINDOW, "metric"),
    ),
    Metric(
        "class_quality",
        "gauge",
        "",
        "The same of one class of several: precision, recall, f1 and support, its labels",
        _WORKER,
        (*_WINDOW, "class", "metric"),
    ),
    Metric(
        "quality_timestamp_seconds",
        "gauge",
        "seconds",
        "Event time of the newest row of the window whose quality is shown",
        _WORKER,
        _WINDOW,
        rest="least",
    ),
    Metric(
        "label_coverage_ratio",
        "gauge",
        "ratio",
        "Share of predictions with labels in the window whose quality is shown",
        _WORKER,
        _WINDOW,
        rest="least",
    ),
    Metric(
        "window_ratio",
        "gauge",
        "ratio",
        "A share of the last closed window's rows or features",
        _WORKER,
        (*_WINDOW, "metric"),
    ),
    Metric(
        "window_figure",
        "gauge",
        "",
        "A figure of the last closed window that is no share, in the metric's own unit",
        _WORKER,
        (*_WINDOW, "metric"),
    ),
    Metric(
        "drift_score",
        "gauge",
        "",
        "Distance of a feature from its reference in the last closed window",
        _WORKER,
        (*_WINDOW, "method", "feature"),
        rest="most",
    ),
    Metric(
        "drift_threshold",
        "gauge",
        "",
        "Limit of a check on drift; the feature is the check's, with its wildcards",
        _WORKER,
        ("model", "window", "method", "feature", "severity"),
    ),
    Metric(
        "prediction_latency_seconds",
        "histogram",
        "seconds",
        "Time that the model took for an answer, as its rows say",
        _WORKER,
        ("model", "version"),
        rest="sum",
        buckets=LATENCIES_S,
    ),
    # the notifier
    Metric(
        "notifications_total",
        "counter",
        "messages",
        "Messages that are over",
        _NOTIFIER,
        ("channel", "outcome"),
    ),
    Metric(
        "notification_retries_total",
        "counter",
        "attempts",
        "Attempts to be repeated",
        _NOTIFIER,
        ("channel",),
    ),
    Metric(
        "notification_duration_seconds",
        "histogram",
        "seconds",
        "One attempt",
        _NOTIFIER,
        ("channel",),
        buckets=DELAYS_S,
    ),
    Metric(
        "notifications_waiting", "gauge", "messages", "Planned, not over", _NOTIFIER, ("channel",)
    ),
    Metric(
        "alerts_rejected_total",
        "counter",
        "records",
        "Records on the alerts topic that could not be read",
        _NOTIFIER,
    ),
    # the bridge
    Metric("bridge_rows_total", "counter", "rows", "Rows sent on in batches", _BRIDGE),
    Metric("bridge_batches_total", "counter", "batches", "Batches sent", _BRIDGE),
    Metric(
        "bridge_forwarded_total",
        "counter",
        "records",
        "Records that are no event, sent on as they are",
        _BRIDGE,
    ),
    Metric(
        "bridge_repeated_total",
        "counter",
        "records",
        "Records of the source that were read again",
        _BRIDGE,
    ),
    Metric(
        "bridge_lost_total",
        "counter",
        "records",
        "Records too large for any topic of ours",
        _BRIDGE,
    ),
    # the SDK, in the model server's own registry
    Metric("sdk_emitted_total", "counter", "rows", "Rows handed to the SDK", _SDK, ("model",)),
    Metric(
        "sdk_delivered_total", "counter", "rows", "Rows that the brokers have", _SDK, ("model",)
    ),
    Metric("sdk_dropped_total", "counter", "rows", "Rows given up", _SDK, ("model", "reason")),
    Metric("sdk_pending", "gauge", "rows", "Rows in the buffer or on their way", _SDK, ("model",)),
)


def declared(process: Process) -> Iterator[Metric]:
    """The metrics of a process, in the order of the catalogue."""
    return (metric for metric in CATALOGUE if process in metric.by)


BY_NAME = {metric.name: metric for metric in CATALOGUE}
