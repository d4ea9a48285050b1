"""What the fold asks of inspectors, answered one after the other beside the stream."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping

from inferwatch.core.fold import Output
from inferwatch.runtime.described import described
from inferwatch.runtime.owned import Owned
from inferwatch.runtime.ports import Inspector, Link


class Inspections:
    """A queue of requests and the task that works on it; answers go into the log.

    :param owned: the partitions that are ours now, by number.
    :param guard: ends the process where the work ends in an error.
    """

    def __init__(
        self,
        link: Link,
        inspector: Inspector,
        owned: Mapping[int, Owned],
        guard: Callable[[Awaitable[None]], Awaitable[None]],
    ) -> None:
        self._link, self._inspector, self._owned, self._guard = link, inspector, owned, guard
        self._requests: deque[tuple[Owned, Output]] = deque()
        self._work: asyncio.Future[None] | None = None
        self._working = False

    def ask(self, owned: Owned, requests: Iterable[Output]) -> None:
        """Have requests answered; returns at once."""
        self._requests += [(owned, request) for request in requests]
        if self._requests and not self._working:
            self._working = True
            self._work = asyncio.ensure_future(self._guard(self._answer_all(self._work)))

    def forget(self) -> None:
        """Answer none of them: the next owner of their partitions asks again."""
        self._requests.clear()
        self._working = False
        if self._work is not None:
            self._work.cancel()

    async def _answer_all(self, before: asyncio.Future[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])  # one that was cancelled may still be at it
        while self._requests:
            owned, request = self._requests.popleft()
            if self._waits(owned, request):
                answer = await self._inspector.answer(request.value)
                if self._waits(owned, request):
                    await self._send(owned.partition.number, request, answer)
        self._working = False

    def _waits(self, owned: Owned, request: Output) -> bool:
        """Whether nobody has answered yet, and it is still ours to do."""
        mine = self._owned.get(owned.partition.number) is owned
        return mine and owned.partition.waits(request)

    async def _send(self, number: int, request: Output, answer: bytes) -> None:
        told = described("inspection", request.id)
        await (await self._link.send("events.v1", request.key, answer, told, number))
