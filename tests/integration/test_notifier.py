"""The notifier as a process, on the embedded broker, with receivers on loopback."""

import base64
import json
import threading
from urllib.request import urlopen

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from inferwatch.connection import Connection
from inferwatch.notify.plan import idempotency_key
from inferwatch.records.notified import NotifiedRecord, merge
from inferwatch.records.outputs import canonical
from inferwatch.replay.log import LogReader
from inferwatch.runtime import embedded
from inferwatch.runtime.processes import Child, free_port, ready, wait_for
from inferwatch.testing.alerts import alert_record
from inferwatch.testing.receiver import Answer, Receiver

pytestmark = pytest.mark.processes
PATIENCE_S = 60.0
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(scope="module")
def broker():
    started = embedded.start(
        {
            f"{prefix}.{name}": count
            for prefix in ("order", "killed", "resumed", "dead", "bad", "beats")
            for name, count in embedded.TOPICS.items()
        }
    )
    yield started
    started.stop()


class Stage:
    """One set of topics with a notifier on it."""

    def __init__(self, broker, prefix, folder, **receivers):
        self.connection = Connection(broker.bootstrap_servers, prefix=f"{prefix}.")
        self.folder, self.address = folder, ""
        (folder / "secret").write_text(SECRET)
        entries = [
            f"  - {{type: webhook, name: {name}, url: '{url}', secret_file: secret}}\n"
            for name, url in receivers.items()
        ]
        (folder / "channels.yaml").write_text("notify:\n" + "".join(entries))

    def start(self):
        """A notifier that is ready."""
        self.address = f"127.0.0.1:{free_port()}"
        child = Child(
            "notifier",
            "inferwatch.cli.main",
            [
                "notifier",
                "--bootstrap-server",
                self.connection.bootstrap_servers,
                "--prefix",
                self.connection.prefix,
                "--broker",
                "embedded",
                "--channels",
                str(self.folder / "channels.yaml"),
                "--http-listen",
                self.address,
            ],
            self.folder,
        )
        wait_for(lambda: ready(self.address), PATIENCE_S, "the notifier", [child])
        return child

    def put(self, topic, *records):
        """Write (key, value, headers) to a topic, acknowledged."""
        producer = Producer(self.connection.librdkafka(log_level=0))
        for key, value, headers in records:
            producer.produce(self.connection.topic(topic), value, key=key, headers=headers)
        assert producer.flush(10) == 0

    def tell(self, *alerts, **headers):
        """Put transitions on the alerts topic."""
        self.put(
            "alerts.v1",
            *((alert.fingerprint.encode(), canonical(alert), headers) for alert in alerts),
        )

    def read(self, topic):
        """Everything on a topic."""
        with LogReader(self.connection, topic) as reader:
            return list(reader.read_all())

    def standing(self, fingerprint, channel):
        """What all writers together say of an alert and channel; None before the first."""
        found = [
            msgspec.json.decode(raw.value, type=NotifiedRecord)
            for raw in self.read("notified.v1")
            if raw.value is not None
        ]
        mine = [one for one in found if (one.fingerprint, one.channel) == (fingerprint, channel)]
        return merge(mine) if mine else None

    def committed(self):
        """The offset up to which the notifiers' group is done with the alerts topic."""
        consumer = Consumer(
            self.connection.librdkafka(**{"group.id": f"{self.connection.prefix}notifier"})
        )
        place = TopicPartition(self.connection.topic("alerts.v1"), 0)
        offset = consumer.committed([place], 10)[0].offset
        consumer.close()
        return offset

    def wait_done(self, alert, channel):
        """Wait until the transition has its result."""

        def done():
            standing = self.standing(alert.fingerprint, channel)
            return standing is not None and standing.done >= alert.seq

        wait_for(done, PATIENCE_S, "the result")
        return self.standing(alert.fingerprint, channel)

    def metric(self, name):
        """One line of /metrics; 0 where it is not there."""
        with urlopen(f"http://{self.address}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def told(requests):
    """(alert, seq) of each message, in order of arrival."""
    documents = [json.loads(request.body)["alerts"][0] for request in requests]
    return [(one["labels"]["alertname"], int(one["annotations"]["seq"])) for one in documents]


def ids(requests):
    return [request.headers["webhook-id"] for request in requests]


def test_alerts_are_delivered_once_each_and_in_order(broker, tmp_path):
    """Transitions of two alerts arrive once each and in order, though they stand there twice."""
    lives = {
        name: [
            alert_record(1, "pending", alert=name),
            alert_record(2, "firing", alert=name),
            alert_record(3, "ok", "firing", alert=name),
        ]
        for name in ("RecallDrop", "SlowAnswers")
    }
    steps = [pair for life in zip(*lives.values(), strict=True) for pair in life]
    last = alert_record(4, "firing", alert="RecallDrop")
    with Receiver() as receiver:
        stage = Stage(broker, "order", tmp_path, hook=receiver.url)
        stage.tell(alert_record(9, alert="Observed", mode="observe"))
        stage.tell(alert_record(9, alert="Backtest"), run=b"backtest")
        stage.tell(*steps)
        with stage.start() as notifier:
            stage.tell(*steps)
            stage.tell(last)
            stage.wait_done(last, "hook")
            sent = 'inferwatch_notifications_total{channel="hook",outcome="sent"}'
            assert stage.metric(sent) == 5
            assert notifier.stop() == 0
        assert stage.committed() == len(stage.read("alerts.v1")) == 15
        requests = receiver.requests
        for name in lives:
            seqs = [seq for alert, seq in told(requests) if alert == name]
            assert seqs[:2] == [2, 3]
        assert len(requests) == 5 and len(set(ids(requests))) == 5
        with stage.start():  # what has its result is not sent again
            after = alert_record(5, "ok", "firing", alert="RecallDrop")
            stage.tell(after)
            stage.wait_done(after, "hook")
        assert told(receiver.requests[5:]) == [("RecallDrop", 5)]


def test_a_kill_between_plan_and_answer_repeats_under_the_same_key(broker, tmp_path):
    """Killed with SIGKILL while the receiver holds its answer, it sends again with the same key."""
    release, firing = threading.Event(), alert_record(1)

    def hold(_):
        release.wait(PATIENCE_S)
        return Answer()

    with Receiver(hold) as receiver:
        stage = Stage(broker, "killed", tmp_path, hook=receiver.url)
        child = stage.start()
        stage.tell(firing)
        receiver.wait_for(1, PATIENCE_S)
        standing = stage.standing(firing.fingerprint, "hook")
        assert standing.done == 0 and [plan.alert for plan in standing.plans] == [firing]
        child.kill()
        release.set()
        with stage.start():
            assert stage.wait_done(firing, "hook").result == "sent"
        assert ids(receiver.requests) == [idempotency_key(firing.id, "hook")] * 2


def test_a_kill_between_plan_and_send_loses_nothing(broker, tmp_path):
    """Killed with SIGKILL before the receiver is there, it sends its plan when started again."""
    port, firing = free_port(), alert_record(1)
    stage = Stage(broker, "resumed", tmp_path, hook=f"http://127.0.0.1:{port}/hook")
    child = stage.start()
    stage.tell(firing)
    wait_for(lambda: stage.standing(firing.fingerprint, "hook"), PATIENCE_S, "the plan", [child])
    child.kill()
    [written] = stage.read("notified.v1")
    [plan] = msgspec.json.decode(written.value, type=NotifiedRecord).plans
    with Receiver(port=port) as receiver, stage.start():
        assert stage.wait_done(firing, "hook").result == "sent"
        # the dead writer's key is deleted once the result stands under another
        wait_for(lambda: stage.read("notified.v1")[-1].value is None, PATIENCE_S, "a tombstone")
        assert ids(receiver.requests) == [plan.key]
    assert stage.read("notified.v1")[-1].key == written.key


def test_a_dead_channel_delays_no_other(broker, tmp_path):
    """While one receiver never answers and one is not there, the third is told everything."""
    steps = [alert_record(1), alert_record(2, "ok", "firing"), alert_record(3)]
    with Receiver() as receiver, Receiver(lambda _: Answer(how="hang")) as silent:
        nobody = f"http://127.0.0.1:{free_port()}/"
        stage = Stage(broker, "dead", tmp_path, silent=silent.url, nobody=nobody, hook=receiver.url)
        with stage.start():
            stage.tell(*steps)
            stage.wait_done(steps[-1], "hook")
            assert told(receiver.requests) == [("RecallDrop", seq) for seq in (1, 2, 3)]
            for channel in ("silent", "nobody"):
                standing = stage.standing(steps[0].fingerprint, channel)
                assert (standing.seq, standing.done) == (3, 0)
            assert stage.metric('inferwatch_notification_retries_total{channel="nobody"}') >= 1


def test_what_is_refused_or_unreadable_is_a_dead_letter(broker, tmp_path):
    """A refusal and a record that is no alert become dead letters, and the next alert goes out."""
    refused, accepted = alert_record(1, alert="Refused"), alert_record(1)

    def answer(request):
        return Answer(400 if b'"Refused"' in request.body else 200)

    with Receiver(answer) as receiver:
        stage = Stage(broker, "bad", tmp_path, hook=receiver.url)
        with stage.start():
            stage.put("alerts.v1", (b"k", b"{", {}), (b"k", b'{"id": 1}', {}), (b"k", b"", {}))
            stage.tell(refused, accepted)
            stage.wait_done(accepted, "hook")
            assert stage.wait_done(refused, "hook").result == "rejected"
        assert told(receiver.requests) == [("Refused", 1), ("RecallDrop", 1)]
    letters = stage.read("dlq.v1")
    said = [
        {name.removeprefix("__inferwatch.errors."): value for name, value in letter.headers.items()}
        for letter in letters
    ]
    assert [one["stage"] for one in said] == [b"notify"] * 4
    assert [one["reason"] for one in said] == [
        b"not_json",
        b"schema_invalid",
        b"not_json",
        b"undeliverable",
    ]
    assert letters[-1].value == canonical(refused)
    assert said[-1]["exception.message"] == b"status 400" and said[-1]["channel"] == b"hook"
    assert said[-1]["id"] == idempotency_key(refused.id, "hook").encode()
    log = (tmp_path / "notifier.log").read_text()
    assert "hook: Refused of risk/fraud-scorer not delivered: status 400" in log
    assert SECRET not in log and SECRET.removeprefix("whsec_") not in log


def test_alertmanager_is_reminded_by_the_next_notifier_too(broker, tmp_path):
    """What fires and was told is repeated after a SIGKILL; what has ended is not."""
    fires, over = alert_record(1), alert_record(1, alert="Over")
    with Receiver() as receiver:
        stage = Stage(broker, "beats", tmp_path)
        peer = receiver.url.removesuffix("/hook")
        entry = f"notify:\n  - {{type: alertmanager, name: am, urls: ['{peer}']}}\n"
        (tmp_path / "channels.yaml").write_text(entry)
        child = stage.start()
        stage.tell(fires, over, alert_record(2, "ok", "firing", alert="Over"))
        for alert in (fires, alert_record(2, alert="Over")):
            stage.wait_done(alert, "am")
        child.kill()
        before = len(receiver.requests)
        with stage.start():
            receiver.wait_for(before + 1, PATIENCE_S)
    [one] = json.loads(receiver.requests[before].body)
    assert one["labels"]["alertname"] == "RecallDrop" and one["annotations"]["seq"] == "1"
