"""Little streams as a fleet would send them, the same for the same seed.

A stream holds what makes life hard: several versions and instances, segments, missing values, new
words, rows out of order and far ahead, labels early, late, doubled and corrected, repeated batches,
resources, deploys, verdicts, changed definitions, a silence, and a worse time before it.
`definition` watches it with a check of every kind, on windows so short that they close all the
time.

    partition = Partition(0)
    for raw in streams.placed(streams.stream(7)):
        decoded = decode(raw)
        if name := partition.undefined(decoded):
            partition.define(name, streams.definition(name), raw.offset)
        outputs = partition.fold(raw, decoded)
"""

import heapq
import math
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, cast

import msgspec
import numpy as np

from inferwatch.core.reference import category_profile, numeric_profile
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Profile,
    Reference,
    Task,
    Window,
)
from inferwatch.records.events import Deploy, MonitorChange, ReferenceChange, Resource, Verdict
from inferwatch.records.outputs import alert_fingerprint
from inferwatch.records.raw import JSON, RawRecord, headers
from inferwatch.testing.builders import TIME_MS, raw_event, raw_inference, raw_labels, raw_tick

TASKS: tuple[Task, ...] = ("binary", "regression", "multiclass")
CLASSES = ("amber", "green", "red")
COUNTRIES = ("DE", "FR", "IT", "PL")
CHANNELS = ("web", "app", "shop")
START_MS = TIME_MS // 60_000 * 60_000
REFERENCE_ROWS = 60
MINUTE_MS = 60_000
LIFE_MS = MINUTE_MS  # of a serving process, until it begins anew


def names(models: int) -> list[str]:
    """Models of a stream; the name's first part is the task."""
    return [f"{TASKS[number % len(TASKS)]}/m{number}" for number in range(models)]


def definition(model: str, change: int = 0) -> Definition:
    """What `model` is watched by: every kind of window, reference and rule.

    The `change`-th changed definition moves a threshold, takes a check away, or resizes a window.
    """
    task = cast(Task, model.split("/")[0])
    windows, checks = _windows(task), [*_checks(), *_label_checks(task)]
    if change % 3 == 1:
        checks[0] = msgspec.structs.replace(checks[0], warn=_above(0.02 * (1 + change)))
    elif change % 3 == 2:
        del checks[0]
    elif change:
        windows[0] = msgspec.structs.replace(windows[0], grace_ms=10_000 + change)
    return Definition(
        model=ModelFacts(
            task=task,
            label_delay_ms=3 * MINUTE_MS,
            label_wait_ms=3 * MINUTE_MS,
            label_horizon_ms=8 * MINUTE_MS,
            segments=["country", "channel"] + ["instance", "hardware"] * (task == "regression"),
            segments_max=3,
            restate_every_ms=MINUTE_MS,
        ),
        reference=Reference(
            profile=_profile() if task == "regression" else None,
            min_rows=REFERENCE_ROWS,
            last_ms=7 * MINUTE_MS if task == "multiclass" else 0,
        ),
        windows=windows,
        checks=checks,
    )


def _windows(task: Task) -> list[Window]:
    return [
        Window(name="fast", size_ms=MINUTE_MS, grace_ms=10_000),
        Window(name="slow", size_ms=3 * MINUTE_MS, step_ms=MINUTE_MS, grace_ms=10_000),
        Window(name="batch", rows=40, exact=task == "binary"),
    ]


def _above(value: float, clear: float | None = None) -> Limit:
    return Limit(direction="above", value=value, clear=value if clear is None else clear)


def _below(value: float, clear: float | None = None) -> Limit:
    return Limit(direction="below", value=value, clear=value if clear is None else clear)


def _checks() -> list[Check]:
    """Checks that need no label: one or more of every method, direction and option."""
    rise = Limit(direction="rise", value=0.1, clear=0.1)
    return [
        Check(
            alert="Errors",
            metric="error_rate",
            window="fast",
            warn=_above(0.1, clear=0.05),
            fail=_above(0.25, clear=0.15),
            for_ms=2 * MINUTE_MS,
            keep_firing_for_ms=2 * MINUTE_MS,
            labels={"team": "risk"},
        ),
        Check(
            alert="SlowAnswers",
            metric="latency.p99",
            window="slow",
            segment_by=["country"],
            need=Need(rows=5),
            fail=_above(80.0),
            times=(2, 3),
        ),
        Check(alert="Restarts", metric="restarts", window="slow", warn=_above(0.0)),
        Check(alert="FewRows", metric="rows", window="fast", warn=_below(4.0, clear=6.0)),
        *_series_checks(),
        Check(
            alert="FeatureDrift",
            metric="feature.*",
            method="psi",
            window="slow",
            need=Need(rows=20),
            warn=_above(0.5),
            fail=_above(1.0),
        ),
        Check(
            alert="AmountShape",
            metric="feature.amount",
            method="ks",
            window="batch",
            warn=_above(0.35),
        ),
        Check(
            alert="ChannelMix",
            metric="feature.kind",
            method="chisquare",
            window="slow",
            segment_by=["country", "channel"],
            warn=_above(0.3),
        ),
        Check(
            alert="ManyDrifted",
            metric="drift_share",
            window="slow",
            fail=_above(0.4),
            mode="observe",
        ),
        Check(alert="Missing", metric="feature.*.missing", window="fast", warn=rise),
        Check(alert="Unseen", metric="feature.kind.unseen", window="slow", warn=_above(0.05)),
        Check(
            alert="ErrorShift",
            metric="error",
            method="adwin",
            params={"delta": 0.5},
            warn=_above(0.0),
        ),
        Check(
            alert="ScoreShift",
            metric="score",
            method="adwin",
            params={"delta": 0.5},
            keep_firing_for_ms=2 * MINUTE_MS,
        ),
        Check(
            alert="FeatureShift",
            metric="feature.*",
            method="page_hinkley",
            params={"threshold": 15.0},
            fail=_above(0.0),
        ),
        Check(alert="Silent", metric="traffic", method="absent", for_ms=4 * MINUTE_MS),
    ]


def _series_checks() -> list[Check]:
    """Checks on figures against those of the windows before: one of every method."""
    return [
        Check(
            alert="LatencyAnomaly",
            metric="latency.mean",
            method="zscore",
            window="fast",
            warn=_above(3.0),
        ),
        Check(
            alert="ScoreAnomaly",
            metric="score.mean",
            method="iqr",
            window="batch",
            warn=_above(1.5),
        ),
        Check(
            alert="AnythingOdd",
            metric="rows",
            method="auto",
            window="fast",
            params={"past_min": 5.0, "window": 20.0, "debounce": 4.0},
            warn=_above(3.0),
        ),
        Check(
            alert="CountryAnomaly",
            metric="rows",
            method="mad",
            window="slow",
            segment_by=["country"],
            warn=_above(3.0),
        ),
        Check(alert="LevelMoved", metric="rows", method="ewma", window="fast", warn=_above(3.0)),
        Check(
            alert="HourAnomaly",
            metric="latency.p50",
            method="seasonal",
            window="batch",
            params={"period": 24.0, "cycles": 3.0},
            warn=_above(3.0),
        ),
    ]


def _label_checks(task: Task) -> list[Check]:
    if task == "regression":
        rise = Limit(direction="rise", value=0.2, relative=True, clear=0.1)
        return [
            Check(
                alert="WorseErrors", metric="mae", window="slow", warn=rise, need=Need(coverage=0.5)
            ),
            Check(
                alert="Bias", metric="bias", window="batch", fail=_above(0.5), need=Need(labels=10)
            ),
        ]
    points = Limit(direction="drop", value=0.05, clear=0.03)
    share = Limit(direction="drop", value=0.15, relative=True, clear=0.1)
    checks = [
        Check(
            alert="AccuracyDrop",
            metric="accuracy",
            window="slow",
            segment_by=["country"],
            need=Need(labels=5, coverage=0.6),
            warn=points,
            fail=share,
            times=(1, 2),
        ),
        Check(
            alert="AccuracyLow",
            metric="accuracy",
            window="fast",
            fail=_below(0.6, clear=0.65),
            need=Need(labels=3),
        ),
    ]
    if task == "binary":
        checks.append(
            Check(
                alert="AucLow",
                metric="auc",
                window="batch",
                warn=_below(0.85),
                need=Need(labels=10),
            )
        )
    return checks


def _profile() -> Profile:
    """A reference of 500 quiet rows, for the models that do not learn their own."""
    rows = [_Row(Random(f"reference-{number}"), "regression", 0.0) for number in range(500)]
    columns = {name: np.array([row.numeric[name] for row in rows]) for name in rows[0].numeric}
    kinds = [row.kind for row in rows if row.kind is not None]
    return Profile(
        name="quiet rows",
        rows=len(rows),
        from_ms=START_MS - 86_400_000,
        to_ms=START_MS,
        numeric={name: numeric_profile(values) for name, values in columns.items()},
        categories={
            "kind": category_profile(
                {kind: kinds.count(kind) for kind in sorted(set(kinds))}, len(rows) - len(kinds)
            )
        },
        prediction=numeric_profile(np.array([row.answer for row in rows])),
        quality={"": {"mae": 1.0, "bias": 0.0}},
    )


def _calls(rows: Sequence["_Row"]) -> dict[str, list[Any]]:
    """What the answers used, were they a language model's: longer where they took longer."""
    return {
        "output_tokens": [round(row.latency_ms) for row in rows],
        "time_to_first_token_ms": [row.latency_ms / 4 for row in rows],
        "finish_reason": [None if row.error else "length" for row in rows],
    }


class _Row:
    """One request: what it looked like, what was answered, and what turned out to be true.

    `trouble` 0 is a quiet time, 1 the worst.
    """

    def __init__(self, draw: Random, task: Task, trouble: float) -> None:
        signal = draw.gauss(0.0, 1.0)
        missing = draw.random() < 0.05 + 0.3 * trouble
        self.numeric = {
            "amount": math.nan if missing else 50.0 + 10.0 * signal + 30.0 * trouble,
            "age": draw.gauss(40.0, 12.0),
        }
        self.kind = draw.choices(["a", "b", "c", None], [5, 3, 1, 1])[0]
        if draw.random() < 0.3 * trouble:
            self.kind = "new"
        self.country = draw.choices([*COUNTRIES, None], [6, 3, 2, 1, 1])[0]
        self.channel = draw.choices(CHANNELS, [5, 3, 2])[0]
        self.latency_ms = 20.0 * math.exp(draw.gauss(0.0, 0.4)) * (1.0 + 4.0 * trouble)
        self.error = "Timeout" if draw.random() < 0.04 + 0.4 * trouble else None
        self.answer: float | str
        self.truth: float | str
        wrong = draw.random() < 0.12 + 0.4 * trouble
        if task == "regression":
            self.answer = 10.0 + 3.0 * signal
            self.truth = self.answer + draw.gauss(2.5 * trouble, 1.0)
            self.score = math.nan
        elif task == "binary":
            self.score = 1.0 / (1.0 + math.exp(-2.0 * signal - 1.5 * trouble))
            self.answer = float(self.score > 0.5)
            self.truth = 1.0 - self.answer if wrong else self.answer
        else:
            self.score = 0.4 + 0.6 * draw.random()
            self.answer = draw.choice(CLASSES)
            self.truth = draw.choice(CLASSES) if wrong else self.answer

    def score_of(self, name: str) -> float:
        """Of several classes."""
        return self.score if name == self.answer else (1.0 - self.score) / 2


class _Writer:
    """One model's senders: numbers its rows and batches, and owes their labels."""

    def __init__(self, model: str, draw: Random) -> None:
        self.model, self.draw = model, draw
        self.task = cast(Task, model.split("/")[0])
        self.versions = ["1"]
        self.rows = self.changes = 0
        self.sent: dict[str, tuple[int, int, int]] = {}
        self.owed: list[tuple[int, str, str | None, float | str]] = []

    def number(self, emitter: str, rows: int) -> dict[str, Any]:
        """The next `seq` of a sender with its counters, now and then with a row it had to drop."""
        seq, emitted, dropped = self.sent.get(emitter, (0, 0, 0))
        lost = int(self.draw.random() < 0.05)
        counters = (seq + 1, emitted + rows + lost, dropped + lost)
        self.sent[emitter] = counters
        return {"emitter": emitter, "seq": seq, "emitted": counters[1]}

    def answers(self, now_ms: int, rows_max: int, trouble: float) -> RawRecord:
        """A batch of rows of one version from one of two instances."""
        draw = self.draw
        n = 1 + int(draw.random() * rows_max)
        version = self.versions[-1] if draw.random() < 0.8 else self.versions[0]
        rows = [_Row(draw, self.task, trouble) for _ in range(n)]
        ids = [f"{self.model}#{self.rows + row}" for row in range(n)]
        self.rows += n
        times = [self._event_time(now_ms) for _ in rows]
        for row, id_, at_ms in zip(rows, ids, times, strict=True):
            self._owe(id_, version, row.truth, min(at_ms, now_ms))
        instance = draw.choice(["a", "b"])
        emitter = f"{self.model}@{instance}"
        numbers = self.number(emitter, n)
        columns = ["amount", "age"] if draw.random() < 0.9 else ["age", "amount"]
        return raw_inference(
            n=n,
            model=self.model,
            version=version,
            offset=-1,
            record_time_ms=now_ms,
            time_ms=times,
            ids=ids,
            numeric={name: [row.numeric[name] for row in rows] for name in columns},
            categories={"kind": [row.kind for row in rows]},
            prediction=[row.answer for row in rows],
            score=None
            if self.task == "regression"
            else [row.score for row in rows]
            if self.task == "binary"
            else {name: [row.score_of(name) for row in rows] for name in CLASSES},
            latency_ms=[row.latency_ms for row in rows],
            error=[row.error for row in rows],
            segments={
                "country": [row.country for row in rows],
                "channel": [row.channel for row in rows],
            },
            llm=_calls(rows) if n % 3 else None,
            entity=[f"{row.country}{row.kind}" for row in rows] if n % 4 else None,
            instance=instance,
            dropped={"queue_full": self.sent[emitter][2]},
            **numbers,
        )

    def single(self, now_ms: int, trouble: float) -> RawRecord:
        """One row as a JSON event, without a sender's number."""
        row = _Row(self.draw, self.task, trouble)
        id_ = f"{self.model}#{self.rows}"
        self.rows += 1
        self._owe(id_, self.versions[-1], row.truth, now_ms)
        body = {
            "model": self.model,
            "version": self.versions[-1],
            "prediction_id": id_,
            "timestamp": now_ms,
            "features": {"age": row.numeric["age"], "kind": row.kind},
            "prediction": row.answer,
            "latency_ms": row.latency_ms,
            "segments": {"country": row.country},
        }
        if self.task != "regression":
            body["proba"] = row.score
        kind = headers("inference", id=id_, source="test", time="", content_type=JSON)
        return RawRecord(
            "events.v1", 0, -1, now_ms, self.model.encode(), msgspec.json.encode(body), kind
        )

    def _event_time(self, now_ms: int) -> int:
        """Mostly some seconds ago, sometimes minutes, rarely by a clock that is far ahead."""
        chance = self.draw.random()
        if chance < 0.01:
            return now_ms + 1_200_000
        if chance < 0.05:
            return now_ms - int(self.draw.random() * 5 * MINUTE_MS)
        return now_ms - int(self.draw.random() * 15_000)

    def _owe(self, id_: str, version: str, truth: float | str, at_ms: int) -> None:
        """Plan what the labeller will say of a row, if anything, and when."""
        draw = self.draw
        if draw.random() < 0.1:
            return
        named = version if draw.random() < 0.5 else None
        due_ms = at_ms + int(draw.expovariate(1 / 60_000))
        heapq.heappush(self.owed, (due_ms, id_, named, truth))
        if draw.random() < 0.05:
            heapq.heappush(self.owed, (due_ms + 20_000, id_, named, truth))
        if draw.random() < 0.05:
            other = _Row(draw, self.task, 0.0).truth
            heapq.heappush(self.owed, (due_ms + 40_000, id_, named, other))

    def labels(self, now_ms: int, rows_max: int) -> RawRecord | None:
        """A batch of what is due; an orphan or the label of a row to come may be among it."""
        draw = self.draw
        due = [heapq.heappop(self.owed) for _ in range(rows_max) if self._is_due(now_ms)]
        if draw.random() < 0.1:
            ahead = self.rows + int(draw.random() * 20)
            truth = _Row(draw, self.task, 0.0).truth
            due.append((now_ms - 1, f"{self.model}#{ahead}", None, truth))
        if not due:
            return None
        versions = {named for _, _, named, _ in due}
        version = due[0][2] if len(versions) == 1 else None
        numbers = self.number(f"{self.model}@labels", len(due))
        return raw_labels(
            model=self.model,
            version=version,
            offset=-1,
            record_time_ms=now_ms,
            time_ms=[due_ms for due_ms, _, _, _ in due],
            ids=[id_ for _, id_, _, _ in due],
            label=[truth for _, _, _, truth in due],
            emitter=numbers["emitter"],
            seq=numbers["seq"],
        )

    def _is_due(self, now_ms: int) -> bool:
        return bool(self.owed) and self.owed[0][0] <= now_ms

    def word(self, now_ms: int) -> RawRecord:
        """What a person or a server says beside the rows."""
        draw, version = self.draw, self.versions[-1]
        chance = draw.random()
        event: Any
        if chance < 0.4:
            cpu, memory = draw.random(), draw.random()
            event = Resource(
                model=self.model,
                version=version,
                instance=draw.choice(["a", "b"]),
                time_ms=now_ms - 1_000,
                cpu=cpu,
                memory=memory,
                throttled=cpu * memory,
                started_ms=now_ms - 1_000 - now_ms % LIFE_MS,
                hardware=f"{1 + now_ms // LIFE_MS % 2} x core",
            )
        elif chance < 0.6:
            if len(self.versions) < 3:
                self.versions.append(str(len(self.versions) + 1))
            event = Deploy(model=self.model, version=self.versions[-1], time_ms=now_ms)
        elif chance < 0.8:
            event = self._verdict(now_ms)
        elif chance < 0.85:
            version = draw.choice([None, version])
            event = ReferenceChange(
                model=self.model,
                action=draw.choice(["accept", "reset"]),
                time_ms=now_ms,
                version=version,
                author="on call",
            )
        else:
            self.changes += 1
            event = MonitorChange(model=self.model, definition=definition(self.model, self.changes))
        return raw_event(event, offset=-1, time_ms=now_ms)

    def _verdict(self, now_ms: int) -> Verdict:
        draw = self.draw
        alert, feature = draw.choice(
            [("Errors", ""), ("FewRows", ""), ("FeatureDrift", "amount"), ("ErrorShift", "")]
        )
        kind: Any = draw.choice(["ack", "silence", "unsilence", "useful", "noise"])
        return Verdict(
            model=self.model,
            fingerprint=alert_fingerprint(alert, self.model, self.versions[-1], feature, ""),
            verdict=kind,
            time_ms=now_ms,
            until_ms=now_ms + 2 * MINUTE_MS if kind == "silence" else None,
            author="on call",
        )


def stream(
    seed: int, *, models: int = 2, records: int = 200, rows_per_batch: int = 8
) -> list[RawRecord]:
    """`records` records of `models` models in log order, without places: see `placed`.

    Record times ascend by 0 to 8 s; in one silence of five minutes only ticks come, by 0 to 40 s.
    One batch in thirty is sent twice. Before the silence the model gets worse for a while.
    """
    draw = Random(f"{seed}")
    writers = [_Writer(name, Random(f"{seed}/{name}")) for name in names(models)]
    found: list[RawRecord] = []
    now_ms, silent_until_ms = START_MS + int(draw.random() * MINUTE_MS), 0
    while len(found) < records:
        done = len(found) / records
        now_ms += int(draw.random() * (40_000 if now_ms < silent_until_ms else 8_000))
        if not silent_until_ms and done > 0.7:
            silent_until_ms = now_ms + 5 * MINUTE_MS
        if now_ms < silent_until_ms or draw.random() < 0.15:
            found.append(raw_tick(offset=-1, time_ms=now_ms))
            continue
        trouble = math.sin(math.pi * (done - 0.4) / 0.25) if 0.4 < done < 0.65 else 0.0
        sent = _one(draw, draw.choice(writers), now_ms, rows_per_batch, trouble)
        if sent is None:
            continue
        found.append(sent)
        if draw.random() < 1 / 30 and len(found) < records:
            found.append(_again(draw, found, now_ms))
    return found


def _one(
    draw: Random, writer: _Writer, now_ms: int, rows_max: int, trouble: float
) -> RawRecord | None:
    chance = draw.random()
    if chance < 0.08:
        return writer.word(now_ms)
    if chance < 0.35:
        return writer.labels(now_ms, rows_max)
    if chance < 0.38:
        return writer.single(now_ms, trouble)
    return writer.answers(now_ms, rows_max, trouble)


def _again(draw: Random, found: Sequence[RawRecord], now_ms: int) -> RawRecord:
    """A record that its sender repeats; one without a number is never repeated."""
    numbered = [raw for raw in found if raw.headers["content-type"] != JSON.encode()]
    repeat = draw.choice(numbered or [raw_tick(offset=-1, time_ms=now_ms)])
    return msgspec.structs.replace(repeat, time_ms=now_ms)


def placed(records: Iterable[RawRecord], *, partition: int = 0, first: int = 0) -> list[RawRecord]:
    """The same records at the offsets `first`, `first` + 1, … of one partition."""
    return [
        msgspec.structs.replace(raw, partition=partition, offset=first + place)
        for place, raw in enumerate(records)
    ]
