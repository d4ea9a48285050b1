"""The names of Faust that are not public and that the shell depends on, all in one place.

tests/unit/runtime/test_faust_private.py fails when a release takes one away.
"""

import asyncio
from typing import Any

import faust


async def commit(app: faust.App, offsets: dict[Any, int]) -> bool:
    """Commit group offsets; False where the group has moved on."""
    # pylint would call it private: there is no public way to commit what Faust does not track
    accepted = bool(await app.consumer._commit(offsets))
    # Faust leaves out what is not assigned any more, and answers as if it were committed
    return accepted and offsets.keys() <= set(app.consumer.assignment())


def generation(app: faust.App) -> int | None:
    """Generation of the consumer group that this member is in."""
    return app.consumer_generation_id


def slow_assignor(seconds: float) -> None:
    """Give late followers of the embedded broker time to ask for their assignment.

    Its group coordinator answers a follower that comes after the leader's SyncGroup with error 42,
    which no real broker does; Faust then idles until the watchdog ends it.
    """
    from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

    original = RoundRobinPartitionAssignor.assign

    def assign(cls: Any, cluster: Any, members: Any) -> Any:
        if len(members) > 1:
            import time

            time.sleep(seconds)
        return original.__func__(cls, cluster, members)

    RoundRobinPartitionAssignor.assign = classmethod(assign)  # type: ignore[method-assign]


def loop_of(app: faust.App) -> asyncio.AbstractEventLoop:
    """The loop that the app runs on."""
    return app.loop
