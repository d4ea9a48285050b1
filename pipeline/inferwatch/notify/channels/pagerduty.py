"""PagerDuty, Events API v2: an incident an alert, resolved when the alert ends.

The alert's fingerprint is the `dedup_key`: repeats and changes of severity go to the incident that
is open. The routing key of the service's integration is the secret. 202 is success, 400 is final,
429 and 5xx are tried again.

Reference: https://developer.pagerduty.com/docs/events-api-v2/trigger-events
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from yarl import URL

from inferwatch.config.document import Node
from inferwatch.notify import secret
from inferwatch.notify.deliver import Outcome
from inferwatch.notify.http import Client, http_url
from inferwatch.notify.message import annotations_of, rfc3339
from inferwatch.notify.next_step import RUNBOOK
from inferwatch.records.notified import Plan

KEYS = ("url", *secret.KEYS)
REQUIRED = ()
URL_DEFAULT = URL("https://events.pagerduty.com/v2/enqueue")
SUMMARY_MAX = 1_024
DETAIL_MAX = 8_000
ROUTING_KEY = re.compile(r"[A-Za-z0-9]{32}")
FIX = "write the 32 letters and digits of an Events API v2 integration"


@dataclass
class PagerDuty:
    """One integration of one service."""

    name: str
    routing_key: str = field(repr=False)
    url: URL = URL_DEFAULT
    client: Client = field(default_factory=Client, repr=False)

    async def send(self, plan: Plan) -> Outcome:
        """One attempt."""
        payload = body(plan, self.routing_key, round(time.time() * 1000))
        return await self.client.post(self.url, payload)

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()


def body(plan: Plan, routing_key: str, now_ms: int) -> bytes:
    """`trigger` while the alert is open, `resolve` when it has ended."""
    alert = plan.alert
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "resolve" if alert.condition == "ok" else "trigger",
        "dedup_key": alert.fingerprint,
    }
    if event["event_action"] == "trigger":
        details = annotations_of(plan, now_ms)
        event["payload"] = {
            "summary": details["summary"][:SUMMARY_MAX],
            "source": alert.model,
            "severity": alert.severity,
            "timestamp": rfc3339(alert.at_ms),
            "component": alert.feature,
            "group": alert.segment,
            "class": alert.alert,
            "custom_details": {name: words[:DETAIL_MAX] for name, words in details.items()},
        }
        if RUNBOOK in alert.annotations:
            event["links"] = [{"href": alert.annotations[RUNBOOK], "text": "runbook"}]
    return msgspec.json.encode(event)


def read(fields: Mapping[str, Node], name: str) -> PagerDuty:
    """The channel of an entry of the channels file.

    :raises ConfigError: the key or the URL cannot be used; no message quotes the key.
    """
    node, key = secret.read(fields, fields["type"], FIX)
    if not ROUTING_KEY.fullmatch(key):
        raise node.error("the routing key cannot be used", FIX)
    return PagerDuty(name, key, http_url(fields["url"]) if "url" in fields else URL_DEFAULT)
