"""Snapshots of detectors: plain values under a checksum, bound to a method and its parameters."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

SEAL_BYTES = 8


def seal(name: str, params: Mapping[str, float | str], state: Mapping[str, Any]) -> bytes:
    """`state` (numbers, bytes, lists of numbers) of method `name` as bytes."""
    body = msgspec.msgpack.encode([name, dict(params), dict(state)])
    return hashlib.blake2b(body, digest_size=SEAL_BYTES).digest() + body


def unseal(name: str, params: Mapping[str, float | str], sealed: bytes) -> dict[str, Any]:
    """What was sealed.

    :raises ValueError: the bytes are damaged, or of another method or other parameters.
    """
    body = sealed[SEAL_BYTES:]
    if hashlib.blake2b(body, digest_size=SEAL_BYTES).digest() != sealed[:SEAL_BYTES]:
        raise ValueError(f"the snapshot of {name} is damaged")
    found, with_params, state = msgspec.msgpack.decode(body)
    if found != name or with_params != dict(params):
        raise ValueError(f"a snapshot of {found} {with_params} is none of {name} {dict(params)}")
    return dict(state)
