"""A channel of Slack, by an incoming webhook: the message as it is, without Slack's formatting.

The webhook's URL is the secret. Slack takes one message a second and says with 429 how long to
wait; a repeat after an answer that was lost is a second message, because Slack knows no keys.

Reference: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from yarl import URL

from inferwatch.config.document import Node
from inferwatch.notify import secret, text
from inferwatch.notify.deliver import Outcome
from inferwatch.notify.http import Client, url_of
from inferwatch.records.notified import Plan

KEYS = secret.KEYS
REQUIRED = ()
TEXT_MAX = 4_000
FIX = "write the URL of an incoming webhook, https://hooks.slack.com/services/…"


@dataclass
class Slack:
    """One incoming webhook."""

    name: str
    url: URL = field(repr=False)
    client: Client = field(default_factory=Client, repr=False)

    async def send(self, plan: Plan) -> Outcome:
        """One attempt."""
        return await self.client.post(self.url, body(plan, round(time.time() * 1000)))

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()


def body(plan: Plan, now_ms: int) -> bytes:
    """The message, cut at 4,000 characters; `&`, `<` and `>` would begin a link or a mention."""
    words = text.render(plan.alert, plan.at_ms, now_ms)
    if len(words) > TEXT_MAX:
        words = words[: TEXT_MAX - 1] + "…"
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return msgspec.json.encode({"text": escaped, "mrkdwn": False, "unfurl_links": False})


def read(fields: Mapping[str, Node], name: str) -> Slack:
    """The channel of an entry of the channels file.

    :raises ConfigError: the URL is missing or none; no message quotes it.
    """
    node, url = secret.read(fields, fields["type"], FIX)
    return Slack(name, url_of(node, url, FIX))
