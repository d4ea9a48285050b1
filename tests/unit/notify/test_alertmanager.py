"""Alertmanager's channel: what it is told, what is repeated and for how long, by whom."""

import asyncio
import json
from datetime import datetime

import pytest
from yarl import URL

from inferwatch.errors import ConfigError
from inferwatch.notify import channel_file
from inferwatch.notify.channels import alertmanager
from inferwatch.notify.channels.alertmanager import BEATS_AHEAD, ENDED_BEATS, Alertmanager
from inferwatch.notify.deliver import Rejected, Repeating, Retry, Sent
from inferwatch.notify.plan import idempotency_key
from inferwatch.records.notified import Plan
from inferwatch.runtime.processes import free_port
from inferwatch.testing.alerts import TOLD_MS, alert_record
from inferwatch.testing.receiver import Answer, Receiver

NEVER_S = 3_600.0


def plan(seq=1, condition="firing", **fields):
    """A transition to be told."""
    alert = alert_record(seq, condition, **fields)
    return Plan(key=idempotency_key(alert.id, "am"), at_ms=TOLD_MS, alert=alert)


def channel(*receivers, beat_s=NEVER_S):
    """A channel to the receivers' hosts."""
    return Alertmanager("am", tuple(URL(one.url).origin() for one in receivers), beat_s=beat_s)


def send(to, *plans):
    """Outcomes of one attempt each."""

    async def run():
        try:
            return [await to.send(one) for one in plans]
        finally:
            await to.close()

    return asyncio.run(run())


def told(request):
    """The alerts of a request: name, severity, and whether they go on."""
    return [
        (one["labels"]["alertname"], one["labels"]["severity"], seconds(one) > 0)
        for one in json.loads(request.body)
    ]


def seconds(document, since=None):
    """How far its end is ahead of now."""
    ends = datetime.fromisoformat(document["endsAt"])
    return (ends - (since or datetime.now(ends.tzinfo))).total_seconds()


def test_a_firing_alert_has_an_end_ahead_and_identity_in_its_labels():
    """API v2: labels without a number, what was measured in annotations, and an end ahead."""
    with Receiver() as receiver:
        to = channel(receiver, beat_s=60.0)
        assert send(to, plan(value=0.61, limit=0.76, labels={"team": "risk"})) == [Sent()]
        [request] = receiver.requests
    assert request.path == "/api/v2/alerts"
    [one] = json.loads(request.body)
    assert one["labels"] == {
        "alertname": "RecallDrop",
        "severity": "critical",
        "model": "risk/fraud-scorer",
        "version": "12",
        "source": "inferwatch",
        "team": "risk",
    }
    assert one["annotations"]["value"] == "0.61" and one["annotations"]["threshold"] == "0.76"
    assert 60.0 * (BEATS_AHEAD - 1) < seconds(one) <= 60.0 * BEATS_AHEAD
    assert one["startsAt"] == "2026-02-25T15:00:00.000Z"


def test_an_end_is_told_as_it_is():
    """The same labels with an end that has passed, also where the beginning is not known here."""
    with Receiver() as receiver:
        to = channel(receiver)
        send(to, plan(1), plan(2, "ok", previous="firing"))
        send(channel(receiver), plan(2, "ok", previous="firing"))
    begins, ends, unknown = map(told, receiver.requests)
    assert begins == [("RecallDrop", "critical", True)]
    assert ends == unknown == [("RecallDrop", "critical", False)]


def test_another_severity_ends_one_alert_and_begins_another():
    """Labels are identity there: the warning ends in the message that tells of the critical one."""
    with Receiver() as receiver:
        send(channel(receiver), plan(1, severity="warning"), plan(2, severity="critical"))
    assert sorted(told(receiver.requests[1])) == [
        ("RecallDrop", "critical", True),
        ("RecallDrop", "warning", False),
    ]


def test_what_stands_is_repeated_and_an_end_for_some_beats(monkeypatch):
    """Firing alerts in every beat; an alert that ended in the next beats, and then no more."""

    monkeypatch.setattr(alertmanager, "BEATS_AHEAD", 10_000)

    async def run(receiver):
        to = channel(receiver, beat_s=0.1)
        try:
            await to.send(plan(1, alert="Stays"))
            await to.send(plan(1, alert="Ends"))
            await to.send(plan(2, "ok", alert="Ends"))
            before = len(receiver.requests)
            await asyncio.to_thread(receiver.wait_for, before + 2 * ENDED_BEATS + 4)
        finally:
            await to.close()
        return receiver.requests[before:]

    with Receiver() as receiver:
        beats = [{name: goes for name, _, goes in told(one)} for one in asyncio.run(run(receiver))]
    assert all(beat["Stays"] for beat in beats)
    assert beats[0] == {"Stays": True, "Ends": False}
    assert "Ends" not in beats[-1]


def test_a_notifier_that_takes_over_repeats_what_was_told():
    """At once and without a transition: the beats of the one before it ended with it."""

    async def run(receiver):
        to = channel(receiver)
        assert isinstance(to, Repeating)
        try:
            await to.resume([alert_record(3)])
            await asyncio.to_thread(receiver.wait_for, 1)
        finally:
            await to.close()

    with Receiver() as receiver:
        asyncio.run(run(receiver))
    assert told(receiver.requests[0]) == [("RecallDrop", "critical", True)]


def test_a_closed_channel_repeats_nothing():
    """Who has lost the alerts topic may not hold an alert open that its successor ends."""

    async def run(receiver):
        to = channel(receiver, beat_s=0.01)
        await to.send(plan(1))
        await to.close()
        count = len(receiver.requests)
        await to.send(plan(1, alert="Other"))  # it can be used again, and knows nothing of before
        await to.close()
        return [told(one) for one in receiver.requests[count:]]

    with Receiver() as receiver:
        after = asyncio.run(run(receiver))
    assert {name for one in after for name, _, _ in one} == {"Other"}


def test_one_peer_that_answers_is_enough():
    """A dead peer of a cluster does not hold the message up; every peer is asked."""
    with Receiver() as one, Receiver(lambda _: Answer(503)) as other:
        assert send(channel(other, one), plan()) == [Sent()]
        assert len(one.requests) == len(other.requests) == 1


def test_no_peer_is_tried_again_and_a_refusal_is_final():
    """503 and no answer are repeated by the lane; 400 is not, and is not in later beats."""
    dead = Alertmanager("am", (URL(f"http://127.0.0.1:{free_port()}"),), beat_s=NEVER_S)
    assert isinstance(send(dead, plan())[0], Retry)
    with Receiver(lambda _: Answer(503)) as receiver:
        assert send(channel(receiver), plan()) == [Retry("status 503")]
    with Receiver(lambda _: Answer(400)) as receiver:
        to = channel(receiver)
        assert send(to, plan(1, alert="Bad")) == [Rejected("status 400")]


@pytest.mark.parametrize(
    ("urls", "says"),
    [
        ("[]", "notify[0].urls: is empty"),
        ("http://am:9093", "expected a list"),
        ("[am:9093]", "is no http URL"),
        ("['http://user:password@am:9093']", "holds a password"),
    ],
)
def test_urls_that_cannot_be_used_are_told(urls, says, tmp_path):
    """File, line, key and the fix; no password is quoted."""
    path = tmp_path / "channels.yaml"
    path.write_text(f"notify:\n  - type: alertmanager\n    urls: {urls}\n")
    with pytest.raises(ConfigError) as caught:
        channel_file.load(path)
    assert says in str(caught.value) and "user:password" not in str(caught.value)
