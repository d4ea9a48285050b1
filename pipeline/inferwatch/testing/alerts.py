"""Transitions of alerts as the fold writes them, for tests: what does not matter has a default."""

from typing import Any

from inferwatch.records.outputs import FOLD_VERSION, AlertRecord, alert_fingerprint, identity

TOLD_MS = 1_772_031_600_000
"""2026-02-25 15:00 UTC."""


def alert_record(
    seq: int = 1, condition: str = "firing", previous: str = "ok", **fields: Any
) -> AlertRecord:
    """One transition; id and fingerprint follow from the names, as the fold makes them."""
    named = {
        "alert": "RecallDrop",
        "model": "risk/fraud-scorer",
        "version": "12",
        "feature": "",
        "segment": "",
    } | fields
    fingerprint = alert_fingerprint(
        named["alert"], named["model"], named["version"], named["feature"], named["segment"]
    )
    filled = {
        "id": identity(fingerprint, seq, FOLD_VERSION),
        "fingerprint": fingerprint,
        "seq": seq,
        "severity": "critical",
        "condition": condition,
        "previous": previous,
        "reason": "limit_passed",
        "metric": "recall",
        "at_ms": TOLD_MS,
    }
    return AlertRecord(**(filled | named))
