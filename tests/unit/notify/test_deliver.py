"""The way out of one channel: order, retries, giving up; time is a number that the test moves."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.notify.deliver import SCHEDULE_S, Lane, Queue, Rejected, Retry, Sent
from inferwatch.notify.plan import idempotency_key
from inferwatch.records.notified import Plan
from inferwatch.testing.alerts import TOLD_MS, alert_record


def plan(seq=1, alert="RecallDrop"):
    record = alert_record(seq, "firing" if seq % 2 else "ok", alert=alert)
    return Plan(key=idempotency_key(record.id, "test"), at_ms=TOLD_MS, alert=record)


def test_a_message_is_tried_at_once_and_gone_when_sent():
    """The first attempt is due immediately, and a success ends the matter."""
    queue, one = Queue(), plan()
    queue.add(one, 0.0)
    assert queue.take(0.0) is one
    assert queue.settle(one, Sent(), 0.0) == Sent()
    assert queue.wait_s(0.0) is None and len(queue) == 0


def test_retries_keep_the_schedule_and_end():
    """A message that nobody takes is tried on the schedule, then rejected with the last reason."""
    queue, one, now_s, attempts = Queue(), plan(), 100.0, []
    queue.add(one, now_s)
    final = None
    while final is None:
        now_s += queue.wait_s(now_s)
        attempts.append(now_s)
        assert queue.take(now_s) is one
        final = queue.settle(one, Retry("status 503"), now_s)
    waits = [after - before for before, after in zip([100.0, *attempts], attempts, strict=False)]
    assert waits == list(SCHEDULE_S)
    assert final == Rejected("given up after 7 attempts: status 503")


def test_the_receiver_may_name_the_wait():
    """A wait that the receiver asks for replaces the schedule's."""
    queue, one = Queue(), plan()
    queue.add(one, 0.0)
    queue.take(0.0)
    assert queue.settle(one, Retry("status 429", 30.0), 0.0) is None
    assert queue.take(29.9) is None and queue.wait_s(0.0) == 30.0
    assert queue.take(30.0) is one


def test_a_failing_alert_does_not_hold_up_others():
    """While one alert waits for its next attempt, another is due at once."""
    queue, bad, good = Queue(), plan(), plan(alert="Other")
    queue.add(bad, 0.0)
    queue.take(0.0)
    queue.settle(bad, Retry("status 500"), 0.0)
    queue.add(good, 1.0)
    assert queue.take(1.0) is good


def test_the_same_alert_is_told_in_order():
    """The second message of an alert is not given out before the first one is over."""
    queue, first, second = Queue(), plan(1), plan(2)
    queue.add(first, 0.0)
    assert queue.take(0.0) is first
    queue.add(second, 0.0)
    assert queue.take(0.0) is None
    queue.settle(first, Sent(), 0.0)
    assert queue.take(0.0) is second


def test_a_waiting_message_is_overtaken_by_what_is_true_now():
    """After an outage the receiver gets the newest state of an alert, with a fresh schedule."""
    queue = Queue()
    queue.add(plan(1), 0.0)
    queue.settle(queue.take(0.0), Retry("down"), 0.0)
    queue.add(plan(2), 1.0)
    queue.add(plan(3), 2.0)
    assert queue.take(2.0) is None
    newest = queue.take(5.0)
    assert newest.alert.seq == 3 and len(queue) == 1
    queue.settle(newest, Retry("down"), 5.0)
    assert queue.wait_s(5.0) == SCHEDULE_S[1]


@given(
    st.lists(
        st.tuples(st.sampled_from("AB"), st.sampled_from([Sent(), Retry("x"), Rejected("y")])),
        max_size=40,
    )
)
def test_nothing_is_lost_and_order_is_kept(steps):
    """Whatever the receiver answers, each alert's messages end in order and its newest one ends."""
    queue, seqs, over, now_s = Queue(), {"A": 0, "B": 0}, {"A": [], "B": []}, 0.0

    def attempt(outcome):
        taken = queue.take(now_s)
        if taken is not None and queue.settle(taken, outcome, now_s) is not None:
            over[taken.alert.alert].append(taken.alert.seq)

    for name, outcome in steps:
        seqs[name] += 1
        queue.add(plan(seqs[name], name), now_s)
        attempt(outcome)
        now_s += 1.0
    while len(queue):
        now_s += queue.wait_s(now_s)
        attempt(Sent())
    for name, last in seqs.items():
        assert over[name] == sorted(set(over[name]))
        assert not last or over[name][-1] == last


class Scripted:
    """A channel that answers from a list, then takes everything."""

    name = "test"

    def __init__(self, *answers):
        self.answers, self.keys = list(answers), []

    async def send(self, plan):
        self.keys.append(plan.key)
        answer = self.answers.pop(0) if self.answers else Sent()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def close(self):
        """Nothing is held open."""


def results(channel, *plans, schedule_s=(0.0, 0.0, 0.0)):
    """What a lane says about each plan, and every attempt's outcome."""

    async def run():
        over, attempts, done = [], [], asyncio.Event()

        async def finish(name, plan, result, reason):
            over.append((plan.alert.seq, result, reason))
            if len(over) == len(plans):
                done.set()

        lane = Lane(
            channel, finish, lambda name, outcome, took_s: attempts.append(outcome), schedule_s
        )
        task = asyncio.create_task(lane.run())
        for one in plans:
            lane.add(one)
        async with asyncio.timeout(10):
            await done.wait()
        task.cancel()
        return over, attempts

    return asyncio.run(run())


def test_every_attempt_carries_the_same_key():
    """Retries repeat the message under its first key, so that the receiver can drop them."""
    channel = Scripted(Retry("a"), Retry("b"))
    over, attempts = results(channel, plan())
    assert over == [(1, "sent", "")] and len(attempts) == 3
    assert len(channel.keys) == 3 and len(set(channel.keys)) == 1


def test_a_refusal_is_final():
    """What is rejected is not repeated, and the next message goes out."""
    channel = Scripted(Rejected("status 400"))
    over, _ = results(channel, plan(1), plan(1, "Other"))
    assert over == [(1, "rejected", "status 400"), (1, "sent", "")]
    assert len(channel.keys) == 2


def test_a_disabled_channel_sends_no_more():
    """After 410 every further message is rejected without an attempt."""
    channel = Scripted(Rejected("status 410", disables=True))
    over, _ = results(channel, plan(1), plan(2), plan(1, "Other"))
    assert [result for _, result, _ in over] == ["rejected"] * 3
    assert over[2][2] == "the channel is disabled: status 410"
    assert len(channel.keys) == 1


def test_a_fault_in_a_channel_costs_one_message(caplog):
    """A channel that raises loses that message, loudly and without its words, and none after it."""
    channel = Scripted(KeyError("whsec_secret"))
    over, _ = results(channel, plan(1), plan(1, "Other"))
    assert over == [(1, "rejected", "fault: KeyError"), (1, "sent", "")]
    assert "a fault in sending" in caplog.text and "whsec" not in caplog.text


@pytest.mark.parametrize("answers", [[], [Retry("x")]])
def test_a_lane_wakes_for_what_is_added_later(answers):
    """A lane that has gone to sleep sends what comes afterwards."""

    async def run():
        over, channel = asyncio.Queue(), Scripted(*answers)

        async def finish(name, plan, result, reason):
            await over.put(result)

        lane = Lane(channel, finish, lambda *_: None, (0.0, 0.0))
        task = asyncio.create_task(lane.run())
        found = []
        async with asyncio.timeout(10):
            for seq in (1, 2):
                lane.add(plan(seq))
                found.append(await over.get())
        task.cancel()
        return found

    assert asyncio.run(run()) == ["sent", "sent"]
