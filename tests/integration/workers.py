"""Real workers for tests: started as processes, watched through their health endpoint."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from confluent_kafka import Producer

from inferwatch.connection import Connection
from inferwatch.core.output import ERROR_HEADERS
from inferwatch.records.outputs import word
from inferwatch.records.raw import RawRecord
from inferwatch.replay import driver, published, topic
from inferwatch.replay.log import LogReader
from inferwatch.runtime.processes import Child, free_port, ready

PATIENCE_S = 60.0
MODEL = "team/model"
MONITORS = """\
apiVersion: inferwatch/v1
match: {model: "team/*"}
model: {task: binary, positive: 1, label_delay: 1h}
reference: {min_rows: 1000}
windows:
  batch: {rows: 500}
checks:
  - alert: Drift
    metric: feature.*
    method: psi
    fail: {above: 0.25}
  - alert: AccuracyDrop
    metric: accuracy
    against: reference
    when: {labels: 100, coverage: 80%}
    fail: {drop: 5pp}
"""


class Worker:
    """One worker process on `connection`."""

    def __init__(
        self,
        connection: Connection,
        folder: Path,
        *,
        embedded: bool,
        name: str = "worker",
        options: tuple[str, ...] = (),
        monitors: str = MONITORS,
        module: str = "inferwatch.cli.main",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        file = folder / f"{name}.yaml"
        file.write_text(monitors, encoding="utf-8")
        self.address = f"127.0.0.1:{free_port()}"
        self.child = Child(
            name,
            module,
            [
                "worker",
                "--bootstrap-server",
                connection.bootstrap_servers,
                "--prefix",
                connection.prefix,
                "--broker",
                "embedded" if embedded else "real",
                "--session-timeout",
                "3" if embedded else "6",
                "--http-listen",
                self.address,
                "--tick-every",
                "1",
                "--checkpoint-every",
                "0.5",
                "--monitors",
                str(file),
                *options,
            ],
            folder,
            environment=environment,
        )

    def until_ready(self) -> "Worker":
        """Wait for partitions and restored state."""
        until(lambda: ready(self.address), "the worker is ready", self)
        return self

    def metrics(self) -> dict[str, float]:
        """Every sample of `/metrics` by name and labels.

        :raises OSError: it does not answer, or ended in the middle of it.
        """
        try:
            with urlopen(f"http://{self.address}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except HTTPException as cut:
            raise ConnectionError(str(cut)) from None
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def rows(self) -> float:
        """Rows in the model's checkpoints, as this worker knows them."""
        return self.metrics().get(f'inferwatch_model_rows{{model="{MODEL}"}}', 0.0)


@contextlib.contextmanager
def running(connection: Connection, folder: Path, *, embedded: bool, **more) -> Iterator[Worker]:
    """A worker for the length of a block."""
    worker = Worker(connection, folder, embedded=embedded, **more)
    try:
        yield worker.until_ready()
    finally:
        worker.child.stop()


def until(
    condition: Callable[[], bool],
    what: str,
    worker: Worker | None = None,
    patience_s: float = PATIENCE_S,
) -> None:
    """Wait for a state; the worker's own words when it does not come."""
    deadline_s = time.monotonic() + patience_s
    while not condition():
        words = worker.child.last_words() if worker else ""
        ended = worker is not None and not worker.child.running()
        assert not ended, f"the worker ended while waiting until {what}:\n{words}"
        assert time.monotonic() < deadline_s, f"not within {patience_s:.0f} s: {what}\n{words}"
        time.sleep(0.05)


def send(connection: Connection, records: list[RawRecord]) -> None:
    """Put records on the events topic as a producer of another make would."""
    producer = Producer(connection.librdkafka(partitioner="murmur2_random", acks="all"))
    for raw in records:
        producer.produce(
            connection.topic("events.v1"),
            key=raw.key,
            value=raw.value,
            headers=list(raw.headers.items()),
        )
    assert producer.flush(20) == 0


def dead_reasons(connection: Connection) -> list[str]:
    """Reasons of all dead letters there are."""
    with LogReader(connection, "dlq.v1") as reader:
        return [raw.headers[f"{ERROR_HEADERS}reason"].decode() for raw in reader.read_all()]


def published_windows(connection: Connection) -> dict[str, dict]:
    """Every window record by id."""
    with LogReader(connection, "windows.v1") as reader:
        windows = [raw for raw in reader.read_all() if word(raw.headers) == "window"]
    found = [json.loads(raw.value or b"") for raw in windows]
    return {record["id"]: record for record in found}


def replayed(connection: Connection, folded: Mapping[int, int] | None = None) -> driver.Summary:
    """The topic through the same fold, by its recorded rules; the whole of it, or as far as the
    group has `folded` it.
    """
    survey = topic.survey(connection)
    for number, end in (folded or {}).items():
        survey.spans[number] = survey.spans[number][0], end
    records = topic.records(connection, survey, recorded_rules=True)
    return driver.run(
        records, survey.definition, {}, lambda *_: None, survey.skipped, len(survey.spans)
    )


def live_digest(connection: Connection) -> str:
    """Of everything that workers published."""
    return published.digest(connection).hex()
