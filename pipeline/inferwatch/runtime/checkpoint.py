"""What stands on `state.v1`: chunks of models' states, the roots that bind them, markers above all.

A chunk is named by its own digest and never changes, so an unfinished checkpoint harms nothing: the
old root still binds the old chunks. Keys end with a random number of the writing process, so a
stalled owner that wakes up overwrites only its own records, even through compaction. Reading back:

- a model's newest whole root rules, whoever wrote it: the fold is deterministic, so a state at
  offset N is *the* state at N;
- a marker counts only while every state that it vouches for is there: its own model offsets say so;
- a model's first definition is the one that stands first in the log of the topic.

No I/O here: the shell and the simulator write and read these same records.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from inferwatch.errors import ConfigError
from inferwatch.records.definition import Definition

FORMAT = 1
CHUNK_BYTES = 512_000
ROOT_MAX_BYTES = 1_000_000
SEAL_BYTES = 16
Record = tuple[bytes, bytes | None]
_Bound = TypeVar("_Bound", "Root", "Marker", "Attempt")


class BrokenStateError(Exception):
    """A checkpoint cannot be read back: storage, not configuration (exit 74)."""


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """One named piece of a model's state: its chunks in order, each by digest and writer."""

    name: str
    size_bytes: int
    chunks: list[tuple[str, str]]


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """The pieces that are one model's whole state after folding `offset`."""

    format: int = FORMAT
    model: str
    offset: int
    pieces: list[Piece]


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """Everything up to `offset` is in states at least as new as `models` says."""

    format: int = FORMAT
    offset: int
    models: dict[str, int]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """Starts without progress, and the record that is being tried: what a dead process leaves.

    `starts` began at the same `offset`. `trying` is the record at work when it was written, -1 for
    none; `suspect` ended `deaths` earlier processes. `ended` says that the process died of one of
    several records, it is not known of which.
    """

    format: int = FORMAT
    offset: int
    starts: int = 1
    trying: int = -1
    suspect: int = -1
    deaths: int = 0
    ended: bool = False


def next_attempt(offset: int, before: Attempt | None) -> Attempt:
    """The note of a process that starts at `offset`, after one that left `before`."""
    if before is None:
        return Attempt(offset=offset)
    suspect, deaths = before.suspect, before.deaths
    if before.trying >= 0:
        deaths = deaths + 1 if before.trying == suspect else 1
        suspect = before.trying
    if suspect <= offset:
        suspect, deaths = -1, 0
    starts = before.starts + 1 if before.offset == offset else 1
    return Attempt(offset=offset, starts=starts, suspect=suspect, deaths=deaths)


@dataclass
class Restored:
    """What a partition of the state topic held.

    `roots` bind `states`; `known` are the keys of chunks that they need, `spare` all other keys of
    other writers, markers first: once those are gone, what they vouched for may go too.
    """

    offset: int = -1
    roots: dict[str, Root] = field(default_factory=dict)
    states: dict[str, dict[str, bytes]] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    skipped: list[int] = field(default_factory=list)
    attempt: Attempt | None = None
    spare: list[bytes] = field(default_factory=list)


def digest(data: bytes) -> str:
    """32 hex digits that name a chunk."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _key(*parts: object) -> bytes:
    return "|".join(map(str, parts)).encode()


def chunk_key(model: str, named: tuple[str, str]) -> bytes:
    """Key of a chunk, given its digest and writer."""
    return _key("c", model, *named)


def model_of(key: bytes) -> str:
    """The model that a chunk, a root or a first definition is of; "" for any other record."""
    kind, name, *_ = key.decode().split("|")
    return name if kind in ("c", "r", "d") else ""


def definition_record(model: str, definition: Definition, writer: str) -> Record:
    """A model's first definition, before its first record is folded."""
    return _key("d", model, writer), msgspec.json.encode(definition)


def marker_record(offset: int, models: Mapping[str, int], writer: str) -> Record:
    """Vouches for states written before it."""
    return _key("o", writer), _sealed(Marker(offset=offset, models=dict(models)))


def attempt_record(attempt: Attempt, writer: str) -> Record:
    """A note about this process, for the one that comes after it."""
    return _key("a", writer), _sealed(attempt)


def skip_record(offset: int, writer: str) -> Record:
    """The record at `offset` of the events partition is folded by nobody."""
    return _key("k", offset, writer), b"skip"


class Cut(msgspec.Struct, frozen=True):
    """One model's part of a checkpoint: new `chunks`, the root that binds them, freed keys."""

    root: Root
    chunks: list[Record]
    record: Record
    freed: list[bytes]
    size_bytes: int


def cut(
    model: str,
    offset: int,
    pieces: Mapping[str, bytes | None],
    before: Root | None,
    writer: str,
) -> Cut:
    """What to write so that the model's state is `pieces`; None stands for a piece as in `before`.

    Only chunks that `before` does not bind are written: the cost follows what changed.

    :raises ConfigError: the state has more pieces than a root can name.
    """
    known = {piece.name: piece for piece in before.pieces} if before else {}
    bound = {named: writer for piece in known.values() for named, writer in piece.chunks}
    chunks: dict[bytes, bytes] = {}
    listed = []
    for name, data in pieces.items():
        if data is None:
            listed.append(known[name])
            continue
        parts = [data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES)]
        named = []
        for part in parts:
            name_of = digest(part)
            owner = bound.get(name_of, writer)
            named.append((name_of, owner))
            if name_of not in bound:
                chunks[chunk_key(model, (name_of, owner))] = part
        listed.append(Piece(name, len(data), named))
    root = Root(model=model, offset=offset, pieces=listed)
    body = _sealed(root)
    if len(body) > ROOT_MAX_BYTES:
        raise ConfigError(
            f"the state of {model} has {len(listed)} pieces, more than one root can name",
            key="model.label_horizon",
            fix="shorten the label horizon, or use longer windows",
        )
    needed = _needed(root)
    freed = [] if before is None else [key for key in _needed(before) if key not in needed]
    size = sum(piece.size_bytes for piece in listed)
    return Cut(root, list(chunks.items()), (_key("r", model, writer), body), freed, size)


def _needed(root: Root) -> dict[bytes, None]:
    return {chunk_key(root.model, named): None for piece in root.pieces for named in piece.chunks}


def gather(records: Iterable[tuple[bytes, bytes | None]]) -> Restored:
    """The newest whole state out of a partition of the state topic, read from its beginning.

    :raises BrokenStateError: no marker's states are all whole.
    :raises ConfigError: a newer release wrote it.
    """
    held: dict[bytes, bytes] = {}
    for key, value in records:
        held.pop(key, None)  # so that the order of `held` is that of the last writes
        if value is not None:
            held[key] = value
    found = Restored(definitions=definitions(held.items()))
    roots: dict[str, list[Root]] = {}
    markers: list[Marker] = []
    for key, value in held.items():
        kind, *rest = key.decode().split("|")
        if kind == "r":
            root = _read(value, Root)
            roots.setdefault(root.model, []).append(root)
        elif kind == "o":
            markers.append(_read(value, Marker))
        elif kind == "k":
            found.skipped.append(int(rest[0]))
        elif kind == "a":
            found.attempt = _read(value, Attempt)
    for model, candidates in roots.items():
        for root in sorted(candidates, key=lambda one: -one.offset):
            state = _assemble(held, root)
            if state is not None:
                found.roots[model], found.states[model] = root, state
                break
    found.offset = _vouched(markers, found.roots)
    needed = {key: None for root in found.roots.values() for key in _needed(root)}
    waiting = {_key("k", offset) for offset in found.skipped if offset > found.offset}
    # a first definition is needed until its model has a root: its next owner must find it
    waiting |= {_key("d", model) for model in found.definitions if model not in found.roots}
    spare = [key for key in held if key not in needed and key.rpartition(b"|")[0] not in waiting]
    found.spare = sorted(spare, key=lambda key: not key.startswith(b"o|"))
    return found


def definitions(records: Iterable[tuple[bytes, bytes | None]]) -> dict[str, Definition]:
    """First definitions by model: of several writers' the one that stands first in the log."""
    found: dict[str, Definition] = {}
    for key, value in records:
        kind, name, *_ = key.decode().split("|")
        if kind == "d" and value is not None and name not in found:
            found[name] = msgspec.json.decode(value, type=Definition)
    return found


def _sealed(record: Root | Marker | Attempt) -> bytes:
    """A record behind the digest of its own bytes."""
    body = msgspec.msgpack.encode(record)
    return bytes.fromhex(digest(body)) + body


def _read(value: bytes, kind: type[_Bound]) -> _Bound:
    body = value[SEAL_BYTES:]
    try:
        if bytes.fromhex(digest(body)) != value[:SEAL_BYTES]:
            raise msgspec.DecodeError("its checksum differs")
        record = msgspec.msgpack.decode(body, type=kind)
    except msgspec.MsgspecError as error:
        raise BrokenStateError(
            f"a {kind.__name__.lower()} on the state topic cannot be read: {error}"
        ) from None
    if record.format > FORMAT:
        raise ConfigError(
            f"a checkpoint has format {record.format}, this release reads {FORMAT}",
            fix="start the release that wrote it",
        )
    return record


def _assemble(held: Mapping[bytes, bytes], root: Root) -> dict[str, bytes] | None:
    """The pieces of a root; None where a chunk is missing or damaged."""
    state = {}
    for piece in root.pieces:
        parts = []
        for named in piece.chunks:
            part = held.get(chunk_key(root.model, named))
            if part is None or digest(part) != named[0]:
                return None
            parts.append(part)
        state[piece.name] = b"".join(parts)
    return state


def _vouched(markers: Sequence[Marker], roots: Mapping[str, Root]) -> int:
    """Offset of the highest marker whose states are all there; -1 where nothing was ever saved."""
    for marker in sorted(markers, key=lambda one: -one.offset):
        if all(
            model in roots and roots[model].offset >= offset
            for model, offset in marker.models.items()
        ):
            return marker.offset
    if markers:
        newest = max(markers, key=lambda one: one.offset)
        broken = sorted(
            model
            for model, offset in newest.models.items()
            if model not in roots or roots[model].offset < offset
        )
        raise BrokenStateError(
            f"no whole checkpoint of {', '.join(broken[:3])}: a chunk is missing or damaged"
        )
    return -1
