"""How far a long reading is, on a terminal; nothing where errors go to a file."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO

from inferwatch.records.raw import Decoded, RawRecord

EVERY_S = 1.0
CLEAR = "\r\x1b[K"


def shown(
    records: Iterable[tuple[RawRecord, Decoded]],
    stream: TextIO,
    now_s: Callable[[], float] = time.monotonic,
) -> Iterator[tuple[RawRecord, Decoded]]:
    """The same records; a line on the terminal `stream` counts their rows, at most once a second.

    The line is gone when they end.
    """
    if not stream.isatty():
        yield from records
        return
    rows, began_s = 0, now_s()
    told_s = began_s
    try:
        for raw, decoded in records:
            yield raw, decoded
            rows += decoded.rows_in
            if now_s() - told_s >= EVERY_S:
                told_s = now_s()
                stream.write(f"{CLEAR}{rows:,} rows read · {told_s - began_s:.0f} s")
                stream.flush()
    finally:
        stream.write(CLEAR)
        stream.flush()
