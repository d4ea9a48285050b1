"""What leaves the process: an allow-list of features, and keyed tokens instead of values.

A token is the first 16 hex digits of HMAC-SHA256 over the value's text: equal values stay equal,
nobody without the key can try values out. Without a key, what was to be hashed is left out.
"""

import hmac
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from inferwatch.sdk.notice import warn_once
from inferwatch.sdk.values import Plain, text

Action = Literal["keep", "hash", "leave_out"]

EMBEDDING = "embedding"
KEY_VARIABLE = "INFERWATCH_HASH_KEY"
TOKEN_LENGTH = 16
REMEMBERED_MAX = 10_000


def key_from_environment() -> bytes | None:
    """The key in INFERWATCH_HASH_KEY, or in the file that INFERWATCH_HASH_KEY_FILE names."""
    if value := os.environ.get(KEY_VARIABLE):
        return value.encode()
    if path := os.environ.get(KEY_VARIABLE + "_FILE"):
        return Path(path).read_bytes().strip() or None
    return None


class Privacy:
    """Decides by name. Patterns are shell globs; `include` speaks of features and `embedding`."""

    def __init__(
        self,
        model: str,
        include: Sequence[str] | None = None,
        hash: Sequence[str] = (),
        key: bytes | None = None,
    ) -> None:
        self._include = None if include is None else _patterns(include)
        self._hash = _patterns(hash)
        self._key = key
        self._decided: dict[str, Action] = {}
        if self._hash and key is None:
            warn_once(model, "no_key", f"no {KEY_VARIABLE}: columns to be hashed are left out")

    def of_feature(self, name: str) -> Action:
        """What becomes of the feature `name`."""
        action = self._decided.get(name)
        if action is None:
            included = self._include is None or _matches(name, self._include)
            action = self.of_column(name) if included else "leave_out"
            if len(self._decided) < REMEMBERED_MAX:
                self._decided[name] = action
        return action

    def of_column(self, name: str) -> Action:
        """What becomes of a segment, or of `entity_id`."""
        if not _matches(name, self._hash):
            return "keep"
        return "leave_out" if self._key is None else "hash"

    def keeps_embeddings(self) -> bool:
        """Whether they may leave: a vector tells of what it was made from. No token can stand for
        one, so to hash it is to leave it out.
        """
        return self.of_feature(EMBEDDING) == "keep"

    def token(self, value: Plain) -> str | None:
        """Instead of `value`; a missing value stays missing."""
        word = text(value)
        if word is None or self._key is None:
            return None
        return hmac.digest(self._key, word.encode(), "sha256").hex()[:TOKEN_LENGTH]


def _patterns(given: Sequence[str]) -> tuple[str, ...]:
    """A single text is one pattern: as its letters it would hash nothing, and send all in clear."""
    return (given,) if isinstance(given, str) else tuple(given)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    """By the name as it is too: `[0]` of `lags[0]` is no set of characters."""
    return name in patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
