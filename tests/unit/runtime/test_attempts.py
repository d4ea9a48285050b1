"""What a process that died of a record leaves to the one that comes after it."""

import asyncio
from types import SimpleNamespace

import pytest

from inferwatch.core.fold import Partition
from inferwatch.runtime import checkpoint as checkpoints
from inferwatch.runtime.attempts import Attempts
from inferwatch.runtime.owned import Owned
from inferwatch.testing.builders import raw_tick


class Notes:
    """A process with its notes: `written` are those on the state topic, `told` the deaths."""

    def __init__(self) -> None:
        self.written: list[checkpoints.Record] = []
        self.told: list[int] = []
        link = SimpleNamespace(writer="w")
        observer = SimpleNamespace(ended_by_record=self.told.append)
        self.attempts = Attempts(link, observer, self._write)
        self.owned = Owned(Partition(0), checkpoints.gather([]), 0)

    async def _write(self, owned, records):
        self.written += records

    def begins(self, before: "Notes") -> list[int]:
        """Partitions in which this process finds that a record ended the one before."""
        left = checkpoints.gather(before.written).attempt
        asyncio.run(self.attempts.begin(self.owned, left))
        return self.told


@pytest.mark.parametrize("records", [1, 2])
def test_a_process_that_died_of_a_record_is_counted_once(records):
    """Of one, or of one among several that were folded together: its successor says so, the one
    after that no more.
    """
    first, second, third = Notes(), Notes(), Notes()
    run = [raw_tick(offset=offset, time_ms=0) for offset in range(records)]
    asyncio.run(first.attempts.failed(first.owned, run))
    assert second.begins(first) == [0]
    assert third.begins(second) == []
    assert second.owned.careful == (records > 1)  # each is tried by itself where it is not known


def test_a_process_that_was_ended_from_outside_is_not_counted():
    """It left its start, and no record at work."""
    first, second = Notes(), Notes()
    asyncio.run(first.attempts.begin(first.owned, None))
    assert second.begins(first) == []
