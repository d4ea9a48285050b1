"""Headers of the records that a worker itself writes to the log."""

from datetime import UTC, datetime

from inferwatch.records.raw import JSON, headers


def described(word: str, id_: str) -> dict[str, bytes]:
    """Of a record `word` that is known by `id_`; without one, by its time."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return headers(word, id=id_ or now, source="inferwatch/worker", time=now, content_type=JSON)
