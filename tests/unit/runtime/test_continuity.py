"""Log, state and placement: where they do not fit, an operator is asked, and nothing is guessed."""

import asyncio
from collections import Counter
from random import Random

import msgspec
import pytest

from inferwatch.core.fold import Partition
from inferwatch.core.placement import partition_of
from inferwatch.errors import ConfigError, Exit
from inferwatch.records.decode import decode
from inferwatch.records.events import Gap
from inferwatch.runtime import checkpoint as checkpoints
from inferwatch.runtime import continuity
from inferwatch.runtime.delivery import Delivery
from inferwatch.testing.builders import raw_event, raw_inference
from inferwatch.testing.simulation.broker import Broker, Log
from inferwatch.testing.simulation.clock import VirtualLoop
from inferwatch.testing.simulation.process import CrashPoints, Process, Quiet
from inferwatch.testing.simulation.traffic import START_MS, SimRules

MODELS = [f"team/m{number}" for number in range(8)]
LATER_S = 20.0


# ── the rules alone ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("offset", "bounds", "wanted"),
    [
        (-1, (0, 0, 0), None),  # nothing yet
        (-1, (0, 50, 0), None),  # a first start
        (9, (0, 50, 10), None),
        (9, (10, 50, 10), None),  # retention took what the state has
        (9, (0, 50, 4), None),  # a commit that lags is no loss
        (9, (0, 10, 10), None),  # all is folded
        (9, (12, 50, 10), (10, 12)),  # retention took more
        (9, (0, 50, 30), (10, 30)),  # states are gone
        (-1, (0, 50, 30), (0, 30)),  # all of them
        (9, (40, 50, 30), (10, 40)),  # both
        (-1, (12, 50, 0), (0, 12)),  # a first start on an old topic
    ],
)
def test_what_is_lost_is_passed_over_only_where_an_operator_says_so(offset, bounds, wanted):
    """F53, F70: from the first record that no state has to the first that the log and the group
    still agree on; without the option it is a refusal.
    """
    if wanted is None:
        assert continuity.check_log(3, offset, bounds, accept_loss=False) is None
        assert continuity.check_log(3, offset, bounds, accept_loss=True) is None
        return
    with pytest.raises(ConfigError, match=r"--accept-state-loss.*partition 3"):
        continuity.check_log(3, offset, bounds, accept_loss=False)
    gap = continuity.check_log(3, offset, bounds, accept_loss=True)
    assert (gap.from_offset, gap.to_offset) == wanted
    assert "partition 3" in gap.why


def test_a_log_that_ends_before_the_state_is_never_accepted():
    """Out of range at the other end: offsets that begin anew would look like repeats."""
    with pytest.raises(ConfigError, match="made anew"):
        continuity.check_log(0, 9, (0, 9, 9), accept_loss=True)


def test_a_model_whose_state_lies_elsewhere_is_found():
    """Every model is in its partition of four; of eight some are not, and one of them is named."""
    here = [name for name in MODELS if partition_of(name, 4) == 1]
    continuity.check_placement(1, here, 4)
    gone = [name for name in here if partition_of(name, 8) != 1]
    assert gone
    with pytest.raises(ConfigError, match=rf"the state of {gone[0]} lies in partition 1, of 8"):
        continuity.check_placement(1, here, 8)


@pytest.mark.parametrize("now", [3, 5])
def test_any_other_number_of_partitions_is_a_refusal(now):
    """Grown, or made anew with fewer; with the way out."""
    continuity.check_growth(4, 4)
    with pytest.raises(ConfigError, match=rf"has {now} partitions, 4 when .*--prefix"):
        continuity.check_growth(4, now)


# ── a worker over brokers in memory ──────────────────────────────────────────────────────────────


class Heard(Quiet):
    """An observer that remembers what is told rarely."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def passed_over(self, partition):
        self.told.append("passed over")

    def ended_by_record(self, partition):
        self.told.append("ended by record")


def worker(broker: Broker, name: str, *, accept: bool = False) -> Process:
    """A process that joins the group, with its observer as `heard`."""
    points, chance = CrashPoints({}, {}), Random(name)
    process = Process(name, broker, SimRules("rows"), points, chance, Counter(), 4e6)
    process.heard = Heard()
    process.delivery = Delivery(
        process.link, SimRules("rows"), process.heard, process.inspector, accept_state_loss=accept
    )
    process.start()
    return process


def send(broker: Broker, seq: int) -> None:
    """One batch of every model, as a producer places it that sees the topic as it is now."""
    for name in MODELS:
        raw = raw_inference(model=name, n=3, emitter=name, seq=seq)
        broker.append("events.v1", raw.key, raw.value, raw.headers, None)


def grow(broker: Broker, partitions: int, *topics: str) -> None:
    """Someone makes topics larger; nobody is told."""
    for name in topics:
        broker.topics[name] += [Log() for _ in range(partitions - len(broker.topics[name]))]
    broker.partitions = partitions


def play(partitions: int, story) -> None:
    """Run a story over new brokers."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:

        async def told() -> None:
            broker = Broker(partitions, Random("network"), START_MS, 20.0)
            background = [
                asyncio.ensure_future(broker.coordinate()),
                asyncio.ensure_future(broker.watch()),
            ]
            await story(broker)
            for task in background:
                task.cancel()

        loop.run_until_complete(told())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def leave(broker: Broker, process: Process) -> None:
    """A worker is stopped in order."""
    await process.terminate()
    assert process.exit == Exit.DONE


@pytest.mark.parametrize("noticed", [False, True])
def test_a_topic_that_grows_under_a_worker_ends_it(noticed):
    """F69: exit 78 with both numbers within seconds, whether the group notices or only the worker,
    and the rows that came until then are in the states, once each.
    """

    async def story(broker: Broker) -> None:
        process = worker(broker, "w1")
        send(broker, 0)
        await asyncio.sleep(LATER_S)
        assert process.exit is None and process.settled()
        grow(broker, 8, "events.v1")
        send(broker, 1)
        if noticed:
            broker.changed.set()
        await asyncio.wait_for(process.ended.wait(), LATER_S)
        assert process.exit == Exit.CONFIG
        assert "has 8 partitions, 4 when this worker started" in process.why
        restored = {}
        for number in range(4):
            log = broker.topics["state.v1"][number]
            held = [(record.key, record.value) for record in log.records.values()]
            restored |= checkpoints.gather(held).roots
        assert sorted(restored) == MODELS

    play(4, story)


def test_topics_that_both_grew_do_not_split_a_model():
    """Where someone also makes the state topic larger, a start finds a model in the wrong place."""

    async def story(broker: Broker) -> None:
        process = worker(broker, "w1")
        send(broker, 0)
        await asyncio.sleep(LATER_S)
        await leave(broker, process)
        grow(broker, 8, "events.v1", "state.v1")
        process = worker(broker, "w2")
        await asyncio.wait_for(process.ended.wait(), LATER_S)
        assert process.exit == Exit.CONFIG
        assert "the topics have grown" in process.why

    play(4, story)


def test_what_is_passed_over_is_written_to_the_log_once():
    """F70: retention took unfolded records: exit 78; with the option a `gap` record names them, the
    counter moves, and the next start needs no option and writes nothing.
    """

    async def story(broker: Broker) -> None:
        (log,) = broker.topics["events.v1"]
        process = worker(broker, "w1")
        send(broker, 0)
        await asyncio.sleep(LATER_S)
        await leave(broker, process)
        folded = log.end
        send(broker, 1)
        send(broker, 2)
        log.trim(folded + 5)
        process = worker(broker, "w2")
        await asyncio.wait_for(process.ended.wait(), LATER_S)
        assert process.exit == Exit.CONFIG
        assert "--accept-state-loss" in process.why
        process = worker(broker, "w3", accept=True)
        await asyncio.sleep(LATER_S)
        assert process.settled()
        assert process.heard.told == ["passed over"]
        found = gaps(log)
        assert [(gap.from_offset, gap.to_offset) for gap in found] == [(folded, folded + 5)]
        partition = process.delivery.owned[0].partition
        rows = {name: sum(one.state.rows.values()) for name, one in partition.models.items()}
        assert rows == {name: 6 if at < 5 else 9 for at, name in enumerate(MODELS)}
        assert partition.counts.conserved()
        assert marks(process) == {name: {"gap": 5} for name in MODELS}
        await leave(broker, process)
        process = worker(broker, "w4")
        await asyncio.sleep(LATER_S)
        assert process.settled() and process.heard.told == []
        assert marks(process) == {name: {"gap": 5} for name in MODELS}
        assert gaps(log) == found

    play(1, story)


def marks(process: Process) -> dict[str, dict[str, int]]:
    """What the open window of each model may lack."""
    found = {}
    for name, model in process.delivery.owned[0].partition.models.items():
        (track,) = model.state.tracks["batch"].values()
        (pane,) = track.panes.values()
        found[name] = pane.lost
    return found


def gaps(log: Log) -> list[Gap]:
    """The gap records of a partition."""
    found = [decode(raw).record for raw in log.archive]
    return [record for record in found if isinstance(record, Gap)]


def test_a_gap_is_counted_and_folds_into_nothing():
    """Replays read it as they read a tick that wakes nobody."""
    partition = Partition(0)
    raw = raw_event(Gap(from_offset=1, to_offset=4, why="retention"), offset=5)
    assert partition.fold(raw, decode(raw)) == []
    assert (partition.counts.in_, partition.counts.ok, partition.models) == (1, 1, {})
    assert msgspec.json.decode(raw.value)["to_offset"] == 4


def test_a_death_by_a_record_is_counted_by_the_successor():
    """The process that dies is not scraped any more: the next one tells, once for each death."""

    async def story(broker: Broker) -> None:
        process = worker(broker, "w1")
        send(broker, 0)
        await asyncio.sleep(LATER_S)
        raw = raw_inference(model=MODELS[0], n=3, emitter="bad", seq=0)
        broker.append("events.v1", raw.key, raw.value, raw.headers | {"poison": b"1"}, None)
        told = list(process.heard.told)
        for turn in range(4):
            if process.exit is None:
                await asyncio.wait([asyncio.ensure_future(process.ended.wait())], timeout=LATER_S)
            if process.exit is None:
                break
            assert process.exit == Exit.BUG
            process = worker(broker, f"w{turn + 2}")
            await asyncio.sleep(LATER_S / 2)
            told += process.heard.told
        assert told == ["ended by record"] * 3
        assert process.exit is None and process.settled()

    play(1, story)
