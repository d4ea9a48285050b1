"""How a process is doing, as its health endpoints, metrics and watchdog see it.

Stuck, slow and restoring are told apart: `restoring` while state is read back, `working` while
records are folded or none is left, `slow` while the log grows faster than it is folded, `stuck`
where nothing moves although something should, or what was folded is not made safe.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from inferwatch.core import calibration, embeddings, llm, resources, stability
from inferwatch.core.alerts import alert_of
from inferwatch.core.drift import WINDOW_METHODS
from inferwatch.core.fold import Counts, Output, Partition
from inferwatch.core.metrics import CORRECTED, LABEL_METRICS, LATENESS, class_of
from inferwatch.core.metrics.estimated import ESTIMATES
from inferwatch.core.model import Model, ModelState
from inferwatch.core.output import BODY_HERE, ERROR_HEADERS
from inferwatch.errors import Reason
from inferwatch.records.definition import Check, Limit
from inferwatch.records.outputs import Span
from inferwatch.records.raw import Decoded, RawRecord
from inferwatch.records.rows import Floats, Rows
from inferwatch.telemetry.families import exemplar
from inferwatch.telemetry.metrics import NotifierMetrics
from inferwatch.telemetry.worker import Metrics

log = logging.getLogger("inferwatch.worker")
READY_S = 30.0
STALLED_S = 60.0
UNSAVED_S = 120.0
RESTORE_S = 300.0
SLOW_RECORDS = 1_000
LOOP_REMEMBERED_S = 60.0
RATIOS = frozenset(
    {
        "error_rate",
        "timeout_rate",
        "captured",
        "duplicate_rate",
        "positive_rate",
        "drift_share",
        *ESTIMATES,
        *llm.SHARES,
        *stability.SHARES,
        *embeddings.SHARES,
        *resources.NAMES,
    }
)
FIGURES = frozenset(
    {
        "schema_changes",
        *llm.AMOUNTS,
        *llm.DURATIONS,
        *stability.AMOUNTS,
        *embeddings.AMOUNTS,
        *resources.AMOUNTS,
        *resources.DURATIONS,
    }
)
DRIFT = {name: {"chisquare": "chi_square"}.get(name, name) for name in WINDOW_METHODS}
State = Literal["compiling", "starting", "restoring", "working", "slow", "stuck", "stopping"]


class _Drift(msgspec.Struct):
    """Distances of a feature from its reference, as window records name them."""

    psi: float | None = None
    ks: float | None = None
    chi_square: float | None = None
    jensenshannon: float | None = None
    hellinger: float | None = None
    wasserstein: float | None = None
    total_variation: float | None = None
    l_infinity: float | None = None


class _Published(msgspec.Struct):
    """What metrics read of a window record."""

    model: str
    version: str
    window: Span
    segment: str = ""
    late: int = 0
    revision: int = 0
    to_ms: int | None = None
    coverage: float | None = None
    metrics: dict[str, float] = {}
    features: dict[str, _Drift] = {}


_window = msgspec.json.Decoder(_Published)


def _methods(model: Model) -> set[str]:
    """By which distances a model's drift is told: PSI, and those that its checks read."""
    return {"psi"} | {one.method for one in model.definition.checks if one.method in DRIFT}


def _by_class(metrics: Mapping[str, float]) -> dict[tuple[str, ...], float]:
    """Figures of single classes by class and figure: ("cat", "recall")."""
    return {
        (of, name.rpartition(".")[2]): value
        for name, value in metrics.items()
        if (of := class_of(name))
    }


def _highest(check: Check, state: ModelState) -> float:
    """The highest limit in force among those that the check has found by itself."""
    tracks = state.tracks.get(check.window, {}).values()
    found = [
        one
        for track in tracks
        for key, one in track.calibrations.items()
        if alert_of(key) == check.alert
    ]
    return max(calibration.number(check.method, one) for one in found or [None])


def levels(check: Check) -> list[tuple[str, Limit | None]]:
    """The severities that a check can have, each with its limit."""
    given = [("warning", check.warn), ("critical", check.fail)]
    return [(name, limit) for name, limit in given if limit] or [("critical", None)]


class Status:
    """Written by the event loop, read by the watchdog and health threads.

    :param clock_s: seconds that only move forward.
    """

    def __init__(
        self, metrics: Metrics | NotifierMetrics, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.metrics = metrics
        self.assigned = False
        self.compiling = False
        self.stopping_since_s: float | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self._clock_s = clock_s
        self._restoring_since_s: float | None = None
        self._lag_records = 0
        self._beat_s = clock_s()
        self._unsaved_s: dict[int, float] = {}
        self._checkpoint_s: dict[int, float] = {}
        self._owned: set[int] = set()
        self._counted: dict[int, Counts] = {}
        self._models: dict[int, int] = {}
        self._overflow: dict[str, dict[str, int]] = {}
        self._asked_loop_s: float | None = None
        self._loop_lag_s, self._loop_lag_at_s = 0.0, clock_s()
        metrics.loop_lag.set_function(self.loop_lag_s)
        metrics.ready.set_function(self.ready)

    # ── what is told by the event loop ───────────────────────────────────────────────────────────

    def compiled(self) -> None:
        """The kernels are ready: from now on there is to be progress."""
        self.compiling, self._beat_s = False, self._clock_s()

    @property
    def restoring(self) -> bool:
        """Whether the state of an assignment is being read back."""
        return self._restoring_since_s is not None

    @restoring.setter
    def restoring(self, now: bool) -> None:
        """A restore begins, or is over."""
        self._restoring_since_s = self._clock_s() if now else None

    def took_over(self, partitions: Sequence[int]) -> None:
        """A new assignment is restored."""
        self.restoring, self.assigned = False, True
        self._beat_s = self._clock_s()
        for number in self._owned - set(partitions):
            if isinstance(self.metrics, Metrics):
                self.metrics.forget_partition(number)
        self._owned = set(partitions)
        self._models = {number: n for number, n in self._models.items() if number in partitions}
        if isinstance(self.metrics, Metrics):
            self.metrics.series.keep(partitions)
            self.metrics.models.set(sum(self._models.values()))
        self._unsaved_s, self._checkpoint_s, self._counted = {}, {}, {}
        self.metrics.rebalances.inc()
        self.metrics.partitions.set(len(partitions))
        with contextlib.suppress(RuntimeError):  # told from no loop, as in a test
            self.loop = asyncio.get_running_loop()

    def folded(
        self,
        partition: Partition,
        run: Sequence[tuple[RawRecord, Decoded]],
        outputs: Sequence[Output],
    ) -> None:
        """Consecutive records went through the fold, each with what it said."""
        now_s, number, metrics = self._clock_s(), partition.number, self.metrics
        self._beat_s = now_s
        self._unsaved_s.setdefault(number, now_s)
        self._count(partition)
        for raw, _ in run:
            metrics.each.folded(number, raw.name, raw.time_ms / 1000, time.time())
        self._answered(number, [one for raw, one in run if raw.offset not in partition.repeats])
        for output in outputs:
            id_ = f"{'letter' if output.kind == 'dead' else output.kind}_id"
            metrics.outputs.labels(output.kind).inc(exemplar=exemplar(**{id_: output.id}))
            if output.kind == "dead":
                here = output.headers.get(f"{ERROR_HEADERS}body") == BODY_HERE.encode()
                letter = exemplar(letter_id=output.id)
                metrics.dlq.labels("whole" if here else "pointer").inc(exemplar=letter)
            elif output.kind == "window":
                self._closed(partition, _window.decode(output.value))

    def _answered(self, partition: int, new: Sequence[Decoded]) -> None:
        """How long the models took, where their rows say so."""
        found: dict[tuple[str, str], list[Floats]] = {}
        for rows in (one.record for one in new if isinstance(one.record, Rows)):
            if rows.latency_ms is not None:
                found.setdefault((rows.model, rows.version), []).append(rows.latency_ms)
        for (model, version), latencies_ms in found.items():
            self.metrics.series.observe(partition, model, version, np.concatenate(latencies_ms))

    def _closed(self, owner: Partition, found: _Published) -> None:
        """A window of the whole model, or of a segment, was published or restated."""
        if not found.revision:
            self.metrics.late.inc(found.late)
        if found.segment:
            return
        series, partition, model = self.metrics.series, owner.number, found.model
        within = (found.version, found.window.name)
        series.version(partition, model, found.version)
        if found.coverage is not None:
            quality = {name: v for name, v in found.metrics.items() if name in LABEL_METRICS}
            corrected = {
                (*within, CORRECTED): v for name, v in quality.items() if name == CORRECTED
            }
            speaks = bool(quality.keys() - LATENESS - {CORRECTED})
            if not speaks:
                quality = {}  # the labels that have come are too few, but for what they correct
            time_s = None if found.to_ms is None else found.to_ms / 1000
            at = found.window.start
            classes = _by_class(found.metrics)
            series.quality(partition, model, within, at, quality, found.coverage, time_s, classes)
            if corrected and not speaks:
                series.replace(partition, model, "quality", corrected, (*within, CORRECTED))
        if found.revision:
            return  # a restatement tells of labels only
        ratios = {(*within, name): v for name, v in found.metrics.items() if name in RATIOS}
        series.replace(partition, model, "window_ratio", ratios, within)
        figures = {(*within, name): v for name, v in found.metrics.items() if name in FIGURES}
        series.replace(partition, model, "window_figure", figures, within)
        drift = {
            (method, name): value
            for name, figures in found.features.items()
            for method in _methods(owner.models[model])
            if (value := getattr(figures, DRIFT[method])) is not None
        }
        series.drift(partition, model, within, drift)

    def _count(self, partition: Partition) -> None:
        """Bring the counters up to the fold's own counts."""
        number, now, each = partition.number, partition.counts, self.metrics.each
        before = self._counted.get(number)
        if before is None:
            before = self._counted[number] = Counts()
        rows, ok = now.in_ - before.in_, now.ok - before.ok
        each.rows += rows
        each.ok += ok
        if rows != ok:  # in = ok + rejected + duplicate
            self._count_others(number, now, before)
        before.in_, before.ok = now.in_, now.ok
        if self._models.get(number) != len(partition.models):
            self._models[number] = len(partition.models)
            self.metrics.models.set(sum(self._models.values()))

    def _count_others(self, number: int, now: Counts, before: Counts) -> None:
        """Rows that were not folded, by the reason."""
        full = Reason.TOO_MANY_MODELS
        if full in now.rejected and full not in before.rejected:
            log.warning(
                "partition %d takes no more models: records of others become dead letters", number
            )
        for reason, rows in now.rejected.items():
            self.metrics.rejected.labels(reason.value).inc(rows - before.rejected.get(reason, 0))
        for kind, rows in now.duplicate.items():
            self.metrics.duplicate.labels(kind).inc(rows - before.duplicate.get(kind, 0))
        before.rejected, before.duplicate = dict(now.rejected), dict(now.duplicate)

    def checkpointed(self, partition: int, state_bytes: int, written_bytes: int) -> None:
        """A checkpoint is on the state topic."""
        self._checkpoint_s[partition] = self._clock_s()
        self.metrics.checkpoint_time.labels(str(partition)).set_to_current_time()
        self.metrics.state_bytes.labels(str(partition)).set(state_bytes)
        self.metrics.state_written.inc(written_bytes)

    def committed(self, partition: int, *, accepted: bool) -> None:
        """The group's answer: refused means that this member no longer owns the partition."""
        self.metrics.checkpoints.labels("accepted" if accepted else "refused").inc()
        if accepted:
            self._unsaved_s.pop(partition, None)
            self.metrics.commit_time.labels(str(partition)).set_to_current_time()
        else:
            self.metrics.fenced.inc()

    def passed_over(self, partition: int) -> None:
        """Records that are lost are folded by nobody."""
        self.metrics.gaps.inc()

    def ended_by_record(self, partition: int) -> None:
        """Told by the successor: who dies is not scraped any more."""
        self.metrics.fold_errors.inc()

    def watched(self, partition: int, model: Model) -> None:
        """A model as its checkpoint has it."""
        metrics, state, name = self.metrics, model.state, model.name

        def tell(metric: str, figures: Mapping[tuple[str, ...], float]) -> None:
            metrics.series.replace(partition, name, metric, figures)

        tell("model_rows", {(): sum(state.rows.values())})
        tell("join_sampled_ratio", {(): model.join.sampled()})
        if state.watermark.now_ms() > 0:
            tell("watermark_timestamp_seconds", {(): state.watermark.now_ms() / 1000})
            tell("last_event_timestamp_seconds", {(): state.watermark.event_ms / 1000})
        checks = model.definition.checks
        firing = dict.fromkeys(
            [(one.alert, level) for one in checks for level, _ in levels(one)], 0
        )
        for one in state.instances.values():
            if one.condition == "firing":
                key = one.alert, one.severity
                firing[key] = firing.get(key, 0) + 1
        tell("alert_firing", firing)
        tell(
            "drift_threshold",
            {
                (one.window, one.method, one.metric.removeprefix("feature."), level): (
                    _highest(one, state) if limit.calibrated else limit.value
                )
                for one in checks
                if one.method in DRIFT
                for level, limit in levels(one)
                if limit is not None
            },
        )
        before = self._overflow.setdefault(model.name, dict(state.columns.capped))
        for kind, count in state.columns.capped.items():
            metrics.overflow.labels(kind).inc(max(0, count - before.get(kind, 0)))
        self._overflow[model.name] = dict(state.columns.capped)

    def lag(self, records: int) -> None:
        """Records still in the log; none means progress."""
        self._lag_records = records
        self.metrics.lag.set(records)
        if not records:
            self._beat_s = self._clock_s()

    # ── what threads ask ─────────────────────────────────────────────────────────────────────────

    def ask_loop(self) -> None:
        """Measure how long the event loop lets a callback wait; asked every second by a thread."""
        if self.loop is None or self._asked_loop_s is not None:
            return
        self._asked_loop_s = self._clock_s()
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
            self.loop.call_soon_threadsafe(self._loop_answered)

    def _loop_answered(self) -> None:
        self._note_loop_lag(self._waited_s())
        self._asked_loop_s = None

    def _waited_s(self) -> float:
        asked_s = self._asked_loop_s
        return 0.0 if asked_s is None else self._clock_s() - asked_s

    def _note_loop_lag(self, lag_s: float) -> None:
        now_s = self._clock_s()
        if lag_s >= self._loop_lag_s or now_s - self._loop_lag_at_s > LOOP_REMEMBERED_S:
            self._loop_lag_s, self._loop_lag_at_s = lag_s, now_s

    def loop_lag_s(self) -> float:
        """The longest wait of the last minute, the present one included: a blocked loop shows."""
        return max(self._loop_lag_s, self._waited_s())

    def idle_s(self) -> float:
        """Seconds since the last progress."""
        return self._clock_s() - self._beat_s

    def unsaved_s(self) -> float:
        """Seconds since the oldest record was folded that no accepted commit covers."""
        oldest_s = min(list(self._unsaved_s.values()), default=None)
        return 0.0 if oldest_s is None else self._clock_s() - oldest_s

    def state(self) -> State:
        """One word for how it is."""
        if self.stopping_since_s is not None:
            return "stopping"
        if self.compiling:
            return "compiling"
        if self.restoring:
            return "restoring"
        if not self.assigned:
            return "starting"
        if self.idle_s() >= READY_S or self.unsaved_s() >= STALLED_S:
            return "stuck"
        return "slow" if self._lag_records >= SLOW_RECORDS else "working"

    def stalled(self) -> str:
        """Why a restart would help, "" where it would not."""
        if self.compiling:
            return ""  # a successor would have the same to compile
        since_s = self._restoring_since_s
        if since_s is not None:
            waited_s = self._clock_s() - since_s
            return f"a restore took longer than {RESTORE_S:.0f} s" if waited_s > RESTORE_S else ""
        if self.idle_s() > STALLED_S:
            return f"no progress for {STALLED_S:.0f} s"
        if self.unsaved_s() > UNSAVED_S:
            return f"nothing that was folded was made safe for {UNSAVED_S:.0f} s"
        return ""

    def health(self) -> dict[str, Any]:
        """What the health paths answer."""
        checkpoints = list(self._checkpoint_s.values())
        age_s = self._clock_s() - min(checkpoints) if checkpoints else None
        return {
            "state": self.state(),
            "assigned": self.assigned,
            "restoring": self.restoring,
            "stopping": self.stopping_since_s is not None,
            "seconds_without_progress": round(self.idle_s(), 1),
            "seconds_without_commit": round(self.unsaved_s(), 1),
            "seconds_since_checkpoint": None if age_s is None else round(age_s, 1),
            "loop_lag_seconds": round(self.loop_lag_s(), 3),
            "lag_records": self._lag_records,
        }

    def ready(self) -> bool:
        """Assigned, restored, and folding or with nothing to fold."""
        return self.state() in ("working", "slow")

    def alive(self) -> bool:
        """False only when a restart would help."""
        return not self.stalled()
