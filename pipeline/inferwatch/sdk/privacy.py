"""Which features leave the process, and which only as tokens."""

import fnmatch
import hashlib
import hmac
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger("inferwatch.sdk")


class Filter:
    """`include` globs let features through, `hash` globs turn values into keyed HMAC-SHA256 tokens.

    The key is `INFERWATCH_HASH_KEY`, or the content of the file that `INFERWATCH_HASH_KEY_FILE` names. Without
    a key a feature that should be hashed does not leave at all.
    """

    def __init__(self, include: Sequence[str] | None, hash: Sequence[str]) -> None:
        self._include, self._hash = include, tuple(hash)
        self._key = _key() if hash else b""
        self._open = include is None and not hash
        if hash and not self._key:
            log.warning("inferwatch: no INFERWATCH_HASH_KEY, so %s does not leave the process",
                        ", ".join(hash))  # fmt: skip

    def features(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What may leave, as a copy."""
        if self._open:
            return dict(values)
        kept = {}
        for name, value in values.items():
            if self._matches(self._hash, name):
                if self._key and value is not None:
                    kept[name] = self.token(value)
            elif self._include is None or self._matches(self._include, name):
                kept[name] = value
        return kept

    def entity(self, value: Any) -> str | None:
        """The entity id, as a token where `hash` names "entity_id"."""
        if value is None:
            return None
        if not self._matches(self._hash, "entity_id"):
            return str(value)
        return self.token(value) if self._key else None

    def token(self, value: Any) -> str:
        """16 hex digits that equal values share under one key."""
        return hmac.new(self._key, str(value).encode(), hashlib.sha256).hexdigest()[:16]

    @staticmethod
    def _matches(globs: Sequence[str], name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, glob) for glob in globs)


def _key() -> bytes:
    path = os.environ.get("INFERWATCH_HASH_KEY_FILE", "")
    if path:
        try:
            return Path(path).read_bytes().strip()
        except OSError as error:
            log.warning("inferwatch: INFERWATCH_HASH_KEY_FILE cannot be read: %s", error.strerror)
    return os.environ.get("INFERWATCH_HASH_KEY", "").encode()
