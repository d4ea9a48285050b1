"""The dead letters: read, looked at, and sent again once their cause is gone.

A letter that was sent again keeps the place of its original in a header, by which the fold takes
it once, however often it is sent: as with a record that came into the wrong partition.
"""

from collections.abc import Iterator, Sequence

import msgspec

from inferwatch.connection import Connection
from inferwatch.core.output import (
    ATTEMPTS,
    BODY_HERE,
    ERROR_HEADERS,
    FIRST_SEEN,
    FORWARDED,
)
from inferwatch.records.raw import RawRecord
from inferwatch.replay.log import LogReader


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter. `at_ms` is its own record time, `time_ms` that of the record it is about.

    `row` is the first of `rows` rows of a batch, -1 where it is all of the record. `body` says
    whether the bytes are there ("here"), or why not; `place` is where the letter itself stands.
    """

    id: str
    reason: str
    detail: str
    stage: str
    key: str
    topic: str
    partition: int
    offset: int
    time_ms: int
    at_ms: int
    row: int
    rows: int
    attempts: int
    first_seen_ms: int
    version: str
    body: str
    size_bytes: int
    place: tuple[int, int]


def read(connection: Connection, since_ms: int = 0) -> list[Letter]:
    """Every letter once, the newest first. Cost: the topic is read from its head.

    :raises TransientError: no broker answers.
    :raises ConfigError: there is no such topic.
    """
    found: dict[str, Letter] = {}
    with LogReader(connection, "dlq.v1") as reader:
        for raw in reader.read_all():
            letter = _letter(raw)
            known = found.get(letter.id)
            # a crash may have sent one twice, under the quota once with its bytes
            if raw.time_ms >= since_ms and not (known and known.body == BODY_HERE):
                found[letter.id] = letter
    return sorted(found.values(), key=lambda letter: (-letter.at_ms, letter.id))


def original(connection: Connection, letter: Letter) -> RawRecord | None:
    """The record that a letter is about, as it came; None where its bytes are nowhere any more."""
    if letter.body == BODY_HERE:
        with LogReader(connection, "dlq.v1") as reader:
            partition, offset = letter.place
            for raw in reader.read(partition, offset, offset + 1):
                return _unwrapped(raw)
        return None
    return _from_log(connection, letter)


def _from_log(connection: Connection, letter: Letter) -> RawRecord | None:
    """Where only a pointer was kept: the record itself, while the events topic still has it."""
    name = letter.topic.removeprefix(connection.prefix)
    with LogReader(connection, name) as reader:
        if letter.partition not in reader.partitions():
            return None
        low, high = reader.ends(letter.partition)
        if not low <= letter.offset < high:
            return None
        for raw in reader.read(letter.partition, letter.offset, letter.offset + 1):
            return raw
    return None


def refusal(connection: Connection, letter: Letter) -> str:
    """Why a letter cannot be sent again, "" where it can."""
    if letter.topic != connection.topic("events.v1"):
        return f"it is about {letter.topic}, not about events"
    if letter.row >= 0:
        return f"{letter.rows} rows of a batch whose other rows are counted: send those rows anew"
    return ""


def again(raw: RawRecord, letter: Letter) -> RawRecord:
    """The record as it is sent again: bytes, key and headers as they came, and who it is."""
    headers = raw.headers | {
        FORWARDED: raw.headers.get(FORWARDED) or f"{letter.partition}@{letter.offset}".encode(),
        ATTEMPTS: str(letter.attempts).encode(),
        FIRST_SEEN: str(letter.first_seen_ms).encode(),
    }
    return msgspec.structs.replace(raw, headers=headers)


def in_order(letters: Sequence[Letter]) -> list[Letter]:
    """As they stood in the log, so that labels follow their predictions again."""
    return sorted(letters, key=lambda letter: (letter.time_ms, letter.partition, letter.offset))


def _letter(raw: RawRecord) -> Letter:
    said = dict(_said(raw.headers))

    def number(name: str, otherwise: int) -> int:
        text = said.get(name, "")
        return int(text) if text.removeprefix("-").isdecimal() else otherwise

    return Letter(
        id=said.get("id", raw.name),
        reason=said.get("reason", "?"),
        detail=said.get("exception.message", ""),
        stage=said.get("stage", ""),
        key=(raw.key or b"").decode("utf-8", "replace"),
        topic=said.get("topic", ""),
        partition=number("partition", -1),
        offset=number("offset", -1),
        time_ms=number("timestamp", raw.time_ms),
        at_ms=raw.time_ms,
        row=number("row", -1),
        rows=number("rows", 1),
        attempts=number("attempts", 1),
        first_seen_ms=number("first_seen", raw.time_ms),
        version=said.get("version", ""),
        body=said.get("body", BODY_HERE),
        size_bytes=len(raw.value or b""),
        place=(raw.partition, raw.offset),
    )


def _said(headers: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        if name.startswith(ERROR_HEADERS):
            yield name.removeprefix(ERROR_HEADERS), value.decode("utf-8", "replace")


def _unwrapped(raw: RawRecord) -> RawRecord:
    """The record that the letter holds, without what the letter says of it."""
    headers = {
        name: value for name, value in raw.headers.items() if not name.startswith(ERROR_HEADERS)
    }
    return msgspec.structs.replace(raw, headers=headers)
