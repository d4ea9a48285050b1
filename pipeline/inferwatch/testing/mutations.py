"""Records gone bad: bytes and documents changed a little, the same for the same seed.

Bytes are flipped, cut, doubled, spliced; a document is taken apart, one value of it replaced by
something hard, and written again, so that the change survives the parser and reaches what is behind
it. A column (raw array) gets extreme numbers of its own width.
"""

import json
import struct
from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec

from inferwatch.records.raw import JSON, MSGPACK, RawRecord

NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 127, 255, 65_535, 1 << 31, 1 << 53, 1 << 62, (1 << 63) - 1, -(1 << 63)),
    *((1 << 64) - 1, -0.0, 0.1, 1e-320, 1e38, 1e308, -1e308, 1_700_000_000, 1_700_000_000_000),
)
ODD: tuple[Any, ...] = (
    *(None, True, False, "", " ", "0", "1", "NaN", "\x00", "a\nb", "ÿ", "\u202e", "é", "é"),
    *("__other__", "*", "feature.*", "feature.", "x" * 9_000, [], {}, [[]], [None], {"": None}),
    *({"kind": "numbers"}, [1, "a", None], b"", b"\xff" * 8, "../../x", "{0.__class__}", "a|b|c"),
)
TOKENS = (
    *(b"NaN", b"-Infinity", b"1e999", b"-0.0", b"9223372036854775808", b"1" * 40, b"null", b"true"),
    *(b'"\\ud800"', b'"\\u0000"', b"{}", b"[]", b'"', b"\\", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc0"),
    *(
        b"[" * 40,
        b'{"a":' * 20,
        b",",
        b":",
        b"\x00",
        b"\xc1",
        b"\xdf\xff\xff\xff\xff",
        b"- ",
        b"&a",
    ),
)
ITEMS = (
    *(b"\x00" * 8, b"\xff" * 8, struct.pack("<q", -(1 << 63)), struct.pack("<q", (1 << 63) - 1)),
    *(struct.pack("<d", value) for value in (float("nan"), float("inf"), -1e308, 5e-324)),
    *(struct.pack("<ff", value, -value) for value in (float("inf"), 3e38, 1e-45)),
    *(struct.pack("<ii", 2**31 - 1, -(2**31)), struct.pack("<ii", -2, 1 << 20)),
    *(struct.pack("<q", 1_700_000_000), struct.pack("<q", 253_402_300_799_000)),
)
CONTENT_TYPES = (
    *(
        JSON.encode(),
        MSGPACK.encode(),
        b"application/cloudevents+json",
        b"text/plain",
        b"",
        b"\xff",
    ),
    *(b"application/json; charset=utf-16", b"APPLICATION/MSGPACK"),
)
TYPES = (
    *(
        f"io.inferwatch.{word}.v1".encode()
        for word in ("inference", "label", "resource", "deploy", "verdict", "monitor", "skip")
    ),
    *(f"io.inferwatch.{word}.v1".encode() for word in ("tick", "window", "alert", "weather", "")),
    *(b"io.inferwatch.inference.v2", b"io.inferwatch.label.vabc", b"io.inferwatch.inference.v1.7"),
    *(b"com.example.thing.v1", b"", b"io.inferwatch.inference", b"\xff\xfe"),
)


def record(draw: Random, raw: RawRecord, others: Sequence[RawRecord]) -> RawRecord:
    """`raw` with one to three things wrong; bytes of `others` may be spliced into it."""
    for _ in range(1 + int(draw.random() * draw.random() * 4)):
        raw = _once(draw, raw, others)
    return raw


def _once(draw: Random, raw: RawRecord, others: Sequence[RawRecord]) -> RawRecord:
    chance = draw.random()
    if chance < 0.6:
        value = document(draw, raw.value or b"", packed=is_packed(raw))
        return msgspec.structs.replace(raw, value=value)
    if chance < 0.86:
        other = draw.choice(others).value or b""
        return msgspec.structs.replace(raw, value=mangled(draw, raw.value or b"", other))
    if chance < 0.96:
        return msgspec.structs.replace(raw, headers=_headers(draw, raw.headers))
    if chance < 0.98:
        return msgspec.structs.replace(raw, key=_key(draw, raw.key))
    time_ms = draw.choice((-1, 0, 1, raw.time_ms + 10**9, raw.time_ms - 10**10, 1 << 62))
    return msgspec.structs.replace(raw, time_ms=time_ms)


def is_packed(raw: RawRecord) -> bool:
    """Whether the record says that it is msgpack."""
    return raw.headers.get("content-type") == MSGPACK.encode()


def _headers(draw: Random, headers: dict[str, bytes]) -> dict[str, bytes]:
    found = dict(headers)
    name = draw.choice(("content-type", "ce_type", "ce_type", "inferwatch-from", "ce_id", "x"))
    if draw.random() < 0.15:
        found.pop(name, None)
    elif name == "content-type":
        found[name] = draw.choice(CONTENT_TYPES)
    elif name == "ce_type":
        found[name] = draw.choice(TYPES)
    elif name == "inferwatch-from":
        found[name] = draw.choice((b"0@5", b"@", b"-1@-1", b"9" * 40 + b"@" + b"9" * 40, b"\xff@1"))
    else:
        found[name] = draw.randbytes(int(draw.random() * 40))
    return found


def _key(draw: Random, key: bytes | None) -> bytes | None:
    return draw.choice((None, b"", b"other", b"\xff", (key or b"") + b"\x00", (key or b"").upper()))


def mangled(draw: Random, data: bytes, other: bytes = b"") -> bytes:
    """`data` as a faulty sender or disk leaves it."""
    size = len(data)
    at = int(draw.random() * (size + 1))
    end = min(size, at + 1 + int(draw.random() ** 4 * 64))
    match int(draw.random() * 8):
        case 0:  # a bit
            place = min(at, size - 1)
            return (
                data[:place]
                + bytes([data[place] ^ 1 << int(draw.random() * 8)])
                + data[place + 1 :]
                if size
                else b"\x00"
            )
        case 1:  # a byte
            return data[:at] + bytes([int(draw.random() * 256)]) + data[at + 1 :]
        case 2:
            return data[:at]
        case 3:
            return data[:at] + data[end:]
        case 4:
            return data[:end] + data[at:end] * (1 + int(draw.random() * 3)) + data[end:]
        case 5:
            return data[:at] + draw.choice(TOKENS) + data[at:]
        case 6:
            return data[:at] + draw.choice(TOKENS) + data[end:]
        case _:
            cut = int(draw.random() * (len(other) + 1))
            return data[:at] + other[cut : cut + 200] + data[at:]


def document(draw: Random, data: bytes, *, packed: bool) -> bytes:
    """`data` with one value of the document changed; other bytes where it is no document."""
    try:
        tree = msgspec.msgpack.decode(data) if packed else json.loads(data)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return mangled(draw, data)
    tree = _changed(draw, tree)
    try:
        return msgspec.msgpack.encode(tree) if packed else json.dumps(tree).encode()
    except (TypeError, ValueError, OverflowError):  # bytes in JSON, integers beyond msgpack
        return mangled(draw, data)


def _changed(draw: Random, node: Any) -> Any:
    """One place of the tree replaced, renamed, doubled or taken away."""
    inside = isinstance(node, dict | list) and len(node) > 0
    if not inside or draw.random() < 0.1:
        return _other(draw, node)
    if isinstance(node, list):
        at = int(draw.random() * len(node))
        if draw.random() < 0.1:
            return node[:at] + node[at + 1 :]
        if draw.random() < 0.1:
            return [*node, node[at]]
        return [*node[:at], _changed(draw, node[at]), *node[at + 1 :]]
    name = draw.choice(list(node))
    if draw.random() < 0.06:
        return {key: value for key, value in node.items() if key != name}
    if draw.random() < 0.06:
        renamed = draw.choice(("", "x", "kind", "model", "a.b", f"{name}s"))
        return {(renamed if key == name else key): value for key, value in node.items()}
    return node | {name: _changed(draw, node[name])}


def _other(draw: Random, value: Any) -> Any:
    if isinstance(value, bytes) and draw.random() < 0.9:
        return _column(draw, value)
    if isinstance(value, bool | str) or value is None or draw.random() < 0.3:
        return draw.choice(ODD + NUMBERS)
    if isinstance(value, int | float):
        return draw.choice((*NUMBERS, -value, value + 1, value * 1_000, float(value), str(value)))
    return draw.choice(ODD)


def _column(draw: Random, data: bytes) -> bytes:
    """A raw array: other items of the same width, or a wrong length."""
    chance, size = draw.random(), len(data)
    if chance < 0.6 and size >= 4:
        width = 8 if size % 8 == 0 else 4
        at = int(draw.random() * (size // width)) * width
        return data[:at] + draw.choice(ITEMS)[:width] + data[at + width :]
    if chance < 0.7:
        return (draw.choice(ITEMS) * (size // 8 + 1))[:size]
    if chance < 0.85:
        return draw.randbytes(size)
    return draw.choice((data[:-1], data + b"\x00", data * 2, data[: size // 2], b""))
