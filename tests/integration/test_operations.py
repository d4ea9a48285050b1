"""The processes of docker-compose without containers: what they say of themselves reaches people.

A real Kafka, two workers, a notifier, a bridge, Debian's Prometheus and Alertmanager with the
committed configurations, whose targets and waits alone are rewritten, and a model server that is
this process. Grafana itself is not here: the queries of its panels are asked of Prometheus.
"""

import json
import os
import random
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import prometheus_client
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from inferwatch import Monitor
from inferwatch.connection import Connection
from inferwatch.errors import Exit, TransientError
from inferwatch.runtime import topics
from inferwatch.runtime.processes import Child, free_port, ready, wait_for
from inferwatch.telemetry import sdk
from inferwatch.testing.receiver import Receiver

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]
DEPLOY = Path(__file__).parents[2] / "deploy"
IN_DOUBT = (Exit.UNAVAILABLE, Exit.STALLED)
MODEL, KINDS, PATIENCE_S = "team/operations", "team/kinds", 90.0
ROWS_PER_S = 400
MONITORS = """\
apiVersion: inferwatch/v1
match: {model: "team/*"}
model: {task: binary, positive: 1, label_delay: 1s, label_horizon: 1m, restate_every: 1s}
reference: {min_rows: 1000}
windows:
  fast: {size: 3s, grace: 1s}
checks:
  - alert: AmountDrift
    metric: feature.amount
    method: psi
    window: fast
    when: {rows: 100}
    fail: {above: 1.0}
  - alert: AccuracyDrop
    metric: accuracy
    window: fast
    when: {labels: 100}
    fail: {below: 0.5}
  - alert: AccuracyFalls
    metric: estimated.accuracy
    window: fast
    fail: {below: 0.5}
  - alert: AccuracyFell
    metric: corrected.accuracy
    window: fast
    when: {labels: 100}
    fail: {below: 0.5}
"""
KINDS_MONITORS = """\
apiVersion: inferwatch/v1
match: {model: "team/kinds"}
model: {task: multiclass, label_delay: 1s, label_horizon: 1m, restate_every: 1s}
windows:
  fast: {size: 3s, grace: 1s}
checks:
  - alert: KindMissed
    metric: class.*.recall
    when: {labels: 1}
    fail: {below: 0.5}
"""
OF_KINDS = "Recall by class (10 lowest)"  # a panel that the binary model has nothing for
# the panels that show nothing while all is well, and what fills them
ALERT, DEAD_WORKER = "a model's alert", "a dead worker"
OF_FAULTS = {
    "What fires": ALERT,
    "One attempt at a message": ALERT,
    "Our own alerts": DEAD_WORKER,
}


def binary(name: str) -> str:
    """Path of a command of Debian's; missing means failed in CI, and a loud skip elsewhere."""
    found = shutil.which(name)
    if found is None:
        assert not os.environ.get("CI"), f"CI needs {name}"
        pytest.skip(f"not proved here: that our alerts reach people, because {name} is missing")
    return found


class Program:
    """A program that is not ours, with its log in a file."""

    def __init__(self, folder: Path, *command: object) -> None:
        self._log = (folder / f"{Path(str(command[0])).name}.log").open("ab")
        words = [*map(str, command)]
        self._process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, cwd=folder
        )

    def stop(self) -> None:
        """End it by its id."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


class Server(threading.Thread):
    """A model server: answers with latencies, and truths a moment later. `shift` moves `amount`."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(daemon=True)
        self.monitor = Monitor(MODEL, "1", connection=connection)
        self.kinds = Monitor(KINDS, "1", connection=connection)
        self.shift = 0.0
        self._ended = threading.Event()

    def run(self) -> None:
        """Until `stop`."""
        luck, waiting = random.Random(7), []
        while not self._ended.wait(0.1):
            for _ in range(ROWS_PER_S // 10):
                truth = luck.randrange(2)
                proba = 0.8 if truth == (luck.random() < 0.9) else 0.2
                features = {
                    "amount": luck.gauss(10 + self.shift, 2),
                    "country": luck.choice("ABC"),
                }
                call = {
                    "input_tokens": luck.randint(10, 900),
                    "output_tokens": luck.randint(1, 200),
                    "time_to_first_token_ms": luck.expovariate(0.1),
                    "cost": luck.random() / 100,
                    "finish_reason": "stop",
                }
                latency_ms = luck.expovariate(0.05)
                id_ = self.monitor.log(
                    features, round(proba), proba, latency_ms=latency_ms, llm=call
                )
                waiting.append((id_, truth))
            kind = luck.choice(["cat", "dog"])
            self.kinds.log_label(self.kinds.log({}, kind), kind)
            known, waiting = waiting[:-ROWS_PER_S], waiting[-ROWS_PER_S:]
            if known:
                self.monitor.log_labels(*map(list, zip(*known, strict=True)))

    def stop(self) -> None:
        """Say no more."""
        self._ended.set()
        self.join()
        self.monitor.close()
        self.kinds.close()


@dataclass
class Stage:
    """Everything that runs, and what it is asked."""

    connection: Connection
    folder: Path
    hook: Receiver
    addresses: dict[str, str]
    children: dict[str, Child] = field(default_factory=dict)
    commands: dict[str, tuple[object, ...]] = field(default_factory=dict)

    def start(self, name: str, command: str, *options: object) -> None:
        """One process of ours, listening where the configurations say."""
        self.commands[name] = (command, *options)
        self.children[name] = Child(
            name,
            "inferwatch.cli.main",
            [
                command,
                *self.connection.arguments(),
                *("--http-listen", self.addresses[f"{name}:8080"]),
                *map(str, options),
            ],
            self.folder,
        )

    def start_worker(self, name: str) -> None:
        """As in docker-compose, with shorter waits."""
        options = ("--session-timeout", 6, "--tick-every", 1, "--checkpoint-every", 0.5)
        self.start(
            name, "worker", *options, "--monitors", *sorted(self.folder.glob("*monitors.yaml"))
        )

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Until a state; processes that end in doubt are started again, as compose would."""

        def holds() -> bool:
            for name, child in list(self.children.items()):
                code = child.process.poll()
                assert code in (None, *IN_DOUBT), f"{name}: exit {code}\n{child.last_words()}"
                if code is not None:
                    self.start(name, *self.commands[name])
            try:
                return bool(condition())
            except (URLError, OSError, HTTPException):
                return False

        wait_for(holds, PATIENCE_S, what)

    def ask(self, path: str, **query: str):
        """What Prometheus' API answers."""
        address = self.addresses["localhost:9090"]
        with urlopen(f"http://{address}/api/v1/{path}?{urlencode(query)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def figures(self, query: str) -> list[float]:
        """Values of a query now, what is no number left out."""
        found = self.ask("query", query=query)["result"]
        return [value for one in found if (value := float(one["value"][1])) == value]

    def told(
        self, name: str, status: str, path: str = "/on-call", since: int = 0, **labels: str
    ) -> bool:
        """Whether Alertmanager has told the webhook so in a message from `since` on."""
        wanted = {"alertname": name} | labels
        return any(
            one["status"] == status and wanted.items() <= one["labels"].items()
            for request in list(self.hook.requests)[since:]
            if request.path.startswith(path)
            for one in json.loads(request.body)["alerts"]
        )


def configure(stage: Stage, server: int) -> None:
    """The committed files, with targets on this machine and waits of a second."""
    folder, on = stage.folder, stage.addresses
    more = {"inferwatch-bridge": on["bridge:8080"], "servers": f"127.0.0.1:{server}"}
    jobs = [
        f"\n  - job_name: {job}\n    static_configs:\n      - targets: ['{place}']\n"
        for job, place in more.items()
    ]
    text = (DEPLOY / "prometheus/prometheus.yml").read_text().replace("15s", "1s")
    for name, address in on.items():
        text = text.replace(name, address)
    (folder / "prometheus.yml").write_text(text + "".join(jobs))
    rules = (DEPLOY / "prometheus/rules/inferwatch.yml").read_text()
    (folder / "rules").mkdir()
    (folder / "rules/inferwatch.yml").write_text(re.sub(r"for: \w+", "for: 1s", rules))
    text = (DEPLOY / "alertmanager/alertmanager.yml").read_text()
    text = re.sub(r"group_wait: \w+", "group_wait: 0s", text)
    text = re.sub(r"group_interval: \w+", "group_interval: 1s", text)
    base = stage.hook.url.removesuffix("/hook")
    for name in ("on-call", "dead-man"):
        hook = f"    webhook_configs: [{{url: '{base}/{name}'}}]\n"
        text = text.replace(f"  - name: {name}\n", f"  - name: {name}\n{hook}")
    (folder / "alertmanager.yml").write_text(text)
    (folder / "monitors.yaml").write_text(MONITORS)
    (folder / "kinds-monitors.yaml").write_text(KINDS_MONITORS)
    text = (DEPLOY / "channels.yaml").read_text()
    channels = text.replace("alertmanager:9093", on["alertmanager:9093"])
    (folder / "channels.yaml").write_text(channels)


@pytest.fixture(scope="module")
def stage(kafka, tmp_path_factory) -> Iterator[Stage]:
    """All processes, started and ready."""
    prometheus, alertmanager = binary("prometheus"), binary("prometheus-alertmanager")
    folder, connection = tmp_path_factory.mktemp("stage"), Connection(kafka, prefix="operations.")
    topics.apply(connection, topics.wanted(connection.prefix, 4), 1)
    admin = AdminClient(connection.librdkafka())
    admin.create_topics([NewTopic("orders.scored", 2, 1)])["orders.scored"].result(20)
    registry = prometheus_client.CollectorRegistry()
    sdk.register(registry)
    exposed, _ = prometheus_client.start_http_server(0, "127.0.0.1", registry)
    names = ("worker-1:8080", "worker-2:8080", "notifier:8080", "bridge:8080")
    places = {
        name: f"127.0.0.1:{free_port()}" for name in (*names, "alertmanager:9093", "localhost:9090")
    }
    with Receiver() as hook, ExitStack() as stack:
        stack.callback(exposed.shutdown)
        stage = Stage(connection, folder, hook, places)
        configure(stage, exposed.server_address[1])
        stack.callback(lambda: [child.stop() for child in stage.children.values()])
        for program in (
            (
                *(alertmanager, "--config.file=alertmanager.yml", "--storage.path=am"),
                f"--web.listen-address={places['alertmanager:9093']}",
                "--cluster.listen-address=",
            ),
            (
                *(prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"),
                f"--web.listen-address={places['localhost:9090']}",
                "--enable-feature=exemplar-storage",
                "--rules.alert.resend-delay=1s",
            ),
        ):
            stack.callback(Program(folder, *program).stop)
        for name in ("worker-1", "worker-2"):
            stage.start_worker(name)
        stage.start("notifier", "notifier", "--channels", folder / "channels.yaml")
        stage.start("bridge", "ingest", "--from", "orders.scored")
        for name in names:
            stage.wait(lambda name=name: ready(places[name]), name)
        yield stage


@pytest.fixture(scope="module")
def server(stage) -> Iterator[Server]:
    """Traffic of every kind: the SDK's, the bridge's, and a record that nobody can read."""
    producer = Producer(stage.connection.librdkafka())
    event = {
        "model": "team/orders",
        "version": "1",
        "prediction_id": "a",
        "prediction": 1,
        "timestamp": "2026-02-25T15:00:00Z",
    }
    for number in range(50):
        single = event | {"prediction_id": f"a{number}"}
        producer.produce("orders.scored", json.dumps(single).encode(), key=b"k")
    server = Server(stage.connection)
    server.start()
    ended = threading.Event()

    def rubbish() -> None:
        while not ended.wait(1.0):
            producer.produce("orders.scored", b"{", key=b"k")
            producer.produce(stage.connection.topic("events.v1"), b"{", key=b"team/rubbish")
            producer.poll(0)

    thread = threading.Thread(target=rubbish, daemon=True)
    thread.start()
    yield server
    ended.set()
    thread.join()
    producer.flush(10)
    server.stop()


def panels(fault: str | None) -> dict[str, str]:
    """The queries of all dashboards that a fault fills, Grafana's variables filled in."""
    return {
        f"{path.stem}: {panel['title']} {target['refId']}": target["expr"]
        .replace("$__rate_interval", "15s")
        .replace("$model", KINDS if panel["title"] == OF_KINDS else MODEL)
        for path in DEPLOY.glob("grafana/dashboards/*.json")
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
        if OF_FAULTS.get(panel["title"]) == fault
    }


def wait_for_panels(stage: Stage, fault: str | None) -> None:
    """Until each of these queries has given data."""
    left = panels(fault)
    assert left

    def none_left() -> bool:
        for name in [name for name, query in left.items() if stage.figures(query)]:
            del left[name]
        return not left

    try:
        stage.wait(none_left, "every panel")
    except TransientError as why:
        pytest.fail(f"{why}\nno data: {left}")


def test_every_target_is_up_and_every_rule_is_loaded(stage):
    """Prometheus scrapes all that its configuration names, and judges all rules that we ship."""
    stage.wait(
        lambda: {one["health"] for one in stage.ask("targets")["activeTargets"]} == {"up"},
        "all targets",
    )
    jobs = [one["labels"]["job"] for one in stage.ask("targets")["activeTargets"]]
    assert sorted(jobs) == sorted(
        ["inferwatch-worker"] * 2
        + ["inferwatch-notifier", "inferwatch-bridge", "servers", "alertmanager", "prometheus"]
    )
    stage.wait(
        lambda: all(
            one["health"] == "ok"
            for group in stage.ask("rules")["groups"]
            for one in group["rules"]
        ),
        "all rules judged",
    )
    loaded = [one["name"] for group in stage.ask("rules")["groups"] for one in group["rules"]]
    assert loaded == re.findall(
        r"- alert: (\w+)", (DEPLOY / "prometheus/rules/inferwatch.yml").read_text()
    )
    stage.wait(lambda: stage.told("Watchdog", "firing", "/dead-man"), "the watchdog's message")


def test_every_panel_has_data(stage, server):
    """The traffic is seen by each panel's own query, but for those that need a fault."""
    wait_for_panels(stage, None)


def test_a_count_leads_to_what_it_counted(stage, server):
    """An exemplar of the windows given out holds the id of a window; Prometheus keeps it."""
    now_s = time.time()

    def ids() -> list[str]:
        found = stage.ask(
            "query_exemplars",
            query='inferwatch_outputs_total{kind="window"}',
            start=str(now_s - 600),
            end=str(now_s + 600),
        )
        return [one["labels"]["window_id"] for series in found for one in series["exemplars"]]

    stage.wait(ids, "an exemplar")
    assert all(re.fullmatch(r"[0-9a-f]{24}", id_) for id_ in ids())


def test_a_model_s_alert_reaches_alertmanager_and_its_receiver(stage, server):
    """A drift is told, with its model in the labels, shown by panels, and resolved when over."""
    labels = {"model": MODEL, "severity": "critical", "source": "inferwatch"}
    server.shift = 40.0
    stage.wait(lambda: stage.told("AmountDrift", "firing", **labels), "the alert's message")
    address = stage.addresses["alertmanager:9093"]
    with urlopen(f"http://{address}/api/v2/alerts?filter=source=inferwatch", timeout=10) as answer:
        assert {one["labels"]["alertname"] for one in json.load(answer)} == {"AmountDrift"}
    wait_for_panels(stage, ALERT)
    assert 1 in stage.figures(f'inferwatch_alert_firing{{model="{MODEL}"}}')
    server.shift = 0.0
    stage.wait(lambda: stage.told("AmountDrift", "resolved", **labels), "its end")


def test_a_killed_worker_is_told_and_its_return_resolves_it(stage, server):
    """SIGKILL: the other worker goes on, on-call hears which one, and hears when it is back."""
    before, instance = len(stage.hook.requests), stage.addresses["worker-1:8080"]

    def told(name: str, status: str, **labels: str) -> bool:
        return stage.told(name, status, since=before, **labels)

    stage.children.pop("worker-1").kill()
    stage.wait(lambda: told("InferwatchWorkerDown", "firing", instance=instance), "the message")
    wait_for_panels(stage, DEAD_WORKER)
    assert not told("InferwatchNoWorker", "firing")
    stage.start_worker("worker-1")
    stage.wait(lambda: told("InferwatchWorkerDown", "resolved", instance=instance), "its end")
    partitions = 'sum(inferwatch_partitions{job="inferwatch-worker"})'
    stage.wait(lambda: stage.figures(partitions) == [4.0], "all partitions owned again")
