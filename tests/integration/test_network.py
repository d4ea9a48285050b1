"""Networks and clusters that misbehave under a worker: nothing is lost or doubled."""

import time

import altered
import pytest
import traffic
from fleet import Fleet, Group
from proxy import Proxy
from workers import live_digest, published_windows, replayed, until

from inferwatch.connection import Connection
from inferwatch.errors import Exit
from inferwatch.runtime import embedded

MODEL = "team/model"
PARTITIONS = 4
ENDED = {Exit.UNAVAILABLE, Exit.BUG, Exit.STALLED}
pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.timeout(280)]


def started(connection: Connection, folder) -> Fleet:
    """A supervised worker with an impatient watchdog."""
    more = {
        "monitors": traffic.MONITORS,
        "module": "altered",
        "environment": altered.environment("impatient"),
    }
    fleet = Fleet(connection, folder, embedded=True, more=more)
    fleet.start("worker")
    return fleet


def feed(feeder: traffic.Feeder) -> None:
    """Four more batches, all on the topic."""
    for _ in range(4):
        feeder.send(MODEL)
    feeder.finish()


def exact(connection: Connection, fleet: Fleet, feeder: traffic.Feeder) -> None:
    """All is folded; outputs are what was fed, and what a replay gives."""
    with Group(connection, PARTITIONS) as group:
        ends = group.ends()
        until(
            lambda: group.has_reached(ends),
            f"the log is folded; ended so far: {fleet.exits} {fleet.words[-1:]}",
            patience_s=120,
        )
        assert fleet.leave("worker")[0] == Exit.DONE
        folded = group.committed()
    assert {code for _, code in fleet.exits} <= ENDED
    windows = list(published_windows(connection).values())
    assert traffic.wrong_windows(feeder.batches, windows) == []
    assert replayed(connection, folded).digest == live_digest(connection)


def test_slow_cut_and_half_open_connections_cost_time_only(embedded_broker, tmp_path):
    """Answers late, few bytes a second, resets, silence without a close: all is folded once."""
    direct = Connection(embedded_broker)
    feeder = traffic.Feeder(direct, [MODEL], 1)
    with (
        Proxy(embedded_broker) as proxy,
        started(Connection(proxy.address), tmp_path) as fleet,
    ):
        fleet.until_ready()
        proxy.delay_s = 0.2
        feed(feeder)
        folded(direct)
        proxy.delay_s, proxy.bytes_s = 0.0, 100_000.0
        feed(feeder)
        folded(direct)
        proxy.bytes_s = float("inf")
        for _ in range(3):
            proxy.cut()
            feed(feeder)
        folded(direct)
        proxy.silent = True
        feed(feeder)
        wait_s(6.0)
        proxy.silent = False
        exact(direct, fleet, feeder)
        assert proxy.cuts == 3


def test_moving_leaders_and_coordinators_and_an_outage_leave_no_trace(tmp_path):
    """Leaders and the coordinator move between two brokers, then both are away for 12 s."""
    broker = embedded.start(brokers=2)
    try:
        connection = Connection(broker.bootstrap_servers)
        feeder = traffic.Feeder(connection, [MODEL], 1)
        with started(connection, tmp_path) as fleet:
            fleet.until_ready()
            for turn in range(4):
                for number in range(PARTITIONS):
                    for topic in ("events.v1", "state.v1"):
                        broker.order("leader", connection.topic(topic), number, 1 + turn % 2)
                broker.order("coordinator", f"{connection.prefix}worker", 1 + (turn + 1) % 2)
                feed(feeder)
                folded(connection)
            broker.order("down")
            wait_s(12.0)
            broker.order("up")
            feed(feeder)
            exact(connection, fleet, feeder)
    finally:
        broker.stop()


def folded(connection: Connection) -> None:
    """Wait until the group has committed what the log holds."""
    with Group(connection, PARTITIONS) as group:
        ends = group.ends()
        until(lambda: group.has_reached(ends), "the log is folded", patience_s=120)


def wait_s(seconds: float) -> None:
    """The fault itself lasts so long."""
    end_s = time.monotonic() + seconds
    until(lambda: time.monotonic() > end_s, "the fault is over")
