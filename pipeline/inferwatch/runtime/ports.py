"""What delivery needs of the outside: a worker and the simulator each bring their own."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import NoReturn, Protocol

from inferwatch.core.fold import Output, Partition
from inferwatch.core.model import Model
from inferwatch.core.reference import Values
from inferwatch.errors import Exit
from inferwatch.records.definition import Definition
from inferwatch.records.raw import Decoded, RawRecord
from inferwatch.runtime.checkpoint import Record


class Link(Protocol):
    """What delivery needs of the broker, the clock and the process it runs in."""

    writer: str

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Mapping[str, bytes],
        partition: int | None = None,
    ) -> Awaitable[None]:
        """Hand a record to the producer, in the order of calls; what it gives ends when the brokers
        have it.
        """

    async def commit(self, offsets: Mapping[int, int]) -> bool:
        """Set group offsets; False where this member no longer owns them."""

    async def bounds(self, partition: int) -> tuple[int, int, int]:
        """Oldest offset left in the events partition, its end, the group's offset (0 for none)."""

    async def first_from(self, partition: int, offset: int) -> int:
        """Offset of the first record at or after `offset`, by an own look at the log."""

    async def state(self, partition: int, start: int) -> tuple[list[Record], int]:
        """Records of the state partition from `start` to today's end, and that end."""

    def partitions(self) -> int:
        """Partitions of the events topic when this process began."""

    async def partitions_now(self) -> int:
        """The same by a new look; what was known before where no broker answers."""

    def generation(self) -> int | None:
        """Generation of the group that this member is in."""

    def rebalancing(self) -> bool:
        """Whether an assignment is under way."""

    def now_s(self) -> float:
        """A clock that only moves forward."""

    def die(self, code: Exit, why: str) -> NoReturn:
        """End the process at once: nothing may be written after a doubt."""

    def reach(self, point: str) -> None:
        """A named place where a crash is tried."""


class Inspector(Protocol):
    """Slow methods on samples of rows."""

    async def answer(self, request: bytes) -> bytes:
        """The `inspection` record that answers a request of the fold; one at a time."""


class Rules(Protocol):
    """The monitor files."""

    def definition(self, model: str) -> Definition:
        """What the files say about a model."""

    def values(self) -> Mapping[str, Values]:
        """Reference columns by digest."""


class Observer(Protocol):
    """Who is told how it goes."""

    restoring: bool
    assigned: bool

    def took_over(self, partitions: Sequence[int]) -> None:
        """A new assignment is restored."""

    def folded(
        self,
        partition: Partition,
        run: Sequence[tuple[RawRecord, Decoded]],
        outputs: Sequence[Output],
    ) -> None:
        """Consecutive records went through the fold."""

    def checkpointed(self, partition: int, state_bytes: int, written_bytes: int) -> None:
        """A checkpoint is on the state topic."""

    def committed(self, partition: int, *, accepted: bool) -> None:
        """What the group said to a commit."""

    def passed_over(self, partition: int) -> None:
        """Records that are lost are folded by nobody, because an operator said so."""

    def ended_by_record(self, partition: int) -> None:
        """The process before this one ended while it folded a record."""

    def watched(self, partition: int, model: Model) -> None:
        """A model as its checkpoint has it."""
