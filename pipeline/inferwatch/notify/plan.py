"""Which transitions go to which channel, and what each channel has been told. No I/O, no clock.

A transition goes out where it changes what the channel knows: a firing alert, another severity,
the end of an alert that was told. `pending` and checks under `mode: observe` never go out, and
nothing that was not written by a live run. Nor does `no_data`: the check that found the silence
fires and tells it once, for all the alerts that it leaves open.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec.structs import replace

from inferwatch.records.notified import NotifiedRecord, Plan, merge
from inferwatch.records.outputs import AlertRecord, identity

Where = tuple[str, str]
TO_AND_FRO = frozenset({"limit_passed", "data_back", "recovered", "recovered_early"})
"""What an alert that flaps does again and again; its channel has had notice that it does."""


def idempotency_key(alert_id: str, channel: str) -> str:
    """Names one message: the same for every attempt, by whichever process."""
    return identity(alert_id, channel)


def due(alert: AlertRecord, told: NotifiedRecord | None) -> bool:
    """Whether a channel that was last told `told` must hear of `alert`."""
    if alert.mode == "observe":
        return False
    known = told.condition if told else "ok"
    if "flapping" in alert.flags and alert.reason in TO_AND_FRO:
        return False
    if alert.condition == "ok":
        return known != "ok"
    if "silenced" in alert.flags:
        return False
    if alert.condition == "firing":
        return known != "firing" or (told is not None and told.severity != alert.severity)
    return False


class Ledger:
    """What every channel was told and is still to be told. About 300 bytes an alert and channel."""

    def __init__(self, channels: Sequence[str]) -> None:
        self._channels = tuple(channels)
        self._records: dict[Where, NotifiedRecord] = {}
        self._seen: dict[str, int] = {}

    def restore(self, records: Iterable[NotifiedRecord]) -> None:
        """Take in what all writers before left."""
        left: dict[Where, list[NotifiedRecord]] = {}
        for record in records:
            left.setdefault((record.fingerprint, record.channel), []).append(record)
        for where, found in left.items():
            record = self._records[where] = merge(found)
            self._saw(record.fingerprint, record.seq)

    def unfinished(self) -> list[tuple[str, Plan]]:
        """Every plan without a result, by channel, in the order in which alerts were told."""
        found = [
            (channel, plan)
            for (_, channel), record in self._records.items()
            if channel in self._channels
            for plan in record.plans
        ]
        return sorted(found, key=lambda pair: (pair[1].at_ms, pair[1].alert.seq))

    def told(self, alert: AlertRecord, channel: str) -> bool:
        """Whether the channel was last told, or is to be told, that the alert fires."""
        record = self._records.get((alert.fingerprint, channel))
        return record is not None and record.condition == "firing"

    def plan(self, alert: AlertRecord, at_ms: int) -> list[NotifiedRecord]:
        """The records to write before `alert` is sent; the last plan of each is the new one.

        Empty where the transition is a repeat, is older than one already seen, or concerns nobody.
        """
        if alert.seq <= self._seen.get(alert.fingerprint, 0):
            return []
        self._saw(alert.fingerprint, alert.seq)
        return [
            self._planned(channel, alert, at_ms)
            for channel in self._channels
            if due(alert, self._records.get((alert.fingerprint, channel)))
        ]

    def finish(
        self, channel: str, plan: Plan, result: Literal["sent", "rejected"], reason: str = ""
    ) -> NotifiedRecord:
        """The record to write once `plan` has its result; older plans are overtaken by it."""
        where = (plan.alert.fingerprint, channel)
        record, seq = self._records[where], plan.alert.seq
        left = [other for other in record.plans if other.alert.seq > seq]
        self._records[where] = replace(record, done=seq, result=result, reason=reason, plans=left)
        return self._records[where]

    def _planned(self, channel: str, alert: AlertRecord, at_ms: int) -> NotifiedRecord:
        where = (alert.fingerprint, channel)
        plan = Plan(key=idempotency_key(alert.id, channel), at_ms=at_ms, alert=alert)
        before = self._records.get(where) or NotifiedRecord(
            fingerprint=alert.fingerprint,
            channel=channel,
            seq=0,
            condition=alert.condition,
            severity=alert.severity,
        )
        self._records[where] = replace(
            before,
            seq=alert.seq,
            condition=alert.condition,
            severity=alert.severity,
            plans=[*before.plans, plan],
        )
        return self._records[where]

    def _saw(self, fingerprint: str, seq: int) -> None:
        self._seen[fingerprint] = max(seq, self._seen.get(fingerprint, 0))
