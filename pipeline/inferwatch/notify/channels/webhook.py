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
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from inferwatch.config.document import Node
from inferwatch.notify import text
from inferwatch.notify.deliver import Outcome, Rejected, Retry, Sent
from inferwatch.records.notified import Plan
from inferwatch.records.outputs import AlertRecord

KEYS = ("url", "secret_file", "secret_env")
REQUIRED = ("url",)
TIMEOUT_S = 15.0
BODY_MAX_BYTES = 20_000
RETRY_AFTER_MAX_S = 86_400.0
SECRET_PREFIX = "whsec_"
SECRET_FIX = "write whsec_ and the base64 of 24 to 64 random bytes; several on lines of their own"
NEVER = "0001-01-01T00:00:00Z"
# what a client may cure by waiting, though it is called the client's error
PASSING = (408, 425, 429)
MOVED_FOR_NOW = (302, 303, 307)


@dataclass
class Webhook:
    """One receiver. Each of `secrets` signs, so that they can be rotated."""

    name: str
    url: URL = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    timeout_s: float = TIMEOUT_S
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)

    async def send(self, plan: Plan) -> Outcome:
        """One attempt."""
        now_s = time.time()
        payload = body(plan, self.name, round(now_s * 1000))
        if payload is None:
            return Rejected(f"its labels alone are more than {BODY_MAX_BYTES} bytes")
        headers = signature(plan.key, int(now_s), payload, self.secrets)
        try:
            async with self._open().post(
                self.url, data=payload, headers=headers, allow_redirects=False
            ) as response:
                return verdict(response.status, response.headers.get("Retry-After"), now_s)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return Retry(f"{self.url.host}: {type(error).__name__}")

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self.timeout_s),
                headers={"Content-Type": "application/json", "User-Agent": "inferwatch"},
                # one receiver's cookie is no business of its next answer
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def verdict(status: int, retry_after: str | None, now_s: float) -> Outcome:
    """What an answer means for the message."""
    reason = f"status {status}"
    if 200 <= status < 300:
        return Sent()
    if status in PASSING or status >= 500:
        return Retry(reason, _after_s(retry_after, now_s))
    if status in MOVED_FOR_NOW:
        return Retry(f"{reason}, and redirects are not followed")
    if 300 <= status < 400:
        return Rejected(f"{reason}: the receiver has moved, and redirects are not followed")
    return Rejected(reason, disables=status == 410)


def _after_s(header: str | None, now_s: float) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or a date; None where it says neither."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return min(float(header), RETRY_AFTER_MAX_S)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return min(max(0.0, at.timestamp() - now_s), RETRY_AFTER_MAX_S)


def signature(
    id_: str, timestamp_s: int, payload: bytes, secrets: Sequence[bytes]
) -> dict[str, str]:
    """The three headers by which a receiver knows the sender, and a repeat by its id."""
    signed = f"{id_}.{timestamp_s}.".encode() + payload
    found = [hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets]
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
        "startsAt": _rfc3339(began_ms),
        "endsAt": _rfc3339(alert.at_ms) if status == "resolved" else NEVER,
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


def labels_of(alert: AlertRecord) -> dict[str, str]:
    """Identity, for routing: never a number in it, and a check's own labels cannot replace ours."""
    ours = {
        "alertname": alert.alert,
        "severity": alert.severity,
        "model": alert.model,
        "version": alert.version,
        "feature": alert.feature,
        "segment": alert.segment,
        "source": "inferwatch",
    }
    return alert.labels | {name: value for name, value in ours.items() if value}


def annotations_of(plan: Plan, now_ms: int) -> dict[str, str]:
    """What was measured, and the message as text; a check's own annotations stand first."""
    alert = plan.alert
    window = alert.window
    known = {
        "summary": text.header(alert),
        "description": text.render(alert, plan.at_ms, now_ms),
        "condition": alert.condition,
        "reason": alert.reason,
        "value": alert.value,
        "threshold": alert.limit,
        "reference": alert.reference,
        "window_start": window and (window.start if window.rows else _rfc3339(window.start)),
        "window_end": window and (window.end if window.rows else _rfc3339(window.end)),
        "evidence": alert.first_bad,
        "alert_id": alert.id,
        "seq": alert.seq,
    }
    ours = {name: str(value) for name, value in known.items() if value not in (None, "")}
    return ours | alert.annotations


def _rfc3339(time_ms: int) -> str:
    at = datetime.fromtimestamp(time_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read(fields: Mapping[str, Node], name: str) -> Webhook:
    """The channel of an entry of the channels file.

    :raises ConfigError: the URL or the secrets cannot be used; no message quotes them.
    """
    return Webhook(name, _url(fields["url"]), _secrets(fields))


def _url(node: Node) -> URL:
    fix = "write https://host/path"
    try:
        url = URL(node.text())
    except ValueError:
        raise node.error("is no URL", fix) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise node.error("is no http URL", fix)
    if url.user is not None or url.password is not None:
        raise node.error("holds a password", "leave it out; the receiver verifies the signature")
    return url


def _secrets(fields: Mapping[str, Node]) -> tuple[bytes, ...]:
    given = [name for name in ("secret_file", "secret_env") if name in fields]
    if len(given) != 1:
        fix = "add `secret_file:` or `secret_env:`, and only one of them"
        raise fields["url"].error("the secret is not given once", fix)
    node = fields[given[0]]
    words = (_from_file if given[0] == "secret_file" else _from_environment)(node).split()
    if not words:
        raise node.error("holds no secret", SECRET_FIX)
    return tuple(_decoded(node, word) for word in words)


def _from_file(node: Node) -> str:
    path = Path(node.file).parent / node.text()
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise node.error(f"{path} cannot be read: {error.strerror}", "check the path") from None
    except UnicodeDecodeError:
        raise node.error(f"{path} is not UTF-8", SECRET_FIX) from None


def _from_environment(node: Node) -> str:
    name = node.text()
    if name not in os.environ:
        raise node.error(f"the variable {name} is not set", "set it to the secret")
    return os.environ[name]


def _decoded(node: Node, word: str) -> bytes:
    try:
        secret = base64.b64decode(word.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        secret = b""
    if not word.startswith(SECRET_PREFIX) or not 24 <= len(secret) <= 64:
        raise node.error("a secret cannot be used", SECRET_FIX)
    return secret
