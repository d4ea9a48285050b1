"""Changes of columns as lines for people."""

from collections.abc import Iterable
from datetime import UTC, datetime

from inferwatch.cli.table import table
from inferwatch.core import schema
from inferwatch.notify.text import printable
from inferwatch.records.outputs import SchemaRecord

RECORDS_MAX = 10
COLUMNS_MAX = 5


def lines(records: Iterable[SchemaRecord]) -> str:
    """ "columns that changed:" and a line a record, the newest ten; "" for none."""
    found = sorted({one.id: one for one in records}.values(), key=lambda one: one.to_ms)
    if not found:
        return ""
    return f"columns that changed:\n{table(None, [_row(one) for one in found[-RECORDS_MAX:]])}"


def _row(record: SchemaRecord) -> list[str]:
    at = datetime.fromtimestamp(record.from_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    words = schema.told({one.column: one.change for one in record.changes}, COLUMNS_MAX)
    versus = f"against version {printable(record.versus)}" if record.versus else ""
    version = f"version {printable(record.version)}"
    return ["", at, version, printable("; ".join(words).replace("columns ", "")), versus]
