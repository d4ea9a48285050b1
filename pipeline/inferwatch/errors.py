"""Errors named by who must act: the sender of the data, the operator, or time.

`DataError` sends one record to the dead-letter topic, `ConfigError` ends the process with exit 78,
`UsageError` with exit 2, `DeniedError` with exit 77, `TransientError` is retried. Anything else is
a bug and is left to crash.
"""

import enum
import errno
from pathlib import Path


class Exit(enum.IntEnum):
    """Exit codes of every command; a supervisor may act on them."""

    DONE = 0
    FINDINGS = 1
    USAGE = 2
    DRAIN_DEADLINE = 3
    UNAVAILABLE = 69
    BUG = 70
    STORAGE = 74
    STALLED = 75
    PERMISSION = 77
    CONFIG = 78


class Reason(enum.StrEnum):
    """Why a record or a row was not folded: the closed list that dead letters and counters use."""

    EMPTY = "empty"
    BAD_UTF8 = "bad_utf8"
    NOT_JSON = "not_json"
    NOT_MSGPACK = "not_msgpack"
    DEPTH = "depth"
    TOO_LARGE = "too_large"
    TOO_MANY_FIELDS = "too_many_fields"
    DUPLICATE_KEY = "duplicate_key"
    MISSING_FIELD = "missing_field"
    SCHEMA_INVALID = "schema_invalid"
    SCHEMA_UNKNOWN = "schema_unknown"
    TYPE_UNKNOWN = "type_unknown"
    COLUMN_LENGTH = "column_length"
    INT_RANGE = "int_range"
    NON_FINITE = "non_finite"
    BAD_TIME = "bad_time"
    LABEL_INVALID = "label_invalid"
    KEY_MISMATCH = "key_mismatch"
    TOO_MANY_MODELS = "too_many_models"
    FATAL = "fatal"


class DataError(Exception):
    """A record that cannot be read; its sender must mend it. It goes to the dead-letter topic."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ConfigError(Exception):
    """A setting that cannot be used; the operator must change `file`, `line`, `key`."""

    def __init__(
        self, problem: str, *, file: str = "", line: int = 0, key: str = "", fix: str = ""
    ) -> None:
        place = f"{file}:{line}" if line else file
        parts = [part for part in (place, key, problem) if part]
        super().__init__(": ".join(parts) + (f" ({fix})" if fix else ""))
        self.file, self.line, self.key, self.problem, self.fix = file, line, key, problem, fix


class DeniedError(Exception):
    """The brokers refuse a right; the operator must grant it (exit 77)."""


class UsageError(Exception):
    """An argument, a file or a column that the caller must change (exit 2)."""


class TransientError(Exception):
    """The outside did not answer as it should; the same call may succeed later."""


def unwritable(path: Path, error: OSError) -> Exception:
    """What to raise where `path` cannot be written: a full disk is nobody's slip (exit 74)."""
    if error.errno == errno.ENOSPC:
        return OSError(error.errno, error.strerror, str(path))
    return UsageError(f"{path} cannot be written: {error.strerror}")


def no_file(path: Path) -> str:
    """What is where a file should be."""
    return "is a folder, no file" if path.is_dir() else "no such file"
