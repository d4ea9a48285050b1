"""An inspector in virtual time: slow, sometimes too slow, and heard twice."""

import asyncio
from random import Random

import msgspec

from inferwatch.inspect.answer import answer
from inferwatch.records.raw import JSON, headers
from inferwatch.testing.simulation.broker import Broker

DELAYS_S = (0.05, 0.1, 0.2, 0.5, 1.0, 18.0)  # the last is longer than a window waits
TWICE = 0.3


class SlowInspector:
    """`ports.Inspector` of a process: real answers, after a time that `chance` says."""

    def __init__(self, broker: Broker, chance: Random) -> None:
        self._broker, self._chance = broker, chance

    async def answer(self, request: bytes) -> bytes:
        """The answer; now and then the log has it already, from somebody who was taken for dead."""
        await asyncio.sleep(self._chance.choice(DELAYS_S))
        found = answer(request)
        if self._chance.random() < TWICE:
            described = headers("inspection", id="z", source="z", time="", content_type=JSON)
            key = msgspec.json.decode(found)["model"].encode()
            self._broker.append("events.v1", key, found, described, None)
        return found
