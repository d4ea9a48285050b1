"""Traffic whose right outcome is known without any fold: what went in says what must come out.

Batch `n` of a model holds 500 rows whose feature `mark` is `n`. So a window of 1,000 rows that
starts at row `s` has the mean `s / 500 + 0.5`, and only if each batch counted once and in order.
"""

import threading
import time
from collections import Counter
from collections.abc import Sequence

from confluent_kafka import Producer

from inferwatch.connection import Connection
from inferwatch.records.raw import RawRecord
from inferwatch.testing.builders import raw_inference, raw_labels

ROWS = 500
WINDOW_ROWS = 1_000
REPEAT_EACH = 20
MONITORS = """\
apiVersion: inferwatch/v1
match: {model: "team/*"}
model: {task: binary, positive: 1, label_delay: 5s, label_horizon: 20s, restate_every: 10s}
reference: {min_rows: 1000}
windows:
  batch: {rows: 1000}
  fast: {size: 5s, grace: 1s}
checks:
  - alert: Drift
    metric: feature.amount
    method: psi
    window: batch
    fail: {above: 0.25}
  - alert: AccuracyDrop
    metric: accuracy
    window: fast
    against: reference
    when: {labels: 100, coverage: 80%}
    fail: {drop: 5pp}
"""


def models(count: int) -> list[str]:
    """Names of models."""
    return [f"team/model-{number}" for number in range(count)]


def batch(model: str, number: int, time_ms: int) -> RawRecord:
    """The `number`-th 500 rows of a model; `amount` jumps every 40 batches."""
    jump = 40.0 * (number // 40 % 2)
    return raw_inference(
        model=model,
        n=ROWS,
        offset=number,
        emitter=f"{model}-server",
        time_ms=[time_ms] * ROWS,
        numeric={
            "amount": [10.0 + row % 7 + jump for row in range(ROWS)],
            "mark": [float(number)] * ROWS,
        },
        prediction=[1.0] * ROWS,
        ids=_ids(number),
    )


def labels(model: str, number: int, time_ms: int) -> RawRecord:
    """The truth about a batch: right nine times in ten."""
    return raw_labels(
        model=model,
        ids=_ids(number),
        label=[int((row + number) % 10 > 0) for row in range(ROWS)],
        offset=number,
        emitter=f"{model}-labels",
        time_ms=[time_ms] * ROWS,
    )


def _ids(number: int) -> list[str]:
    return [f"{number}-{row}" for row in range(ROWS)]


class Feeder(threading.Thread):
    """Feeds models in turn at `pace` batches a second until told to stop; labels for every
    `label_each`-th batch. Its producer keeps order and waits for brokers. Every `REPEAT_EACH`-th
    batch is sent twice, and must count once.
    """

    def __init__(
        self, connection: Connection, names: Sequence[str], pace: float, label_each: int = 2
    ) -> None:
        super().__init__(daemon=True)
        self.batches = Counter[str]()
        self.labels = 0
        self._topic, self._names, self._pace = connection.topic("events.v1"), names, pace
        self._label_each, self._ended = label_each, threading.Event()
        self._problems: list[str] = []
        self._producer = Producer(
            connection.librdkafka(
                **{
                    "partitioner": "murmur2_random",
                    "acks": "all",
                    "enable.idempotence": True,  # else a retry may change the order
                    "message.timeout.ms": 300_000,
                    "linger.ms": 5,
                    "log_level": 0,
                }
            )
        )

    @property
    def rows(self) -> int:
        """Rows of predictions handed to the producer."""
        return ROWS * sum(self.batches.values())

    def run(self) -> None:
        """Feed until `finish`."""
        started_s = time.monotonic()
        for turn in range(1 << 62):
            if self._ended.wait(max(0.0, started_s + turn / self._pace - time.monotonic())):
                return
            model = self._names[turn % len(self._names)]
            self.send(model)

    def send(self, model: str) -> None:
        """One more batch of a model, perhaps with its labels."""
        number, now_ms = self.batches[model], int(time.time() * 1000)
        for _ in range(1 + (number % REPEAT_EACH == REPEAT_EACH - 1)):
            self._produce(batch(model, number, now_ms))
        self.batches[model] += 1
        if number % self._label_each == self._label_each - 1:
            self._produce(labels(model, number, now_ms))
            self.labels += 1
        self._producer.poll(0)

    def finish(self) -> None:
        """Stop, and wait until the brokers have everything."""
        self._ended.set()
        if self.is_alive():
            self.join()
        assert self._producer.flush(120) == 0
        assert not self._problems, self._problems[:3]

    def _produce(self, raw: RawRecord) -> None:
        self._producer.produce(
            self._topic,
            key=raw.key,
            value=raw.value,
            headers=list(raw.headers.items()),
            on_delivery=self._delivered,
        )

    def _delivered(self, problem: object, _: object) -> None:
        if problem is not None:
            self._problems.append(str(problem))


def wrong_windows(
    batches: Counter[str], windows: Sequence[dict], window_rows: int = WINDOW_ROWS
) -> list[str]:
    """What is lost, doubled or out of order, by the windows of so many rows; nothing when exact."""
    found: dict[tuple[str, int], tuple[int, float]] = {}
    for one in windows:
        first = not one.get("revision")  # later ones restate what labels say
        if first and one["window"]["name"] == "batch" and not one.get("segment"):
            place = one["model"], one["window"]["start"]
            found[place] = one["rows"], one["features"]["mark"]["mean"]
    wanted = {
        (model, start): (window_rows, (start + window_rows / 2) / ROWS - 0.5)
        for model, count in batches.items()
        for start in range(0, count * ROWS - window_rows + 1, window_rows)
    }
    return [
        f"{place}: {found.get(place)} instead of {wanted.get(place)}"
        for place in sorted(found.keys() | wanted.keys())
        if found.get(place) != wanted.get(place)
    ]
