"""How the worker is doing, as its health endpoints, metrics and watchdog see it."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from inferwatch.core.fold import Output
from inferwatch.core.model import Model
from inferwatch.records.raw import Decoded, RawRecord
from inferwatch.telemetry.metrics import Metrics, NotifierMetrics

READY_S = 30.0
STALLED_S = 60.0


class Status:
    """Written by the event loop, read by the watchdog and health threads."""

    def __init__(self, metrics: Metrics | NotifierMetrics) -> None:
        self.metrics = metrics
        self.assigned = self.restoring = False
        self.stopping_since_s: float | None = None
        self.beat_s = time.monotonic()

    def took_over(self, partitions: Sequence[int]) -> None:
        """A new assignment is restored."""
        self.restoring, self.assigned = False, True
        self.beat_s = time.monotonic()
        self.metrics.rebalances.inc()
        self.metrics.partitions.set(len(partitions))

    def folded(
        self, partition: int, raw: RawRecord, decoded: Decoded, outputs: Sequence[Output]
    ) -> None:
        """One record went through the fold."""
        self.beat_s = time.monotonic()
        metrics = self.metrics
        metrics.in_rows.inc(decoded.rows_in)
        metrics.event_delay.observe(max(0.0, time.time() - raw.time_ms / 1000))
        for reject in decoded.rejects:
            metrics.rejected.labels(reject.reason.value).inc(reject.rows)
        for output in outputs:
            metrics.outputs.labels(output.kind).inc()
        metrics.progress_time.labels(str(partition)).set_to_current_time()

    def checkpointed(self, partition: int, state_bytes: int, written_bytes: int) -> None:
        """A checkpoint is on the state topic."""
        self.metrics.checkpoints.inc()
        self.metrics.checkpoint_time.labels(str(partition)).set_to_current_time()
        self.metrics.state_bytes.labels(str(partition)).set(state_bytes)
        self.metrics.state_written.inc(written_bytes)

    def committed(self, partition: int, *, accepted: bool) -> None:
        """The group's answer: refused means that this member no longer owns the partition."""
        if accepted:
            self.metrics.commit_time.labels(str(partition)).set_to_current_time()
        else:
            self.metrics.fenced.inc()

    def watched(self, model: Model) -> None:
        """A model as its checkpoint has it."""
        metrics, state = self.metrics, model.state
        metrics.model_rows.labels(model.name).set(sum(state.rows.values()))
        if state.watermark.now_ms() > 0:
            metrics.watermark.labels(model.name).set(state.watermark.now_ms() / 1000)
        firing = Counter(one.alert for one in state.instances.values() if one.condition == "firing")
        for check in model.definition.checks:
            metrics.alert_firing.labels(check.alert, model.name).set(firing[check.alert])

    def lag(self, records: int) -> None:
        """Records still in the log; none means progress."""
        self.metrics.lag.set(records)
        if not records:
            self.beat_s = time.monotonic()

    def idle_s(self) -> float:
        """Seconds since the last progress."""
        return time.monotonic() - self.beat_s

    def health(self) -> dict[str, Any]:
        """What `/readyz` answers."""
        return {
            "assigned": self.assigned,
            "restoring": self.restoring,
            "seconds_without_progress": round(self.idle_s(), 1),
            "stopping": self.stopping_since_s is not None,
        }

    def ready(self) -> bool:
        """Assigned, restored, and folding or with nothing to fold."""
        return self.assigned and self.idle_s() < READY_S and self.stopping_since_s is None

    def alive(self) -> bool:
        """False only when a restart would help; never during a restore."""
        return self.restoring or self.idle_s() < STALLED_S
