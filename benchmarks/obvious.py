"""The obvious way, as a process: one JSON event a message, river objects updated for every event.

The Faust app, its settings and the raw topic are the worker's own (`runtime.app`), but that Faust
hands on a message at a time; no offsets are committed and nothing is written. Prints a line of JSON
each time that `--report-every` rows are done. What it does for a row is what the default checks
need, in river's objects where river has one; what it leaves out is listed in benchmarks/README.md,
all of it in its favour.
"""

import argparse
import sys
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any

import faust
import msgspec
from faust.transport.drivers.aiokafka import Consumer
from faust.transport.utils import DefaultSchedulingStrategy
from river import stats
from river.drift import ADWIN, PageHinkley

from inferwatch.connection import Connection
from inferwatch.runtime import app as apps

BUFFERED_MESSAGES = 64
DECILES = [-1.2816, -0.8416, -0.5244, -0.2533, 0.0, 0.2533, 0.5244, 0.8416, 1.2816]


class Column:
    """What is kept of a feature or a score."""

    def __init__(self, detectors: Sequence[type]) -> None:
        self.variance, self.least, self.most = stats.Var(), stats.Min(), stats.Max()
        self.bins = [0] * (len(DECILES) + 1)
        self.missing = 0
        self.detectors = [detector() for detector in detectors]

    def update(self, value: float | None) -> bool:
        """Whether the level of the column has changed."""
        if value is None:
            self.missing += 1
            return False
        self.variance.update(value)
        self.least.update(value)
        self.most.update(value)
        self.bins[bisect_left(DECILES, value)] += 1
        changed = False
        for detector in self.detectors:
            detector.update(value)
            changed |= detector.drift_detected
        return changed


class Model:
    """What is kept of a model."""

    def __init__(self, detectors: Sequence[type] = (ADWIN,)) -> None:
        self.detectors = detectors
        self.columns: dict[str, Column] = {}
        self.score = Column(detectors)
        self.latency, self.latency_p99 = stats.Var(), stats.Quantile(0.99)
        self.failed = stats.Mean()
        self.classes: Counter[Any] = Counter()
        self.changes = 0

    def update(self, event: dict[str, Any]) -> None:
        """One event."""
        for name, value in event["features"].items():
            column = self.columns.get(name)
            if column is None:
                column = self.columns[name] = Column(self.detectors)
            self.changes += column.update(value)
        self.changes += self.score.update(event["proba"])
        self.latency.update(event["latency_ms"])
        self.latency_p99.update(event["latency_ms"])
        self.failed.update(event.get("error") is not None)
        self.classes[event["prediction"]] += 1


class Obvious:
    """All models, and the count of rows."""

    def __init__(self, report_every: int, detectors: Sequence[type]) -> None:
        self.models: dict[str, Model] = {}
        self.detectors = detectors
        self.rows, self.report_every = 0, report_every

    async def run(self, stream: Any) -> None:
        """The body of the agent."""
        decode = msgspec.json.decode
        async for value in stream:
            event = decode(value)
            model = self.models.get(event["model"])
            if model is None:
                model = self.models[event["model"]] = Model(self.detectors)
            model.update(event)
            self.rows += 1
            if self.rows % self.report_every == 0:
                self.report()

    def report(self) -> None:
        """Rows so far, and by model its rows and the mean of its first feature."""
        first = [next(iter(model.columns.values())).variance for model in self.models.values()]
        line = {"rows": self.rows, "models": [(one.mean.n, one.mean.get()) for one in first]}
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.buffer.flush()


def as_it_comes(app: faust.App) -> None:
    """Faust hands on one message at a time again, where our shell has it hand on what a fetch
    brought.
    """
    app.transport.Consumer = Consumer
    app.conf.ConsumerScheduler = DefaultSchedulingStrategy
    app.conf.broker_max_poll_records = app.conf.stream_buffer_maxsize = BUFFERED_MESSAGES


def main() -> int:
    """`python benchmarks/obvious.py --bootstrap-server … --topic … --report-every …`"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--report-every", type=int, required=True)
    parser.add_argument("--page-hinkley", action="store_true")
    given = parser.parse_args()
    apps.configure_logging()
    connection = Connection(given.bootstrap_server)
    app = apps.make(
        f"{given.topic}-obvious",
        connection,
        component="worker",
        embedded=True,
        session_timeout_s=3.0,
    )
    as_it_comes(app)
    topic = app.topic(
        given.topic,
        value_type=bytes,
        value_serializer="raw",
        key_type=bytes,
        key_serializer="raw",
        acks=False,
    )
    detectors = (ADWIN, PageHinkley) if given.page_hinkley else (ADWIN,)
    side = Obvious(given.report_every, detectors)
    app.agent(topic, concurrency=1, name="obvious")(side.run)
    return apps.run(app)


if __name__ == "__main__":
    sys.exit(main())
