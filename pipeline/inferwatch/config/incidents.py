"""Incident files: when which model was known to be wrong, for alerts to be scored by."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from inferwatch.config import document
from inferwatch.config.document import Node, suggestion
from inferwatch.errors import ConfigError

KEYS = ("model", "from", "to", "alert", "version", "segment", "name")
REQUIRED = ("model", "from")
TIME_FIX = "write 2026-01-31T12:00Z; without a zone it is UTC"


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was wrong with models from `from_ms` to `to_ms` of event time (excluded).

    `model` and `alert` are globs: whose incident it is, and which of the rules should find it.
    `version` and `segment` are "" where it was in all of them, `to_ms` is None while it lasts.
    `place` is where it stands in its file, of each another.
    """

    place: str
    model: str
    from_ms: int
    to_ms: int | None = None
    alert: str = "*"
    version: str = ""
    segment: str = ""
    name: str = ""


def read(path: Path) -> list[Incident]:
    """The incidents of a CSV file with a head, or of a YAML file, in its order.

    :raises ConfigError: naming file, line, key and the fix.
    """
    rows = _csv(path) if path.suffix == ".csv" else _yaml(path)
    return [_incident(line, fields) for line, fields in rows]


def _yaml(path: Path) -> Iterator[tuple[Node, dict[str, Node]]]:
    listed = document.read(path).fields(("incidents",), required=("incidents",))["incidents"]
    for item in listed.items():
        yield item, item.fields(KEYS, REQUIRED)


def _csv(path: Path) -> Iterator[tuple[Node, dict[str, Node]]]:
    """Rows by the names in the first one; an empty cell says nothing."""
    heads: list[str] = []
    for line, cells in _lines(path):
        row = Node(cells, str(path), line, "")
        if not heads:
            heads = [cell.strip() for cell in cells]
            _check_heads(row, heads)
            continue
        if len(cells) > len(heads):
            raise row.error(f"has {len(cells)} cells of {len(heads)}", "quote a cell with commas")
        found = {
            name: Node(cell.strip(), str(path), line, name)
            for name, cell in zip(heads, cells, strict=False)
            if cell.strip()
        }
        for name in REQUIRED:
            if name not in found:
                raise row.error(f"'{name}' is empty", "fill it in")
        yield row, found
    if not heads:
        row = Node([], str(path), 1, "")
        raise row.error("is empty", f"begin with {','.join(KEYS)}")


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line that has any."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
        raise ConfigError(why, file=str(path), fix="check the path") from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8", file=str(path), fix="save it as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        line = reader.line_num
        raise ConfigError(f"not CSV: {error}", file=str(path), line=line, fix="mend it") from None


def _check_heads(row: Node, heads: list[str]) -> None:
    for name in heads:
        if name not in KEYS:
            apart = any(mark in name for mark in ";\t")
            fix = "put commas between columns" if apart else suggestion(name, KEYS)
            raise row.error(f"unknown column '{name}'", fix)
        if heads.count(name) > 1:
            raise row.error(f"column '{name}' is there twice", "leave one of the two out")
    for name in REQUIRED:
        if name not in heads:
            raise row.error(f"column '{name}' is missing", f"begin with {','.join(KEYS)}")


def _incident(row: Node, fields: dict[str, Node]) -> Incident:
    times = {name: _time_ms(fields[name]) for name in ("from", "to") if name in fields}
    from_ms, to_ms = times["from"], times.get("to")
    if to_ms is not None and to_ms <= from_ms:
        raise fields["to"].error("does not lie behind `from`", "write when it was over, or nothing")
    words = ("model", "alert", "version", "segment", "name")
    given = {name: fields[name].text() for name in words if name in fields}
    if "=" not in given.get("segment", "="):
        raise fields["segment"].error("is no segment", "write column=value, as alerts have it")
    place = f"{row.file}:{row.line}" + (f" {row.key}" if row.key else "")
    return Incident(place=place, from_ms=from_ms, to_ms=to_ms, **given)


def _time_ms(node: Node) -> int:
    """ISO 8601, as text or as YAML has read it already; a date is its first moment."""
    value = node.value
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise node.error(f"'{value}' is no time", TIME_FIX) from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise node.error(f"{document.kind(value)} is no time", TIME_FIX)
    try:
        utc = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError:
        raise node.error(f"'{value}' lies outside of the calendar", TIME_FIX) from None
    return round(utc.timestamp() * 1000)
