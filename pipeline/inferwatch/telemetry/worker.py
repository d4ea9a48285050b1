"""What the worker counts."""

from collections.abc import Iterable

from prometheus_client import Counter, Gauge
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from inferwatch.telemetry import each
from inferwatch.telemetry.catalogue import MODELS_MAX, NAMESPACE, declared
from inferwatch.telemetry.families import family
from inferwatch.telemetry.metrics import Served
from inferwatch.telemetry.models import ModelSeries


class Metrics(Served):
    """One attribute a metric. Always, in rows: in = ok + rejected + duplicate."""

    def __init__(self, models_max: int = MODELS_MAX) -> None:
        super().__init__("worker", each.NAMES)
        of = self._made
        self.rebalances: Counter = of["rebalances_total"]
        self.lag: Gauge = of["lag_records"]
        self.loop_lag: Gauge = of["loop_lag_seconds"]
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
        self.state_bytes: Gauge = of["state_bytes"]
        self.each = each.EachRecord()
        self.registry.register(self.each)
        dropped: Counter = of["series_dropped_total"]
        self.series = ModelSeries(models_max, lambda reason: dropped.labels(reason).inc())
        self.registry.register(_OfModels(self.series))

    def forget_partition(self, number: int) -> None:
        """Drop the series of a partition that another worker owns now."""
        for metric in (self.commit_time, self.checkpoint_time, self.state_bytes):
            metric.remove_by_labels({"partition": str(number)})
        self.each.progress_s.pop(number, None)


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
