"""One unexpected error on one request (F08): all is folded, or the worker ends and all is after."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import altered
import traffic
from fleet import Fleet, Group
from workers import live_digest, published_windows, replayed, until

from inferwatch.connection import Connection
from inferwatch.errors import Exit, TransientError
from inferwatch.runtime import embedded

API_KEYS = {
    "JoinGroup": 11,
    "SyncGroup": 14,
    "Heartbeat": 12,
    "OffsetCommit": 8,
    "OffsetFetch": 9,
    "ListOffsets": 2,
    "Fetch": 1,
    "Metadata": 3,
    "Produce": 0,
}
CODES = (-1, 42, 15, 16, 25, 27)
ALL = list(product(API_KEYS, CODES))
# one or two of each request, two of each error: what bare Faust idles on is among them
IN_CI = [
    ("JoinGroup", 42),
    ("JoinGroup", 25),
    ("SyncGroup", -1),
    ("SyncGroup", 27),
    ("Heartbeat", -1),
    ("Heartbeat", 16),
    ("OffsetCommit", -1),
    ("OffsetFetch", 15),
    ("ListOffsets", 42),
    ("Fetch", -1),
    ("Metadata", 15),
    ("Produce", 16),
]
MODEL = "team/model"
PARTITIONS = 4
PATIENCE_S = 90.0
EXITS = {Exit.UNAVAILABLE, Exit.BUG, Exit.STALLED}


def outcome(request: str, code: int, folder: Path) -> str:
    """What became of one error, at the start of a worker and again while it runs: `processed`, or
    the exit codes of workers before all was.

    :raises AssertionError: something is lost, doubled, or never folded.
    """
    broker = embedded.start()
    order = ("errors", API_KEYS[request], code)
    place = folder / f"{request}{code}"
    place.mkdir()
    try:
        connection = Connection(broker.bootstrap_servers)
        feeder = traffic.Feeder(connection, [MODEL], 1)
        feed(feeder)
        broker.order(*order)
        more = {
            "monitors": traffic.MONITORS,
            "module": "altered",
            "environment": altered.environment("impatient"),
        }
        with Fleet(connection, place, embedded=True, more=more) as fleet:
            fleet.start("worker")
            until_folded(fleet, feeder)
            let_it_meet(fleet, lambda: broker.order(*order))
            feed(feeder)
            until_folded(fleet, feeder)
            last = fleet.workers["worker"]
            until(lambda: last.metrics()["inferwatch_lag_records"] == 0, "nothing waits", last)
            code = fleet.leave("worker")[0]
            assert code == Exit.DONE, f"SIGTERM ended with {code}\n{last.child.last_words()}"
            ended = [exit_code for _, exit_code in fleet.exits]
        assert set(ended) <= EXITS, ended
        broker.order("clear", API_KEYS[request])  # what no worker met would meet the judge
        windows = list(published_windows(connection).values())
        wrong = traffic.wrong_windows(feeder.batches, windows)
        assert not wrong, wrong
        with Group(connection, PARTITIONS) as group:
            folded = group.committed()
        assert replayed(connection, folded).digest == live_digest(connection), "outputs differ"
        return f"exit {ended}, then processed" if ended else "processed"
    finally:
        broker.stop()


def let_it_meet(fleet: Fleet, order: Callable[[], None]) -> None:
    """Give the error to the worker, not to the feeder: wait for two rounds of its ticks, or its
    end.
    """
    worker, ended = fleet.workers["worker"], len(fleet.exits)
    before = worker.metrics()["inferwatch_in_total"]
    order()

    def met() -> bool:
        try:
            return worker.metrics()["inferwatch_in_total"] >= before + 8
        except OSError:
            return len(fleet.exits) > ended

    until(met, "ticks go on, or the worker ends", patience_s=PATIENCE_S)


def feed(feeder: traffic.Feeder) -> None:
    """Four more batches."""
    for _ in range(4):
        feeder.send(MODEL)
    feeder.finish()


def until_folded(fleet: Fleet, feeder: traffic.Feeder) -> None:
    """Wait until all rows fed are in a checkpoint of whichever worker runs."""

    def folded() -> bool:
        worker = fleet.workers["worker"]
        try:
            return worker.rows() == feeder.rows
        except OSError:
            return False

    until(folded, f"all rows are folded; ended so far: {fleet.exits}", patience_s=PATIENCE_S)


def outcomes(wanted: Sequence[tuple[str, int]], folder: Path, at_once: int = 4) -> Iterator[str]:
    """A line for each error, in order and as soon as it is known; those that failed say so."""

    def one(error: tuple[str, int]) -> str:
        try:
            return outcome(*error, folder)
        except (AssertionError, TransientError) as wrong:
            return f"FAILED {wrong}"

    with ThreadPoolExecutor(at_once) as pool:
        yield from pool.map(one, wanted)
