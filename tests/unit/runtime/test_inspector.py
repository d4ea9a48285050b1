"""The process beside a worker that answers requests."""

import asyncio

import msgspec
import numpy as np
import pytest

from inferwatch.core.inspectors import Request
from inferwatch.inspect.answer import answer
from inferwatch.records.events import Inspection
from inferwatch.runtime import inspector as inspectors
from inferwatch.runtime.inspector import Inspector


def request(method="lof"):
    """A request about 100 rows."""
    rows = np.random.default_rng(1).normal(size=(2, 400)).astype("<f4")
    return msgspec.msgpack.encode(
        Request(
            model="team/model",
            window="0" * 24,
            method=method,
            features=["a", "b"],
            rows=rows[:, :100].tobytes(),
            reference=rows[:, 100:].tobytes(),
        )
    )


def told(found):
    """The reason of an answer without a value."""
    return msgspec.json.decode(found, type=Inspection).unknown


def test_a_process_answers_one_after_the_other():
    """The bytes that this process would give; one child for all."""

    async def play():
        inspector = Inspector()
        first, child = await inspector.answer(request()), inspector._child
        second = await inspector.answer(request("one_class_svm"))
        assert inspector._child is child
        await inspector.close()
        return first, second

    assert asyncio.run(play()) == (answer(request()), answer(request("one_class_svm")))


def test_a_request_that_ends_the_process_is_unknown():
    """With the reason; the next one is answered by another process."""

    async def play():
        inspector = Inspector()
        lost = await inspector.answer(request("no such method"))
        found = await inspector.answer(request())
        await inspector.close()
        return lost, found

    lost, found = asyncio.run(play())
    assert "the inspector ended" in told(lost) and found == answer(request())


def test_a_process_that_was_killed_is_replaced():
    """Whoever killed it: memory, or an operator."""

    async def play():
        inspector = Inspector()
        await inspector.answer(request())
        inspector._child.kill()
        await inspector._child.wait()
        lost = await inspector.answer(request())
        found = await inspector.answer(request())
        await inspector.close()
        return lost, found

    lost, found = asyncio.run(play())
    assert "the inspector ended" in told(lost) and found == answer(request())


def test_what_takes_too_long_is_unknown(monkeypatch):
    """The process is ended, for it would answer the wrong request."""
    monkeypatch.setattr(inspectors, "ANSWER_MAX_S", 0.0)

    async def play():
        inspector = Inspector()
        found = await inspector.answer(request())
        assert inspector._child is None
        return found

    assert "more than" in told(asyncio.run(play()))


@pytest.mark.parametrize("moment", ["starting", "answering"])
def test_a_caller_that_gives_up_ends_the_process(moment):
    """A hand-over waits for no inspector."""

    async def play():
        inspector = Inspector()
        if moment == "answering":
            await inspector.answer(request())
        work = asyncio.ensure_future(inspector.answer(request()))
        await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert inspector._child is None

    asyncio.run(play())
