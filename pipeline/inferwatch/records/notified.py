"""What `notified.v1` holds: for each alert and channel, what was sent and what is still to be sent.

A record replaces the one before it under its key. Several writers may have left one each: `merge`
makes them one, because `done` and `seq` only grow.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from inferwatch.errors import DataError, Reason
from inferwatch.records.outputs import AlertRecord, Condition, Severity


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one channel.

    `key` is the same on every repeat; `at_ms` is the record time of the transition.
    """

    key: str
    at_ms: int
    alert: AlertRecord


class NotifiedRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where one channel stands with one alert.

    `seq`, `condition` and `severity` are those of the last transition planned. Every plan up to the
    transition `done` is finished: sent, given up, or overtaken by a later one; `plans` are the
    rest.
    """

    fingerprint: str
    channel: str
    seq: int
    condition: Condition
    severity: Severity
    done: int = 0
    result: Literal["", "sent", "rejected"] = ""
    reason: str = ""
    plans: list[Plan] = []


def key(fingerprint: str, channel: str, writer: str) -> bytes:
    """The record's key: a late writer cannot replace what its successor wrote."""
    return "|".join((fingerprint, channel, writer)).encode()


def read(value: bytes) -> NotifiedRecord:
    """The record of a value that is no tombstone.

    :raises DataError: it is damaged, or none of ours.
    """
    try:
        return msgspec.json.decode(value, type=NotifiedRecord)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(Reason.SCHEMA_INVALID, str(error)) from None


def merge(records: Iterable[NotifiedRecord]) -> NotifiedRecord:
    """One record out of those that different writers left for the same alert and channel."""
    found = list(records)
    newest = max(found, key=lambda record: (record.seq, record.done))
    furthest = max(found, key=lambda record: record.done)
    plans = {plan.alert.seq: plan for record in found for plan in record.plans}
    return msgspec.structs.replace(
        newest,
        done=furthest.done,
        result=furthest.result,
        reason=furthest.reason,
        plans=[plans[seq] for seq in sorted(plans) if seq > furthest.done],
    )
