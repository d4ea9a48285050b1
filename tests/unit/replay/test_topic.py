"""A recorded topic: which records a range holds, and by which rules they were watched."""

from collections.abc import Iterator

import msgspec
import pytest
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.connection import Connection
from inferwatch.errors import ConfigError, Reason, TransientError
from inferwatch.records.definition import Definition, Reference, Window
from inferwatch.records.events import Deploy, Inspection, MonitorChange, Skip
from inferwatch.records.raw import RawRecord
from inferwatch.records.rows import Rows
from inferwatch.replay import driver, log, topic
from inferwatch.replay.log import LogReader
from inferwatch.testing.builders import TIME_MS, raw_event, raw_inference

MODEL = "team/model"
NOWHERE = Connection("127.0.0.1:1")


def rules(rows: int) -> Definition:
    """A definition that its window tells apart."""
    return Definition(reference=Reference(min_rows=50), windows=[Window(name="w", rows=rows)])


class Recorded:
    """A topic in memory, in the place of `LogReader`. Offsets of a partition may begin late."""

    def __init__(self, *records: RawRecord, low: dict[int, int] | None = None) -> None:
        self.records = records
        self.low = low or {}

    def __call__(self, connection: Connection, name: str) -> "Recorded":
        assert name == "events.v1"
        return self

    def __enter__(self) -> "Recorded":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def partitions(self) -> list[int]:
        return sorted({raw.partition for raw in self.records} | set(self.low))

    def ends(self, partition: int) -> tuple[int, int]:
        offsets = [raw.offset for raw in self.records if raw.partition == partition]
        low = self.low.get(partition, min(offsets, default=0))
        return low, max(offsets, default=low - 1) + 1

    def read(self, partition: int, start: int, end: int) -> Iterator[RawRecord]:
        for raw in self.records:
            if raw.partition == partition and start <= raw.offset < end:
                yield raw


@pytest.fixture
def recorded(monkeypatch):
    """Puts records where the topic would be."""

    def put(*records: RawRecord, low: dict[int, int] | None = None) -> None:
        monkeypatch.setattr(topic, "LogReader", Recorded(*records, low=low))

    return put


def batch(offset: int, minute: int = 0, partition: int = 0, model: str = MODEL) -> RawRecord:
    """Ten rows in a minute."""
    at = TIME_MS + minute * 60_000
    return raw_inference(
        n=10, model=model, offset=offset, partition=partition, time_ms=[at] * 10, record_time_ms=at
    )


def monitor(offset: int, rows: int, minute: int = 0, from_offset: int | None = None) -> RawRecord:
    """A definition in the log."""
    change = MonitorChange(model=MODEL, definition=rules(rows), from_offset=from_offset)
    return raw_event(change, offset=offset, time_ms=TIME_MS + minute * 60_000)


def offsets(found: topic.Survey, *, recorded_rules: bool = True) -> list[tuple[int, int]]:
    """Partition and offset of every record of the range."""
    read = topic.records(NOWHERE, found, recorded_rules=recorded_rules)
    return [(raw.partition, raw.offset) for raw, _ in read]


minutes = st.lists(st.integers(0, 20), min_size=1, max_size=12).map(sorted)
bounds = st.one_of(st.none(), st.integers(-1, 21))


@given(minutes, bounds, bounds)
def test_a_range_holds_the_records_between_its_times(found, since, until):
    """Record times from `since` (included) to `until` (excluded), whatever there is."""
    with pytest.MonkeyPatch.context() as patch:
        records = [batch(offset, minute) for offset, minute in enumerate(found)]
        patch.setattr(topic, "LogReader", Recorded(*records))
        survey = topic.survey(
            NOWHERE,
            None if since is None else TIME_MS + since * 60_000,
            None if until is None else TIME_MS + until * 60_000,
        )
        expected = [
            (0, offset)
            for offset, minute in enumerate(found)
            if (since is None or minute >= since) and (until is None or minute < until)
        ]
        assert offsets(survey) == expected


def test_partitions_are_read_one_after_the_other(recorded):
    """Each in its own order; there is none between them."""
    recorded(batch(0, partition=1), batch(0, partition=0), batch(1, partition=1))
    assert offsets(topic.survey(NOWHERE)) == [(0, 0), (1, 0), (1, 1)]


def test_the_first_definition_acts_from_the_record_before_it(recorded):
    """It stands behind the record that it begins with, so it is collected first."""
    recorded(batch(0), monitor(1, rows=60, from_offset=0), batch(2))
    survey = topic.survey(NOWHERE)
    assert survey.definition(MODEL) == rules(60)
    assert offsets(survey) == [(0, 0), (0, 1), (0, 2)]


def test_a_change_in_the_range_acts_where_it_stands(recorded):
    """The definition that begins the range is the first one; the change is one of its records."""
    recorded(batch(0), monitor(1, rows=60, from_offset=0), batch(2), monitor(3, rows=70), batch(4))
    survey = topic.survey(NOWHERE)
    assert survey.definition(MODEL) == rules(60)
    changes = [
        decoded.record.definition
        for _, decoded in topic.records(NOWHERE, survey, recorded_rules=True)
        if isinstance(decoded.record, MonitorChange)
    ]
    assert changes == [rules(60), rules(70)]


def test_the_rules_of_a_later_range_are_those_that_acted_before_it(recorded):
    """`--since` begins by the newest definition in front of it."""
    recorded(
        batch(0, 0),
        monitor(1, rows=60, minute=0, from_offset=0),
        monitor(2, rows=70, minute=1),
        batch(3, 5),
        monitor(4, rows=80, minute=6),
    )
    survey = topic.survey(NOWHERE, TIME_MS + 4 * 60_000)
    assert survey.definition(MODEL) == rules(70)
    assert offsets(survey) == [(0, 3), (0, 4)]


def test_other_rules_leave_the_recorded_ones_out(recorded):
    """A backtest must not be changed half way by what the log says."""
    recorded(batch(0), monitor(1, rows=60, from_offset=0), batch(2), monitor(3, rows=70))
    assert offsets(topic.survey(NOWHERE), recorded_rules=False) == [(0, 0), (0, 2)]


def test_answers_by_the_recorded_rules_go_with_them(recorded):
    """What inspectors found is part of a replay by the rules that asked, and of no backtest."""
    found = Inspection(model=MODEL, window="w", method="lof", value=0.5)
    recorded(batch(0), monitor(1, rows=60, from_offset=0), raw_event(found, offset=2))
    survey = topic.survey(NOWHERE)
    assert offsets(survey, recorded_rules=True) == [(0, 0), (0, 1), (0, 2)]
    assert offsets(survey, recorded_rules=False) == [(0, 0)]


def test_a_model_without_a_definition_is_told(recorded):
    """The topic does not say by which rules it was watched: the caller must."""
    recorded(batch(0))
    survey = topic.survey(NOWHERE)
    with pytest.raises(ConfigError, match=r"no definition of team/model .*--monitors"):
        survey.definition(MODEL)


def test_a_definition_that_nobody_can_fold_by_is_passed_over(recorded):
    """The workers rejected it; so does the replay."""
    sound, unsound = rules(60), rules(60)
    unsound = msgspec.structs.replace(unsound, reference=Reference(min_rows=0))
    change = MonitorChange(model=MODEL, definition=unsound, from_offset=0)
    recorded(batch(0), raw_event(change, offset=1), monitor(2, rows=60, from_offset=0))
    assert topic.survey(NOWHERE).definition(MODEL) == sound


def test_what_the_workers_skipped_is_left_out(recorded):
    """A record that ended three workers is a reject here too, though its skip stands behind it."""
    skip = raw_event(Skip(offset=1, why="test"), offset=3)
    recorded(batch(0), batch(1), batch(2), skip)
    survey = topic.survey(NOWHERE)
    assert survey.skipped == {(0, 1)}
    found = {
        raw.offset: decoded for raw, decoded in topic.records(NOWHERE, survey, recorded_rules=True)
    }
    assert [reject.reason for reject in found[1].rejects] == [Reason.FATAL]
    assert isinstance(found[0].record, Rows) and isinstance(found[2].record, Rows)
    summary = driver.run(
        topic.records(NOWHERE, survey, recorded_rules=True),
        lambda _: rules(60),
        {},
        lambda *_: None,
        survey.skipped,
    )
    assert summary.rejected == {"fatal": 1}


@pytest.mark.parametrize(
    ("low", "since", "refused"),
    [
        (5, None, True),
        (5, -1, True),
        (5, 0, False),
        (5, 3, False),
        (4, -1, True),  # a hole at the head: a transaction's marker holds no record
        (4, 3, False),
        (0, None, False),
    ],
)
def test_a_range_whose_head_was_dropped_is_refused(recorded, low, since, refused):
    """What retention has taken away cannot be replayed, and is never left out silently."""
    first = 5 if low else 0
    recorded(batch(first, 0), batch(first + 1, 4), low={0: low})
    since_ms = None if since is None else TIME_MS + since * 60_000
    if refused:
        with pytest.raises(
            ConfigError, match=f"dropped the records before offset {low}.*--since|--since"
        ):
            topic.survey(NOWHERE, since_ms)
    else:
        assert (0, first + 1) in offsets(topic.survey(NOWHERE, since_ms))


def test_a_topic_that_was_emptied_is_refused(recorded):
    """Everything was dropped: there is nothing that could be said about it."""
    recorded(low={0: 9})
    with pytest.raises(ConfigError, match="before offset 9 of partition 0"):
        topic.survey(NOWHERE)


def test_an_empty_topic_is_an_empty_replay(recorded):
    """Nothing was ever sent: no error, no records."""
    recorded(low={0: 0, 1: 0})
    assert offsets(topic.survey(NOWHERE)) == []


# ── the reader itself ────────────────────────────────────────────────────────────────────────────


def test_a_range_is_read_from_a_broker_as_it_was_written(embedded_broker):
    """Bytes, headers, keys and times; one range, and all of it; two readers do not disturb."""
    connection = Connection(embedded_broker)
    sent = [batch(number, number) for number in range(5)]
    producer = Producer(connection.librdkafka(log_level=0))
    for raw in sent:
        producer.produce(
            connection.topic("events.v1"),
            raw.value,
            raw.key,
            partition=2,
            headers=list(raw.headers.items()),
            timestamp=raw.time_ms,
        )
    assert producer.flush(20) == 0
    with LogReader(connection, "events.v1") as reader, LogReader(connection, "events.v1") as other:
        assert reader.partitions() == [0, 1, 2, 3]
        assert reader.ends(2) == (0, 5) and reader.ends(1) == (0, 0)
        found = list(reader.read_all())
        assert [raw.offset for raw in other.read(2, 1, 3)] == [1, 2]
        assert [raw.offset for raw in reader.read(2, 3, 99)] == [3, 4]
        assert list(reader.read(1, 0, 0)) == []
    assert [(raw.key, raw.value, raw.headers) for raw in found] == [
        (raw.key, raw.value, raw.headers) for raw in sent
    ]
    assert [raw.time_ms for raw in found] == [raw.time_ms for raw in sent]


def test_a_topic_that_is_not_there_is_told(embedded_broker):
    """The operator's mistake is a prefix."""
    with (
        LogReader(Connection(embedded_broker, prefix="other."), "dlq.v9") as reader,
        pytest.raises(ConfigError, match=r"no topic other\.dlq\.v9"),
    ):
        reader.partitions()


def test_no_broker_is_told(monkeypatch):
    """After a little patience, and with the address."""
    monkeypatch.setattr(log, "PATIENCE_S", 0.3)
    with (
        LogReader(NOWHERE, "events.v1") as reader,
        pytest.raises(TransientError, match=r"no broker answers at 127\.0\.0\.1:1"),
    ):
        reader.partitions()


def test_events_that_are_no_rules_pass_through(recorded):
    """Deploys and the like are records of the range."""
    deploy = Deploy(model=MODEL, version="2", time_ms=TIME_MS)
    recorded(batch(0), raw_event(deploy, offset=1))
    assert offsets(topic.survey(NOWHERE), recorded_rules=False) == [(0, 0), (0, 1)]
