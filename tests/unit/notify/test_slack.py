"""Slack: the message as people read it, nothing in it that Slack would act on, no URL told."""

import asyncio
import json
import logging

import pytest

from inferwatch.errors import ConfigError
from inferwatch.notify import channel_file, text
from inferwatch.notify.channels import slack
from inferwatch.notify.deliver import Rejected, Retry, Sent
from inferwatch.notify.plan import idempotency_key
from inferwatch.records.notified import Plan
from inferwatch.testing.alerts import TOLD_MS, alert_record
from inferwatch.testing.receiver import Answer, Receiver

PATH = "services/T0/B0/abcdef"


def plan(**fields):
    alert = alert_record(**fields)
    return Plan(key=idempotency_key(alert.id, "team"), at_ms=TOLD_MS, alert=alert)


def shown(one):
    """The text as Slack shows it."""
    found = json.loads(slack.body(one, TOLD_MS))
    assert found["mrkdwn"] is False
    words = found["text"]
    return words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def test_the_message_is_that_of_every_channel():
    """Line by line."""
    one = plan(value=0.61, limit=0.76, segment="country=DE")
    assert shown(one) == text.render(one.alert, TOLD_MS, TOLD_MS)


def test_names_from_data_mention_nobody():
    """`<!channel>` in a segment would wake everyone: it is shown, not acted on."""
    one = plan(segment="country=<!channel> & <https://evil|click>")
    raw = json.loads(slack.body(one, TOLD_MS))["text"]
    assert "<" not in raw and ">" not in raw
    assert "<!channel> & <https://evil|click>" in shown(one)


def test_a_long_message_is_cut():
    """At 4,000 characters, with a sign that it was."""
    found = shown(plan(segment="c=" + "x" * 9_000))
    assert len(found) == 4_000 and found.endswith("…")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(200, body=b"ok"), Sent),
        (Answer(400, body=b"invalid_payload"), Rejected),
        (Answer(410, body=b"channel_is_archived"), Rejected),
        (Answer(429, {"Retry-After": "7"}), Retry),
        (Answer(500), Retry),
        (Answer(how="reset"), Retry),
    ],
)
def test_each_answer_has_its_outcome(answer, kind, caplog):
    """One request an attempt; an archived channel ends; the URL's path is a secret."""

    async def run(url):
        channel = slack.Slack("team", slack.URL(url))
        try:
            return await channel.send(plan())
        finally:
            await channel.close()

    with Receiver(lambda _: answer) as receiver, caplog.at_level(logging.DEBUG):
        found = asyncio.run(run(receiver.url.replace("hook", PATH)))
    assert isinstance(found, kind) and [one.path for one in receiver.requests] == [f"/{PATH}"]
    assert getattr(found, "disables", False) == (answer.status == 410)
    assert getattr(found, "after_s", None) == (7.0 if answer.status == 429 else None)
    assert "abcdef" not in f"{found} {caplog.text}"


def test_the_channel_is_read_from_the_file(tmp_path, monkeypatch):
    """The URL from a file or a variable; what is none is refused and not quoted."""
    file = tmp_path / "channels.yaml"
    (tmp_path / "hook").write_text(f"https://hooks.slack.com/{PATH}\n")
    file.write_text("notify:\n  - {type: slack, secret_file: hook}\n")
    [found] = channel_file.load(file)
    assert str(found.url) == f"https://hooks.slack.com/{PATH}" and found.name == "slack"
    assert "abcdef" not in repr(found)
    monkeypatch.setenv("HOOK", "hunter2")
    file.write_text("notify:\n  - {type: slack, secret_env: HOOK}\n")
    with pytest.raises(ConfigError, match="no http URL") as error:
        channel_file.load(file)
    assert "hunter2" not in str(error.value)
