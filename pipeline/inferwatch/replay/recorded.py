"""What a replay wrote, read back: when which alert fired, and which time was watched."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from inferwatch.errors import UsageError
from inferwatch.records.outputs import AlertRecord, Span
from inferwatch.replay.driver import Summary

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """An alert from when it fires until it is `ok` again: a gap in data does not end it.

    Event time in ms, but for `told_ms`: by the clock of the log, when the record that made it fire
    was read. From `began_ms` to `at_ms` is the stretch that it was judged by; `end_ms` is None
    where it fires to the end.
    """

    model: str
    alert: str
    version: str
    feature: str
    segment: str
    observed: bool
    began_ms: int
    at_ms: int
    told_ms: int
    end_ms: int | None = None

    def rule(self) -> tuple[str, str]:
        """Model and alert."""
        return self.model, self.alert


class Recorded(msgspec.Struct, frozen=True):
    """A replay's folder.

    `watched` is by model the event time of its first and last row in a window, `versions` and
    `segments` are by model those of its windows; `rules` are by model the alerts of its definition
    and those that moved, in order; `unjudged` is the summary's.
    """

    folder: Path
    firings: list[Firing]
    watched: dict[str, tuple[int, int]]
    rules: dict[str, list[str]]
    unjudged: dict[str, dict[str, str]]
    versions: dict[str, list[str]] = {}
    segments: dict[str, list[str]] = {}


class Told(msgspec.Struct, frozen=True):
    """A line of `told.jsonl`."""

    id: str
    told_ms: int


class Extent(msgspec.Struct, frozen=True):
    """Of a window's record, where its rows lie and of what they are."""

    model: str
    window: Span
    version: str = ""
    segment: str = ""
    from_ms: int | None = None
    to_ms: int | None = None

    def span_ms(self) -> tuple[int, int]:
        """Event time of its rows; those of a window of rows may be of one moment."""
        if self.from_ms is None or self.to_ms is None:
            return self.window.start, self.window.end
        return self.from_ms, self.to_ms


def read(folder: Path) -> Recorded:
    """A folder that `inferwatch replay` wrote. Memory: its alerts; windows are read one by one.

    :raises UsageError: it is no such folder, or not whole.
    """
    summary = _summary(folder)
    told_ms = {one.id: one.told_ms for one in lines(folder, "told", Told)}
    records = list(lines(folder, "alerts", AlertRecord))
    if not all(record.id in told_ms for record in records):
        raise UsageError(f"{folder / 'told.jsonl'} is not of these alerts; run the replay again")
    watched: dict[str, tuple[int, int]] = {}
    versions: dict[str, dict[str, None]] = {}
    segments: dict[str, dict[str, None]] = {}
    windows = 0
    for extent in lines(folder, "windows", Extent):
        windows += 1
        first, last = extent.span_ms()
        low, high = watched.get(extent.model, (first, last))
        watched[extent.model] = min(low, first), max(high, last)
        versions.setdefault(extent.model, {})[extent.version] = None
        segments.setdefault(extent.model, {})[extent.segment] = None
    _check_whole(folder, "alerts", len(records), summary.alerts)
    _check_whole(folder, "windows", windows, summary.windows)
    rules = {name: set(alerts) for name, alerts in summary.checks.items()}
    for record in records:
        rules.setdefault(record.model, set()).add(record.alert)
    named = {name: sorted(alerts) for name, alerts in sorted(rules.items())}
    return Recorded(
        folder,
        firings(records, told_ms),
        watched,
        named,
        summary.unjudged,
        {model: list(found) for model, found in versions.items()},
        {model: list(found) for model, found in segments.items()},
    )


def _summary(folder: Path) -> Summary:
    path = folder / "summary.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Summary)
    except OSError:
        raise UsageError(f"{folder} holds no whole replay: there is no {path.name}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}; run the replay again") from None


def _check_whole(folder: Path, name: str, read: int, written: int) -> None:
    if read != written:
        path = folder / f"{name}.jsonl"
        raise UsageError(f"{path} has {read:,} lines of {written:,}; run the replay again")


def lines(folder: Path, name: str, kind: type[T]) -> Iterator[T]:
    """The records in `NAME.jsonl`.

    :raises UsageError: it is not there, or a line is no such record.
    """
    path, decoder = folder / f"{name}.jsonl", msgspec.json.Decoder(kind)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    yield decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise UsageError(f"{path}:{number}: {error}; run the replay again") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; run the replay again") from None


def firings(records: Iterable[AlertRecord], told_ms: Mapping[str, int]) -> list[Firing]:
    """Each firing once, in the order of event time, whatever the order of `records`.

    One that began before the first record is left out. `told_ms` is by the records' ids.
    """
    found: list[Firing] = []
    opened: dict[str, Firing] = {}
    for one in sorted(records, key=lambda record: (record.fingerprint, record.seq)):
        key = one.fingerprint
        if one.condition == "ok" and key in opened:
            found.append(msgspec.structs.replace(opened.pop(key), end_ms=one.at_ms))
        elif one.condition == "firing" and one.previous != "firing" and key not in opened:
            opened[key] = _begun(one, told_ms[one.id])
    return sorted([*found, *opened.values()], key=order)


def _begun(record: AlertRecord, told_ms: int) -> Firing:
    began_ms = record.at_ms if record.began_ms is None else record.began_ms
    return Firing(
        model=record.model,
        alert=record.alert,
        version=record.version,
        feature=record.feature,
        segment=record.segment,
        observed=record.mode == "observe",
        began_ms=min(began_ms, record.at_ms),
        at_ms=record.at_ms,
        told_ms=told_ms,
    )


def grouped(found: Iterable[T], by: Callable[[T], K]) -> dict[K, list[T]]:
    """All of each key, in their order."""
    groups: dict[K, list[T]] = {}
    for one in found:
        groups.setdefault(by(one), []).append(one)
    return groups


def order(one: Firing) -> tuple[Any, ...]:
    """By when it fired, then by its names."""
    return one.at_ms, one.model, one.alert, one.version, one.feature, one.segment
