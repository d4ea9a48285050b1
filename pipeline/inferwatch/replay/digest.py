"""One number for what a run put out: equal digests mean equal records, byte for byte."""

import hashlib

from inferwatch.core.output import Output


class ConflictError(Exception):
    """One id with two byte strings: the promise that lets readers drop equal ids is broken."""


class Digest:
    """SHA-256 over the unique windows, changes of schemas and alerts of a run, by their ids."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], bytes] = {}

    def add(self, kind: str, id_: str, value: bytes) -> bool:
        """Take in one output; whether it is new.

        :raises ConflictError: the id was seen with other bytes.
        """
        fingerprint = hashlib.sha256(value).digest()
        known = self._seen.setdefault((kind, id_), fingerprint)
        if known is not fingerprint and known != fingerprint:
            raise ConflictError(f"{kind} {id_} came with two contents")
        return known is fingerprint

    def add_output(self, output: Output) -> bool:
        """`add` for what the fold gives."""
        return self.add(output.kind, output.id, output.value)

    def hex(self) -> str:
        """64 hex digits; dead letters do not count."""
        whole = hashlib.sha256()
        for (kind, id_), fingerprint in sorted(self._seen.items()):
            if kind != "dead":
                whole.update(f"{kind} {id_} ".encode() + fingerprint)
        return whole.hexdigest()
