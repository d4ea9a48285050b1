"""One model's rows out of a recorded topic: those of the range, once each, with their labels."""

import pytest

from inferwatch.connection import Connection
from inferwatch.core.placement import partition_of
from inferwatch.errors import UsageError
from inferwatch.records.events import Deploy
from inferwatch.replay import batches
from inferwatch.testing.builders import TIME_MS, raw_event, raw_inference, raw_labels, raw_tick

MODEL = "team/model"
PARTITIONS = 3
NOWHERE = Connection("127.0.0.1:1")
MINUTE_MS = 60_000


class Recorded:
    """A topic in memory, in the place of `LogReader`."""

    def __init__(self, records):
        self.records = records

    def __call__(self, connection, name):
        assert name == "events.v1"
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Nothing is open."""

    def partitions(self):
        return list(range(PARTITIONS))

    def ends(self, partition):
        return 0, len(self.records)

    def read(self, partition, start, end):
        assert partition == partition_of(MODEL, PARTITIONS)
        yield from self.records[start:end]


@pytest.fixture
def recorded(monkeypatch):
    """Puts records where the topic would be."""
    return lambda *records: monkeypatch.setattr(batches, "LogReader", Recorded(records))


def batch(seq, minute=0, **more):
    """Two rows that came in a minute, named by their batch."""
    at = TIME_MS + minute * MINUTE_MS
    given = {"model": MODEL, "emitter": "e", "ids": [f"{seq}a", f"{seq}b"]} | more
    return raw_inference(n=2, offset=seq, record_time_ms=at, time_ms=[at, at], **given)


def labels(seq, ids, minute=0, **more):
    """Labels that came in a minute."""
    at = TIME_MS + minute * MINUTE_MS
    given = {"model": MODEL, "emitter": "l", "seq": seq} | more
    return raw_labels(ids=ids, label=[1] * len(ids), record_time_ms=at, **given)


def read(*args, **options):
    """Ids of the rows and of the labels that are found."""
    rows, truths = batches.read(NOWHERE, MODEL, *args, **options)
    return [[id_ for one in found for id_ in one.ids] for found in (rows, truths)]


def test_the_rows_are_those_of_the_range_and_labels_come_later(recorded):
    """From the first minute on, without the second's; labels to the end of the topic."""
    recorded(
        batch(0, 0),
        labels(0, ["1a"], 0),
        batch(1, 1),
        raw_tick(offset=2, time_ms=TIME_MS),
        batch(2, 2),
        labels(1, ["1b"], 9),
    )
    span = {"since_ms": TIME_MS + MINUTE_MS, "until_ms": TIME_MS + 2 * MINUTE_MS}
    assert read(**span) == [["1a", "1b"], ["1b"]]
    assert read() == [["0a", "0b", "1a", "1b", "2a", "2b"], ["1a", "1b"]]


def test_repeats_other_models_and_rubbish_are_left_out(recorded):
    """As the fold does it: a batch that its sender repeats counts once."""
    recorded(
        batch(0),
        batch(0),
        labels(0, ["0a"]),
        labels(0, ["0a"]),
        batch(1, model="team/other"),
        raw_event(Deploy(model=MODEL, version="2", time_ms=TIME_MS)),
        raw_inference(n=1, model=MODEL, offset=5, time_ms=[-1], record_time_ms=1),
    )
    assert read() == [["0a", "0b"], ["0a"]]


def test_of_several_versions_one_is_named(recorded):
    """Its rows, its labels and those of any version; without a name the range is refused."""
    recorded(
        batch(0, version="1"),
        batch(1, version="2"),
        labels(0, ["0a"]),
        labels(1, ["0b"], version="1"),
        labels(2, ["1b"], version="2"),
    )
    with pytest.raises(UsageError, match="versions 1, 2; name one with --version"):
        read()
    assert read(version="2") == [["1a", "1b"], ["0a", "1b"]]


def test_a_range_without_rows_is_told(recorded):
    """Rather than a profile of nothing."""
    recorded(labels(0, ["0a"]))
    with pytest.raises(UsageError, match="no rows of team/model"):
        read()
