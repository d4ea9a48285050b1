"""A stalled worker that wakes after its successor has checkpointed and the topic was compacted."""

import signal
from pathlib import Path

import altered
import pytest
import traffic
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from fleet import Group
from workers import Worker, live_digest, published_windows, replayed, until

from inferwatch.connection import Connection
from inferwatch.errors import Exit
from inferwatch.records.raw import RawRecord
from inferwatch.replay.log import LogReader
from inferwatch.runtime import checkpoint, topics

MODEL = "team/model"
OPTIONS = ("--session-timeout", "4", "--tick-every", "3600")
QUICK_COMPACTION = {
    "segment.ms": "1000",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "1000",
}
pytestmark = [pytest.mark.kafka, pytest.mark.processes, pytest.mark.timeout(280)]


@pytest.fixture
def connection(kafka, request):
    """One partition whose state topic is compacted all the time."""
    made = Connection(kafka, prefix=f"{request.node.originalname}.")
    new = [
        NewTopic(one.name, 1, 1, config={**one.config, **quick})
        for one in topics.wanted(made.prefix, 1)
        for quick in [QUICK_COMPACTION if one.name.endswith("state.v1") else {}]
    ]
    admin = AdminClient(made.librdkafka())
    for created in admin.create_topics(new).values():
        created.result(20)
    return made


class Scene:
    """Two workers one after the other on one partition, the first stalled in a checkpoint."""

    def __init__(
        self, connection: Connection, folder: Path, group: Group, alterations: str
    ) -> None:
        self.connection, self.folder, self.group = connection, folder, group
        self.alterations = alterations
        self.trigger = folder / "freeze"
        self.feeder = traffic.Feeder(connection, [MODEL], 1)

    def worker(self, name: str, alterations: str) -> Worker:
        """A worker, altered."""
        return Worker(
            self.connection,
            self.folder,
            embedded=False,
            name=name,
            options=OPTIONS,
            monitors=traffic.MONITORS,
            module="altered",
            environment=altered.environment(alterations, ALTERED_FREEZE=str(self.trigger)),
        )

    def feed(self, batches: int) -> None:
        """More input, and all of it on the topic."""
        for _ in range(batches):
            self.feeder.send(MODEL)
        self.feeder.finish()

    def until_committed(self, worker: Worker) -> None:
        """Wait until the group has folded the whole log."""
        until(lambda: self.group.has_reached(self.group.ends()), "the log is folded", worker)

    def state(self) -> list[RawRecord]:
        """What the state topic holds now."""
        with LogReader(self.connection, "state.v1") as reader:
            return list(reader.read_all())

    def newest(self) -> int:
        """Offset of the newest state that a restore would find; -1 where none is whole."""
        try:
            found = checkpoint.gather((raw.key or b"", raw.value) for raw in self.state())
        except checkpoint.BrokenStateError:
            return -1
        return found.roots[MODEL].offset

    def compact(self) -> None:
        """Wait until the last segments alone hold a key twice."""
        producer = Producer(self.connection.librdkafka(acks="all"))
        before = self.state()[-1].offset

        def compacted() -> bool:
            producer.produce(self.connection.topic("state.v1"), b"", b"pad|to roll the segment")
            producer.flush(10)
            keys = [raw.key for raw in self.state() if raw.offset <= before]
            return len(keys) == len(set(keys))

        until(compacted, "the state topic is compacted")

    def play(self) -> tuple[int, int]:
        """The whole story; offsets of the newest state before the first worker wakes and after."""
        first = self.worker("first", f"{self.alterations} freeze").until_ready()
        self.feed(4)
        self.until_committed(first)
        self.trigger.touch()
        self.feed(1)
        until(lambda: stopped(first), "it has stopped itself in a checkpoint", first)
        second = self.worker("second", self.alterations).until_ready()
        self.feed(5)
        self.until_committed(second)
        self.compact()
        before = self.newest()
        end = self.state()[-1].offset
        second.child.kill()  # it may not hide with another checkpoint what happens now
        first.child.process.send_signal(signal.SIGCONT)
        until(
            lambda: any(
                (raw.key or b"").startswith(b"r|") and raw.offset > end for raw in self.state()
            ),
            "the stale state is on the topic",
        )
        first.child.kill()
        self.compact()
        return before, self.newest()


def stopped(worker: Worker) -> bool:
    """Whether the process is in state T."""
    status = Path(f"/proc/{worker.child.process.pid}/stat").read_text()
    return status.rpartition(")")[2].split()[0] == "T"


def test_the_newer_state_rules_although_a_stalled_worker_wrote_last(connection, tmp_path):
    """Its stale state lies beside its successor's, and nobody reads it."""
    with Group(connection, 1) as group:
        scene = Scene(connection, tmp_path, group, "")
        before, after = scene.play()
        assert after == before
        last = scene.worker("last", "").until_ready()
        scene.feed(4)
        scene.until_committed(last)
        assert last.child.stop() == Exit.DONE
    windows = list(published_windows(connection).values())
    assert traffic.wrong_windows(scene.feeder.batches, windows) == []
    assert replayed(connection).digest == live_digest(connection)


def test_with_plain_keys_the_same_story_loses_the_newer_state(connection, tmp_path):
    """Without a writer in the keys compaction keeps the stale state: so the test above can fail."""
    with Group(connection, 1) as group:
        scene = Scene(connection, tmp_path, group, "unsigned")
        before, after = scene.play()
        assert after < before
        last = scene.worker("last", "unsigned")
        until(lambda: not last.child.running(), "the next worker refuses to guess")
        assert last.child.process.returncode in (Exit.CONFIG, Exit.STORAGE)
