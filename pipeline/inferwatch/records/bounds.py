"""JSON as strangers send it: limits that are checked on the bytes, and errors by their reason.

A parser alone would let a small record cost much, would keep the last of two values that have one
name, and would turn integers beyond 64 bits into something else. Cost: three
times that of the parser for an event of 800 bytes that is plainly within all limits, fifteen times
for one that has to be scanned.
"""

import math
import re
from typing import Any

import msgspec

from inferwatch.errors import DataError, Reason

SIZE_MAX_BYTES = 262_144
DEPTH_MAX = 16
FIELDS_MAX = 512
STRING_MAX_BYTES = 8_192
INT_END = 1 << 63
_STRING = rb'"([^"\\]*+(?:\\.[^"\\]*+)*+)("?)(\s*+:)?'  # possessive: linear, whatever the quotes
_BRACKET = rb"([\[\]{}])"
_LONG_INTEGER = rb"(?<![\w.+-])(-?\d{19,}+)(?![.eE])"
_NUMBER = rb"-?(?:NaN|Infinity|\d++(?:\.\d++)?(?:[eE][+-]?\d++)?)"
_SCAN = re.compile(b"|".join((_STRING, _BRACKET, _LONG_INTEGER)), re.DOTALL)
_ZEROS = bytes(ord("0") if chr(byte) in "123456789" else byte for byte in range(256))
_LONG_RUN = b"0" * 19
_FRACTION = b"." + b"0" * 17  # digits behind a point are no integer, however many
_NO_COLON = (b",", b"}", b"]")  # white space may be before a colon
_NUMBERS = re.compile(b"|".join((_STRING, _BRACKET, _NUMBER)), re.DOTALL)


def check(body: bytes, size_max_bytes: int = SIZE_MAX_BYTES, fields_max: int = FIELDS_MAX) -> None:
    """Reject what is too large, too deep, ambiguous or no UTF-8, before anything is parsed.

    :raises DataError: naming the limit.
    """
    if len(body) > size_max_bytes:
        raise DataError(Reason.TOO_LARGE, f"{len(body)} bytes, at most {size_max_bytes}")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(Reason.BAD_UTF8, f"byte {error.start} is not UTF-8") from None
    if not _plain(body, fields_max):
        _scan(body, fields_max)


def _plain(body: bytes, fields_max: int) -> bool:
    """Whether counting alone shows that UTF-8 text is within every limit; False proves nothing.

    Without a backslash every quote begins or ends a string, so the pieces between quotes are the
    text outside and inside of strings in turn. Names that are different in the whole text are so in
    each object of it.
    """
    if b"\\" in body or body.count(b":") > fields_max:
        return False
    digits = body.translate(_ZEROS).replace(_FRACTION, b".")
    if body.count(b"{") + body.count(b"[") > DEPTH_MAX or _LONG_RUN in digits:
        return False
    pieces = body.split(b'"')
    if len(pieces) % 2 == 0:
        return False  # a string does not end
    strings = pieces[1::2]
    if len(body) > STRING_MAX_BYTES and max(map(len, strings), default=0) > STRING_MAX_BYTES:
        return False
    if len(set(strings)) == len(strings):
        return True
    names = [
        text
        for text, behind in zip(strings, pieces[2::2], strict=True)
        if behind[:1] not in _NO_COLON
    ]
    return len(set(names)) == len(names)


def _scan(body: bytes, fields_max: int) -> None:
    objects: list[dict[bytes, None]] = [{}]
    for text, quote, colon, bracket, integer in _SCAN.findall(body):
        if quote:
            if len(text) > STRING_MAX_BYTES:
                raise DataError(Reason.TOO_LARGE, f"a string above {STRING_MAX_BYTES} bytes")
            if colon:
                _add_key(objects[-1], text, fields_max)
        elif bracket in (b"{", b"["):
            objects.append({})
            if len(objects) > DEPTH_MAX + 1:
                raise DataError(Reason.DEPTH, f"nested deeper than {DEPTH_MAX}")
        elif bracket:
            if len(objects) > 1:
                objects.pop()
        elif not integer:
            raise DataError(Reason.NOT_JSON, "a string does not end")
        elif len(integer) > 20 or not -INT_END <= int(integer) < INT_END:
            digits = integer[:24].decode()
            raise DataError(Reason.INT_RANGE, f"the integer {digits}… is beyond 64 bits")


def _add_key(keys: dict[bytes, None], text: bytes, fields_max: int) -> None:
    if b"\\" in text:  # one name can be escaped in several ways
        try:
            text = msgspec.json.decode(b'"' + text + b'"', type=str).encode()
        except msgspec.DecodeError as error:
            raise DataError(Reason.NOT_JSON, str(error)) from None
    if text in keys:
        raise DataError(Reason.DUPLICATE_KEY, f"{text.decode()!r} is there twice")
    keys[text] = None
    if len(keys) > fields_max:
        raise DataError(Reason.TOO_MANY_FIELDS, f"an object with more than {fields_max} fields")


def parse(decoder: Any, body: bytes) -> Any:
    """What `body` says to a msgspec decoder. A feature that is NaN or infinite spoils no row.

    :raises DataError: with the reason and the field.
    """
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        finite = _finite(body) if _may_be_non_finite(body, error) else body
        if finite is body:
            raise named(error, Reason.NOT_JSON) from None
    try:
        return decoder.decode(finite)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise named(error, Reason.NOT_JSON) from None


def _may_be_non_finite(body: bytes, error: Exception) -> bool:
    return b"NaN" in body or b"Infinity" in body or "out of range" in str(error)


def _finite(body: bytes) -> bytes:
    """`body` with NaN features as null, and infinite ones as what float32 holds as infinite.

    NaN, Infinity and 1e999 are no JSON, but many writers send them.

    :raises DataError: `non_finite`, for such a number that is no feature.
    """
    places: list[bytes] = []
    key, end, pieces = b"", 0, []
    for token in _NUMBERS.finditer(body):
        text, _, colon, bracket = token.groups()
        if text is not None:
            key = text if colon else key
        elif bracket in (b"{", b"["):
            places.append(key)
        elif bracket:
            places = places[:-1]
        elif not math.isfinite(number := float(token[0])):
            if not places or places[-1] != b"features":
                reason = Reason.LABEL_INVALID if key == b"label" else Reason.NON_FINITE
                raise DataError(reason, f"{key[:80].decode('utf-8', 'replace')!r} is not finite")
            word = b"null" if math.isnan(number) else b"1e308" if number > 0 else b"-1e308"
            pieces += [body[end : token.start()], word]
            end = token.end()
    return b"".join([*pieces, body[end:]]) if pieces else body


def named(error: Exception, otherwise: Reason) -> DataError:
    """A parser's error under its reason from the closed list."""
    text = str(error)
    reason = otherwise
    if isinstance(error, RecursionError):
        reason = Reason.DEPTH
    elif isinstance(error, UnicodeDecodeError):
        reason = Reason.BAD_UTF8
    elif isinstance(error, msgspec.ValidationError):
        reason = _invalid(text)
    return DataError(reason, text)


def _invalid(text: str) -> Reason:
    if "missing required field" in text:
        return Reason.MISSING_FIELD
    if text.endswith("`$.label`"):
        return Reason.LABEL_INVALID
    return Reason.SCHEMA_INVALID
