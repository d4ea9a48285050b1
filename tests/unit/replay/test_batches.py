"""One model's rows out of a recorded topic: those of the range, once each, with their labels."""

import pytest
from msgspec.structs import replace

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

    def __init__(self, records, low):
        self.records, self.low = records, low

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
        return self.low, self.low + len(self.records)

    def read(self, partition, start, end):
        assert partition == partition_of(MODEL, PARTITIONS)
        for place, raw in enumerate(self.records, self.low):
            if start <= place < end:
                yield replace(raw, offset=place)


@pytest.fixture
def recorded(monkeypatch):
    """Puts records where the topic would be."""

    def put(*records, low=0):
        monkeypatch.setattr(batches, "LogReader", Recorded(records, low))

    return put


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


def read(version=None, **span):
    """Ids of the rows and of the labels that are found."""
    rows, truths = batches.read(NOWHERE, MODEL, version, batches.Span(**span))
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


def test_a_range_may_be_of_offsets(recorded):
    """Those of the model's partition, the end excluded; labels come from its beginning on."""
    records = (batch(0), labels(0, ["0a"]), batch(1), batch(2, minute=1), labels(1, ["1a"]))
    recorded(*records, low=100)
    assert read(since_offset=102, until_offset=103) == [["1a", "1b"], ["1a"]]
    assert read(since_offset=100, until_offset=105) == read()
    assert read(until_offset=101) == [["0a", "0b"], ["0a", "1a"]]
    later = {"since_offset": 101, "until_ms": TIME_MS + MINUTE_MS}
    assert read(**later) == [["1a", "1b"], ["0a", "1a"]]


@pytest.mark.parametrize(
    ("span", "why"),
    [
        ({"since_offset": 99}, r"--since-offset 99: partition \d of inferwatch.events.v1 holds"),
        ({"since_offset": 102}, "holds offsets 100 to 101"),
        ({"until_offset": 100}, "--until-offset 100: partition"),
        ({"until_offset": 103}, "holds offsets 100 to 101"),
        ({"since_offset": 101, "until_offset": 101}, "does not lie before --until-offset 101"),
    ],
)
def test_offsets_outside_the_log_are_refused(recorded, span, why):
    """What the broker has dropped or not given yet is named, with what there is."""
    recorded(batch(0), batch(1), low=100)
    with pytest.raises(UsageError, match=why):
        read(**span)


def test_no_offset_lies_in_an_empty_partition(recorded):
    """However it is named."""
    recorded(low=7)
    with pytest.raises(UsageError, match="holds no record"):
        read(since_offset=7)


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
