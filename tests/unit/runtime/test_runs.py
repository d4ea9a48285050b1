"""Runs of records that a worker takes from a partition, and loses the partition meanwhile."""

import asyncio
from types import SimpleNamespace

import pytest

from inferwatch.core.fold import Partition
from inferwatch.runtime import checkpoint as checkpoints
from inferwatch.runtime.checkpoint import Attempt
from inferwatch.runtime.delivery import Delivery
from inferwatch.runtime.owned import STARTS_MAX, Owned
from inferwatch.testing.builders import raw_tick


class Link:
    """A log whose every record is there."""

    writer = "w"

    async def bounds(self, partition):
        """Two records."""
        return 0, 2, 0

    async def first_from(self, partition, offset):
        """None is missing."""
        return offset

    def reach(self, point):
        """No crash here."""

    def die(self, code, why):
        """No reason to."""
        pytest.fail(why)


def test_who_loses_a_partition_while_trying_each_record_takes_no_further_one(monkeypatch):
    """What was not folded is its new owner's: no hole in the log."""
    delivery = Delivery(Link(), SimpleNamespace(), SimpleNamespace(), SimpleNamespace())
    owned = Owned(Partition(0), checkpoints.gather([]), 0)
    owned.attempt = Attempt(offset=-1, starts=STARTS_MAX)
    delivery.owned[0] = owned

    async def lost(owned, offset):
        delivery.owned.clear()

    monkeypatch.setattr(delivery.attempts, "trying", lost)
    records = [raw_tick(offset=offset, time_ms=0) for offset in (0, 1)]
    asyncio.run(delivery.receive(records, None))
    assert owned.partition.offset == -1
