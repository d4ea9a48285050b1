"""PagerDuty: an incident an alert, resolved with it; the routing key is in no output."""

import asyncio
import json
import logging

import pytest

from inferwatch.errors import ConfigError
from inferwatch.notify import channel_file
from inferwatch.notify.channels import pagerduty
from inferwatch.notify.deliver import Rejected, Retry, Sent
from inferwatch.notify.plan import idempotency_key
from inferwatch.records.notified import Plan
from inferwatch.testing.alerts import TOLD_MS, alert_record
from inferwatch.testing.receiver import Answer, Receiver

KEY = "0123456789abcdefghijKLMNOPQRSTuv"


def plan(*args, **fields):
    alert = alert_record(*args, **fields)
    return Plan(key=idempotency_key(alert.id, "duty"), at_ms=TOLD_MS, alert=alert)


def sent(one):
    """What PagerDuty gets."""
    return json.loads(pagerduty.body(one, KEY, TOLD_MS))


def outcome(url, one):
    """Of one attempt."""

    async def run():
        channel = pagerduty.PagerDuty("duty", KEY, pagerduty.URL(url))
        try:
            return await channel.send(one)
        finally:
            await channel.close()

    return asyncio.run(run())


def test_what_fires_triggers_and_its_end_resolves_the_same_incident():
    """Whatever its severity is meanwhile: the fingerprint names the incident."""
    told = [
        sent(plan(1, severity="warning")),
        sent(plan(2, severity="critical", reason="severity_raised")),
        sent(plan(3, "ok", "firing")),
    ]
    assert [one["event_action"] for one in told] == ["trigger", "trigger", "resolve"]
    assert {one["dedup_key"] for one in told} == {alert_record().fingerprint}
    assert {one["routing_key"] for one in told} == {KEY}
    assert [one["payload"]["severity"] for one in told[:2]] == ["warning", "critical"]
    assert "payload" not in told[2]


def test_the_incident_says_what_the_message_says():
    """Summary and source for lists, everything measured in the details, the runbook as a link."""
    found = sent(
        plan(
            segment="country=DE",
            value=0.61,
            limit=0.76,
            annotations={"runbook_url": "https://wiki/recall"},
        )
    )
    assert found["payload"]["summary"].startswith("[FIRING·critical] RecallDrop")
    assert (found["payload"]["source"], found["payload"]["group"]) == (
        "risk/fraud-scorer",
        "country=DE",
    )
    assert found["payload"]["timestamp"].endswith("Z")
    assert found["payload"]["custom_details"]["value"] == "0.61"
    assert found["links"] == [{"href": "https://wiki/recall", "text": "runbook"}]


def test_long_names_stay_within_what_pagerduty_takes():
    """A summary of 1,024 characters, a body of 512 KB."""
    one = plan(segment="c=" + "x" * 200_000, causes=["y" * 200_000])
    assert len(sent(one)["payload"]["summary"]) == 1_024
    assert len(pagerduty.body(one, KEY, TOLD_MS)) < 512_000


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(202), Sent),
        (Answer(400), Rejected),
        (Answer(429, {"Retry-After": "30"}), Retry),
        (Answer(500), Retry),
        (Answer(how="reset"), Retry),
    ],
)
def test_each_answer_has_its_outcome(answer, kind, caplog):
    """One request an attempt, and no word of the key in a reason or a log."""
    with Receiver(lambda _: answer) as receiver, caplog.at_level(logging.DEBUG):
        found = outcome(receiver.url, plan())
    assert isinstance(found, kind) and len(receiver.requests) == 1
    assert KEY not in f"{found} {caplog.text}"


def test_the_channel_is_read_from_the_file(tmp_path, monkeypatch):
    """With the key in a file or a variable; what cannot be a key is refused and not quoted."""
    file = tmp_path / "channels.yaml"
    (tmp_path / "key").write_text(f"{KEY}\n")
    eu = "https://events.eu.pagerduty.com/v2/enqueue"
    file.write_text(f"notify:\n  - {{type: pagerduty, secret_file: key, url: '{eu}'}}\n")
    [found] = channel_file.load(file)
    assert (found.routing_key, str(found.url), found.name) == (KEY, eu, "pagerduty")
    assert KEY not in repr(found)
    monkeypatch.setenv("DUTY", "hunter2 is no key")
    file.write_text("notify:\n  - {type: pagerduty, secret_env: DUTY}\n")
    with pytest.raises(ConfigError, match="routing key cannot be used") as error:
        channel_file.load(file)
    assert "hunter2" not in str(error.value)
    file.write_text("notify:\n  - {type: pagerduty}\n")
    with pytest.raises(ConfigError, match="the secret is not given once"):
        channel_file.load(file)
