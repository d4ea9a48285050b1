"""Alertmanager, API v2: it groups, inhibits, mutes and routes; we tell and repeat what fires.

Alertmanager forgets a firing alert that is not repeated. So each is sent every minute with an end
four beats ahead: a notifier that dies resolves its alerts by itself. An end is repeated for five
minutes, because a peer may have been away. Every peer of a cluster is told.

Reference: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from yarl import URL

from inferwatch.config.document import Node
from inferwatch.notify.deliver import Outcome, Rejected, Retry, Sent
from inferwatch.notify.http import Client, http_url
from inferwatch.notify.message import annotations_of, labels_of, rfc3339
from inferwatch.records.notified import Plan
from inferwatch.records.outputs import AlertRecord

KEYS = ("urls",)
REQUIRED = ("urls",)
BEAT_S = 60.0
BEATS_AHEAD = 4
ENDED_BEATS = 5
POST_ALERTS = 100

log = logging.getLogger("inferwatch.notifier")


class Standing(msgspec.Struct):
    """An alert as Alertmanager was told it; its labels are its identity there."""

    labels: dict[str, str]
    annotations: dict[str, str]
    began_ms: int
    ended_ms: int | None = None


@dataclass
class Alertmanager:
    """One Alertmanager, or the peers of a cluster: whoever takes an alert has it for all."""

    name: str
    urls: tuple[URL, ...]
    beat_s: float = BEAT_S
    client: Client = field(default_factory=Client, repr=False)
    _told: dict[tuple[str, str], Standing] = field(default_factory=dict, repr=False)
    _beat: asyncio.Task[None] | None = field(default=None, repr=False)

    async def send(self, plan: Plan) -> Outcome:
        """One attempt; what stands is repeated from then on."""
        now_ms = round(time.time() * 1000)
        changed = self._take(plan, now_ms)
        outcome = await self._post(changed.values(), now_ms)
        if isinstance(outcome, Rejected):
            for key in changed:
                self._told.pop(key, None)
        self._go_on(first_s=self.beat_s)
        return outcome

    async def resume(self, alerts: Sequence[AlertRecord]) -> None:
        """Repeat these, at once and from now on: the notifier before this one had told them."""
        now_ms = round(time.time() * 1000)
        for alert in alerts:
            plan = Plan(key=alert.id, at_ms=now_ms, alert=alert)
            self._told[_key(alert)] = _standing(plan, now_ms)
        self._go_on(first_s=0.0)

    async def close(self) -> None:
        """Repeat nothing more, and close the connections."""
        if self._beat is not None:
            self._beat.cancel()
            await asyncio.gather(self._beat, return_exceptions=True)
        await self.client.close()
        self._beat = None
        self._told = {}

    def _take(self, plan: Plan, now_ms: int) -> dict[tuple[str, str], Standing]:
        """What the transition changes: an alert begins or ends, under another severity too."""
        fingerprint, key = plan.alert.fingerprint, _key(plan.alert)
        begins = plan.alert.condition != "ok"
        for other, standing in self._told.items():
            if other[0] == fingerprint and standing.ended_ms is None:
                standing.ended_ms = now_ms
        if begins or key not in self._told:
            self._told[key] = _standing(plan, now_ms)
            self._told[key].ended_ms = None if begins else now_ms
        return {other: one for other, one in self._told.items() if other[0] == fingerprint}

    def _go_on(self, first_s: float) -> None:
        if self._beat is None and self._told:
            self._beat = asyncio.create_task(self._repeat(first_s))

    async def _repeat(self, wait_s: float) -> None:
        while True:
            await asyncio.sleep(wait_s)
            wait_s = self.beat_s
            now_ms = round(time.time() * 1000)
            forget_ms = now_ms - self.beat_s * 1000 * ENDED_BEATS
            for key, one in [*self._told.items()]:
                if one.ended_ms is not None and one.ended_ms < forget_ms:
                    del self._told[key]
            left = [*self._told.values()]
            for some in (left[at : at + POST_ALERTS] for at in range(0, len(left), POST_ALERTS)):
                outcome = await self._post(some, now_ms)
                if not isinstance(outcome, Sent):
                    log.warning("%s: %d alerts not repeated: %s", self.name, len(some), outcome)

    async def _post(self, alerts: Iterable[Standing], now_ms: int) -> Outcome:
        ahead_ms = round(self.beat_s * 1000 * BEATS_AHEAD)
        payload = msgspec.json.encode([_document(one, now_ms, ahead_ms) for one in alerts])
        places = [url / "api" / "v2" / "alerts" for url in self.urls]
        outcomes = await asyncio.gather(*(self.client.post(url, payload) for url in places))
        for kind in (Sent, Retry, Rejected):  # the best of them: the others hear the next beat
            for outcome in outcomes:
                if isinstance(outcome, kind):
                    return outcome
        raise AssertionError("no URL")


def _key(alert: AlertRecord) -> tuple[str, str]:
    """An alert of another severity is another alert there."""
    return alert.fingerprint, alert.severity


def _standing(plan: Plan, now_ms: int) -> Standing:
    alert = plan.alert
    began_ms = alert.at_ms if alert.began_ms is None else min(alert.began_ms, alert.at_ms)
    return Standing(labels_of(alert), annotations_of(plan, now_ms), min(began_ms, now_ms))


def _document(one: Standing, now_ms: int, ahead_ms: int) -> dict[str, Any]:
    return {
        "labels": one.labels,
        "annotations": one.annotations,
        "startsAt": rfc3339(one.began_ms),
        "endsAt": rfc3339(now_ms + ahead_ms if one.ended_ms is None else one.ended_ms),
    }


def read(fields: Mapping[str, Node], name: str) -> Alertmanager:
    """The channel of an entry of the channels file.

    :raises ConfigError: there is no URL, or one cannot be used.
    """
    urls = tuple(http_url(node) for node in fields["urls"].items())
    if not urls:
        raise fields["urls"].error("is empty", "write `- http://alertmanager:9093`")
    return Alertmanager(name, urls)
