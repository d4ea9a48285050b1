"""Inspectors of a worker: a process beside it, started by the first request.

A process, because scikit-learn would hold up the fold; a child over pipes, because it ends with
the worker, however that ends.
"""

import asyncio
import contextlib
import logging
import sys
from asyncio.subprocess import PIPE, Process

from inferwatch.inspect.__main__ import LENGTH_BYTES
from inferwatch.inspect.answer import unanswered

log = logging.getLogger("inferwatch.worker")
ANSWER_MAX_S = 120.0


class Inspector:
    """Answers requests one at a time; the caller sees to that."""

    def __init__(self) -> None:
        self._child: Process | None = None

    async def answer(self, request: bytes) -> bytes:
        """The record that answers: without a value, and saying why, where the process died of the
        request or took more than two minutes.
        """
        try:
            async with asyncio.timeout(ANSWER_MAX_S):
                return await self._ask(request)
        except TimeoutError:
            why = f"the inspector took more than {ANSWER_MAX_S:.0f} s"
        except (OSError, asyncio.IncompleteReadError) as error:
            why = f"the inspector ended: {error!r}"
        except asyncio.CancelledError:
            await self.close()  # or its answer would be taken for that to the next request
            raise
        await self.close()
        log.error(why)
        return unanswered(request, why)

    async def _ask(self, request: bytes) -> bytes:
        if self._child is None:
            self._child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "inferwatch.inspect"),
                stdin=PIPE,
                stdout=PIPE,
                start_new_session=True,  # Ctrl-C is for the worker
            )
        source, sink = self._child.stdout, self._child.stdin
        assert source is not None and sink is not None
        sink.write(len(request).to_bytes(LENGTH_BYTES) + request)
        await sink.drain()
        length = int.from_bytes(await source.readexactly(LENGTH_BYTES))
        return await source.readexactly(length)

    async def close(self) -> None:
        """End the process; the next request starts another."""
        child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
