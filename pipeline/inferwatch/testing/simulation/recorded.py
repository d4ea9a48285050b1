"""A recording through real workers' code, undisturbed: the same outputs for any topology."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from random import Random

import msgspec

from inferwatch.records.raw import RawRecord
from inferwatch.runtime.ports import Rules
from inferwatch.testing.folding import placeless
from inferwatch.testing.simulation.broker import Broker
from inferwatch.testing.simulation.clock import VirtualLoop
from inferwatch.testing.simulation.process import CrashPoints, Process
from inferwatch.testing.simulation.traffic import START_MS


def play(
    recording: Sequence[RawRecord], rules: Rules, partitions: int, workers: int, seed: int = 0
) -> str:
    """Digest of all outputs but for the places in the log that they name.

    Records without a key are ticks, for every partition.
    """
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        broker = Broker(partitions, Random(f"{seed}/network"), START_MS, 1.0)
        loop.run_until_complete(_play(recording, rules, broker, workers, seed))
        return digest(broker)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _play(
    recording: Sequence[RawRecord], rules: Rules, broker: Broker, workers: int, seed: int
) -> None:
    background = [asyncio.ensure_future(broker.coordinate())]
    processes = []
    for number in range(workers):
        points = CrashPoints({}, {})
        chance = Random(f"{seed}/{number}")
        process = Process(f"w{number}", broker, rules, points, chance, Counter(), 4e6)
        process.ticking = False
        process.start()
        processes.append(process)
    for raw in recording:
        places = range(broker.partitions) if raw.key is None else [None]
        for place in places:
            broker.append("events.v1", raw.key, raw.value, raw.headers, place, raw.time_ms)
        await asyncio.sleep(0.01)
    while not all(process.settled() for process in processes):
        await asyncio.sleep(0.5)
    for task in background:
        task.cancel()


def digest(broker: Broker) -> str:
    """SHA-256 over the unique records on the output topics, without the places that they name."""
    found = {
        (kind, record.headers["ce_id"]): msgspec.json.encode(
            placeless(msgspec.json.decode(record.value or b"")), order="sorted"
        )
        for kind in ("windows.v1", "alerts.v1")
        for log in broker.topics[kind]
        for record in log.archive
    }
    whole = hashlib.sha256()
    for (kind, id_), value in sorted(found.items()):
        whole.update(kind.encode() + id_ + value)
    return whole.hexdigest()
