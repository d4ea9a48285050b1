"""A signed POST: Alertmanager's body, version 4, with a Standard Webhooks signature.

Only 2xx is success and no redirect is followed. A refusal that a repeat cannot cure is final, 410
ends the channel, everything else is tried again. The URL's path may be a secret too: no message
names more of it than the host.

References: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config,
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from yarl import URL

from inferwatch.config.document import Node
from inferwatch.notify import secret
from inferwatch.notify.deliver import Outcome, Rejected
from inferwatch.notify.http import Client, http_url
from inferwatch.notify.message import annotations_of, labels_of, rfc3339
from inferwatch.records.notified import Plan
from inferwatch.records.outputs import AlertRecord

KEYS = ("url", *secret.KEYS)
REQUIRED = ("url",)
BODY_MAX_BYTES = 20_000
SECRET_PREFIX = "whsec_"
SECRET_FIX = "write whsec_ and the base64 of 24 to 64 random bytes; several on lines of their own"
NEVER = "0001-01-01T00:00:00Z"


@dataclass
class Webhook:
    """One receiver. Each of `secrets` signs, so that they can be rotated."""

    name: str
    url: URL = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    client: Client = field(default_factory=Client, repr=False)

    async def send(self, plan: Plan) -> Outcome:
        """One attempt."""
        now_s = time.time()
        payload = body(plan, self.name, round(now_s * 1000))
        if payload is None:
            return Rejected(f"its labels alone are more than {BODY_MAX_BYTES} bytes")
        headers = signature(plan.key, int(now_s), payload, self.secrets)
        return await self.client.post(self.url, payload, headers)

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()


def signature(
    id_: str, timestamp_s: int, payload: bytes, secrets: Sequence[bytes]
) -> dict[str, str]:
    """The three headers by which a receiver knows the sender, and a repeat by its id."""
    signed = f"{id_}.{timestamp_s}.".encode() + payload
    found = [hmac.new(key, signed, hashlib.sha256).digest() for key in secrets]
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(f"v1,{base64.b64encode(one).decode()}" for one in found),
    }


def body(plan: Plan, receiver: str, now_ms: int) -> bytes | None:
    """The body below 20 kB, long annotations cut where needed; None where that cannot help."""
    labels, annotations = labels_of(plan.alert), annotations_of(plan, now_ms)
    while True:
        payload = msgspec.json.encode(_document(plan.alert, receiver, labels, annotations))
        if len(payload) < BODY_MAX_BYTES:
            return payload
        longest = max(annotations, key=lambda name: len(annotations[name]))
        if len(annotations[longest]) < 64:
            return None
        annotations[longest] = annotations[longest][: len(annotations[longest]) // 2] + "…"


def _document(
    alert: AlertRecord, receiver: str, labels: Mapping[str, str], annotations: Mapping[str, str]
) -> dict[str, Any]:
    status = "resolved" if alert.condition == "ok" else "firing"
    began_ms = alert.at_ms if alert.began_ms is None else min(alert.began_ms, alert.at_ms)
    one = {
        "status": status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": rfc3339(began_ms),
        "endsAt": rfc3339(alert.at_ms) if status == "resolved" else NEVER,
        "generatorURL": "",
        "fingerprint": alert.fingerprint,
    }
    return {
        "version": "4",
        "groupKey": alert.fingerprint,
        "truncatedAlerts": 0,
        "status": status,
        "receiver": receiver,
        "groupLabels": {"alertname": alert.alert},
        "commonLabels": labels,
        "commonAnnotations": {},
        "externalURL": "",
        "alerts": [one],
    }


def read(fields: Mapping[str, Node], name: str) -> Webhook:
    """The channel of an entry of the channels file.

    :raises ConfigError: the URL or the secrets cannot be used; no message quotes them.
    """
    return Webhook(name, http_url(fields["url"]), _secrets(fields))


def _secrets(fields: Mapping[str, Node]) -> tuple[bytes, ...]:
    node, words = secret.read(fields, fields["url"], SECRET_FIX)
    return tuple(_decoded(node, word) for word in words.split())


def _decoded(node: Node, word: str) -> bytes:
    try:
        key = base64.b64decode(word.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not word.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:
        raise node.error("a secret cannot be used", SECRET_FIX)
    return key
