"""One partition that a worker owns: its models, and what of it is not yet safe."""

import asyncio

from inferwatch.core.fold import Partition
from inferwatch.records.definition import Definition
from inferwatch.runtime.checkpoint import Attempt, Restored

STARTS_MAX = 3


class Owned:
    """One partition that this process owns: its models, and what is not yet safe."""

    def __init__(self, partition: Partition, found: Restored, state_end: int) -> None:
        self.partition = partition
        self.definitions = found.definitions
        self.roots = found.roots
        self.garbage = dict.fromkeys(found.spare)  # keys that no root needs
        self.inherited = bool(found.spare)
        self.state_end = state_end
        self.sends: list[asyncio.Future[None]] = []
        self.saved_offset = partition.offset
        self.saved_at_s: dict[str, tuple[float, int]] = {}
        self.announced: dict[str, Definition] = {}  # as the files have them
        self.written_bytes = 0
        self.attempt = Attempt(offset=partition.offset)
        self.skips = {offset for offset in found.skipped if offset > partition.offset}

    @property
    def careful(self) -> bool:
        """Whether starts came to nothing, so that each record is noted before it is tried."""
        return self.attempt.starts >= STARTS_MAX and self.saved_offset == self.attempt.offset
