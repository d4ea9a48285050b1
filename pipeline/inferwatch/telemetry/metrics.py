"""What the processes count, each in a registry of its own, made of the catalogue's declarations."""

import time
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from inferwatch.telemetry.catalogue import MODELS_MAX, NAMESPACE, Process, declared
from inferwatch.telemetry.families import family, made
from inferwatch.telemetry.models import ModelSeries


class Served:
    """What every process that listens tells."""

    def __init__(self, process: Process) -> None:
        self.registry = CollectorRegistry()
        self._made = made(process, self.registry)
        self.ready: Gauge = self._made["ready"]
        self.partitions: Gauge = self._made["partitions"]

    def began(self, version: str) -> None:
        """The process of this release begins now."""
        self._made["build_info"].labels(version).set(1)
        self._made["start_timestamp_seconds"].set(time.time())


class Metrics(Served):
    """The worker's, one attribute a metric. Always, in rows: in = ok + rejected + duplicate."""

    def __init__(self, models_max: int = MODELS_MAX) -> None:
        super().__init__("worker")
        of = self._made
        self.rebalances: Counter = of["rebalances_total"]
        self.lag: Gauge = of["lag_records"]
        self.loop_lag: Gauge = of["loop_lag_seconds"]
        self.in_rows: Counter = of["in_total"]
        self.ok: Counter = of["ok_total"]
        self.rejected: Counter = of["rejected_total"]
        self.duplicate: Counter = of["duplicate_total"]
        self.late: Counter = of["late_total"]
        self.dlq: Counter = of["dlq_total"]
        self.outputs: Counter = of["outputs_total"]
        self.overflow: Counter = of["overflow_total"]
        self.checkpoints: Counter = of["checkpoints_total"]
        self.fenced: Counter = of["fenced_total"]
        self.gaps: Counter = of["gap_total"]
        self.fold_errors: Counter = of["fold_errors_total"]
        self.state_written: Counter = of["state_written_bytes_total"]
        self.models: Gauge = of["models"]
        self.commit_time: Gauge = of["commit_timestamp_seconds"]
        self.checkpoint_time: Gauge = of["checkpoint_timestamp_seconds"]
        self.progress_time: Gauge = of["progress_timestamp_seconds"]
        self.state_bytes: Gauge = of["state_bytes"]
        self.event_delay: Histogram = of["event_delay_seconds"]
        dropped: Counter = of["series_dropped_total"]
        self.series = ModelSeries(models_max, lambda reason: dropped.labels(reason).inc())
        self.registry.register(_OfModels(self.series))

    def forget_partition(self, number: int) -> None:
        """Drop the series of a partition that another worker owns now."""
        for metric in (
            self.commit_time,
            self.checkpoint_time,
            self.progress_time,
            self.state_bytes,
        ):
            metric.remove_by_labels({"partition": str(number)})


class _OfModels(Collector):
    """The series of models as families."""

    def __init__(self, series: ModelSeries) -> None:
        self._series = series

    def describe(self) -> Iterable[Metric]:
        return [family(metric.name) for metric in declared("worker") if "model" in metric.labels]

    def collect(self) -> Iterable[Metric]:
        families = {one.name: one for one in self.describe()}
        for name, labels, value in self._series.gauges():
            families[NAMESPACE + name].add_metric(labels, value)
        for name, labels, buckets, total in self._series.histograms():
            families[NAMESPACE + name].add_metric(labels, buckets=buckets, sum_value=total)
        return families.values()


class NotifierMetrics(Served):
    """The notifier's, one attribute a metric; `channels` are known, so every series starts at 0."""

    def __init__(self, channels: Sequence[str]) -> None:
        super().__init__("notifier")
        of = self._made
        self.rebalances: Counter = of["rebalances_total"]
        self.lag: Gauge = of["lag_records"]
        self.loop_lag: Gauge = of["loop_lag_seconds"]
        self.notifications: Counter = of["notifications_total"]
        self.retries: Counter = of["notification_retries_total"]
        self.durations: Histogram = of["notification_duration_seconds"]
        self.waiting: Gauge = of["notifications_waiting"]
        self.rejected: Counter = of["alerts_rejected_total"]
        for channel in channels:
            for outcome in ("sent", "rejected"):
                self.notifications.labels(channel, outcome)
            for metric in (self.retries, self.durations, self.waiting):
                metric.labels(channel)


class BridgeMetrics(Served):
    """The bridge's, which counts for itself."""

    def __init__(self) -> None:
        super().__init__("bridge")
        self._counted: dict[str, int] = {}

    def count(self, now: Mapping[str, int]) -> None:
        """Bring `bridge_NAME_total` up to what was counted under NAME."""
        for name, value in now.items():
            self._made[f"bridge_{name}_total"].inc(value - self._counted.get(name, 0))
        self._counted = dict(now)
