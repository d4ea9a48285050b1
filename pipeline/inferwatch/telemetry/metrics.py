"""What processes count, each in a registry of its own, made of the catalogue's declarations."""

import time
from collections.abc import Collection, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from inferwatch.telemetry.catalogue import Process
from inferwatch.telemetry.families import made


class Served:
    """What every process that listens tells."""

    def __init__(self, process: Process, put_together: Collection[str] = ()) -> None:
        self.registry = CollectorRegistry()
        self._made = made(process, self.registry, put_together)
        self.ready: Gauge = self._made["ready"]
        self.partitions: Gauge = self._made["partitions"]

    def began(self, version: str) -> None:
        """The process of this release begins now."""
        self._made["build_info"].labels(version).set(1)
        self._made["start_timestamp_seconds"].set(time.time())


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
