"""A model's state as named pieces of bytes and back: msgpack with arrays inside, no pickle.

Pieces follow what changes together: panes, closed windows by stretches of time, slabs of
predictions, answers. Full slabs and answers never change again, so a checkpoint that has them
already need not even look; of the rest only what differs is written (`runtime.checkpoint`). The
`head` piece carries a format number; a newer one is refused.
"""

from collections.abc import Callable, Container, Iterator, Mapping
from typing import Any, TypeVar, get_origin

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.alerts import Instance
from inferwatch.core.drift import DetectorState
from inferwatch.core.duel import Side
from inferwatch.core.early import Early
from inferwatch.core.emitters import Emitter
from inferwatch.core.model import FORMAT, Model, ModelState
from inferwatch.core.past import Past
from inferwatch.core.pending import Answers, Slab
from inferwatch.core.quality import LabelCell
from inferwatch.core.reference import Learnt, Values
from inferwatch.core.schema_told import Told
from inferwatch.core.stability import Entities
from inferwatch.core.windows import Closed, Pane, RowsKept, Track, Waiting
from inferwatch.errors import ConfigError
from inferwatch.records.definition import Definition

STRETCH_PANES = 16
GLANCE = ("head", "definition", "alerts", "detectors")
_Made = TypeVar("_Made")


class _Head(msgspec.Struct):
    format: int


class _Of(msgspec.Struct, array_like=True):
    """Whose part of a track: window definition and version."""

    window: str
    version: str


class _Panes(_Of, array_like=True):
    panes: dict[int, Pane]


class _Labels(_Of, array_like=True):
    labels: dict[int, dict[str, LabelCell]]


class _Closed(_Of, array_like=True):
    closed: dict[int, Closed]


class _Past(_Of, array_like=True):
    past: Past


class _Kept(_Of, array_like=True):
    kept: dict[int, RowsKept]


class _Before(_Of, array_like=True):
    before: NDArray[np.float32]


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        return [little.dtype.str, list(little.shape), little.tobytes()]
    raise TypeError(f"state cannot hold {type(value).__name__}")


def _decode(kind: Any, value: Any) -> Any:
    if get_origin(kind) is np.ndarray or kind is np.ndarray:
        dtype, shape, data = value
        return np.frombuffer(data, dtype).reshape(shape).copy()
    raise TypeError(f"state cannot hold {kind}")


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode)
_head = msgspec.msgpack.Decoder(_Head)


def _decoder(kind: Any) -> Any:
    return msgspec.msgpack.Decoder(kind, dec_hook=_decode)


_DECODERS: dict[str, Any] = {
    "head": _decoder(ModelState),
    "definition": _decoder(Definition),
    "learnt": _decoder(dict[str, Learnt]),
    "first": _decoder(dict[str, Track]),
    "emitters": _decoder(dict[str, Emitter]),
    "sources": _decoder(dict[str, Emitter]),
    "alerts": _decoder(dict[str, Instance]),
    "detectors": _decoder(dict[str, DetectorState]),
    "early": _decoder(dict[str, Early]),
    "entities": _decoder(Entities),
    "waiting": _decoder(list[Waiting]),
    "duels": _decoder(dict[str, Side]),
    "schemas": _decoder(dict[str, Told]),
    "pane": _decoder(_Panes),
    "recent": _decoder(_Panes),
    "labels": _decoder(_Labels),
    "closed": _decoder(_Closed),
    "past": _decoder(_Past),
    "kept": _decoder(_Kept),
    "before": _decoder(_Before),
    "open": _decoder(Slab),
    "slab": _decoder(Slab),
    "answers": _decoder(Answers),
}


def cut(model: Model, known: Container[str] = ()) -> dict[str, bytes | None]:
    """The whole state by piece; None for one that never changes and is in `known`.

    Equal states give equal bytes. Cost: 1 ms a MB of what may have changed.
    """
    model.dump_detectors()
    state = model.state
    pending, made = state.pending, _encoder.encode
    head = msgspec.structs.replace(
        state,
        definition=Definition(),
        learnt={},
        recent={},
        first={},
        tracks={
            window: {version: _bare(track) for version, track in tracks.items()}
            for window, tracks in state.tracks.items()
        },
        pending=msgspec.structs.replace(pending, slabs={}, answers={}, early={}),
        emitters={},
        sources={},
        instances={},
        detectors={},
        entities=None,
        waiting=[],
        duels={},
        schemas={},
    )
    pieces: dict[str, bytes | None] = {
        "head": made(head),
        "definition": made(state.definition),
        "learnt": made(state.learnt),
        "first": made(state.first),
        "emitters": made(state.emitters),
        "sources": made(state.sources),
        "alerts": made(state.instances),
        "detectors": made(state.detectors),
        "early": made(pending.early),
    }
    if state.waiting:
        pieces["waiting"] = made(state.waiting)
    if state.duels:
        pieces["duels"] = made(state.duels)
    if state.schemas:
        pieces["schemas"] = made(state.schemas)
    for name, part in _track_parts(model):
        pieces[name] = made(part)
    for version, panes in state.recent.items():
        for start, pane in panes.items():
            pieces[f"recent/{version}/{start}"] = made(_Panes("", version, {start: pane}))
    if state.entities is not None:
        pieces["entities"] = made(state.entities)
    unfinished = frozenset(pending.open.values())
    for key, slab in pending.slabs.items():
        if key in unfinished:
            pieces[f"open/{key}"] = made(slab)
        else:
            name = f"slab/{key}"
            pieces[name] = None if name in known else made(slab)
    for key, answers in pending.answers.items():
        name = f"answers/{key}"
        pieces[name] = None if name in known else made(answers)
    return pieces


def _bare(track: Track) -> Track:
    return msgspec.structs.replace(
        track, panes={}, labels={}, closed={}, past=None, restating={}, kept={}, before=None
    )


def _track_parts(model: Model) -> Iterator[tuple[str, _Of]]:
    """Panes and rows kept one by one, label cells and closed windows by stretches, what is of the
    past whole.
    """
    widths = {plan.window.name: plan.pane_ms or plan.window.rows for plan in model.plan.windows}
    for window, tracks in model.state.tracks.items():
        stretch = widths[window] * STRETCH_PANES
        for version, track in tracks.items():
            place = f"{_escaped(window)}/{version}"
            for start, pane in track.panes.items():
                yield f"pane/{place}/{start}", _Panes(window, version, {start: pane})
            for first, labels in _stretches(track.labels, stretch):
                yield f"labels/{place}/{first}", _Labels(window, version, labels)
            for first, closed in _stretches(track.closed, stretch):
                yield f"closed/{place}/{first}", _Closed(window, version, closed)
            if track.past is not None:
                yield f"past/{place}", _Past(window, version, track.past)
            for start, kept in track.kept.items():
                yield f"kept/{place}/{start}", _Kept(window, version, {start: kept})
            if track.before is not None:
                yield f"before/{place}", _Before(window, version, track.before)


def _escaped(window: str) -> str:
    """Without `/`: window `a` of version `b/c` is not window `a/b` of version `c`."""
    return window.replace("%", "%25").replace("/", "%2F")


def _stretches(items: Mapping[int, Any], stretch: int) -> Iterator[tuple[int, dict[int, Any]]]:
    found: dict[int, dict[int, Any]] = {}
    for start, item in items.items():
        found.setdefault(start // stretch * stretch, {})[start] = item
    yield from found.items()


def load(pieces: Mapping[str, bytes], values: Mapping[str, Values] | None = None) -> Model:
    """The model as it was cut; every piece is needed.

    :raises ConfigError: a newer inferwatch wrote it.
    :raises ValueError: the bytes are damaged.
    """
    return _read(pieces, lambda: Model(_whole(pieces), values or {}))


def glance(pieces: Mapping[str, bytes]) -> ModelState:
    """Of the state what says how checks stand: definition, columns, versions, alerts, detectors,
    comparisons of versions.

    Raises what `load` raises; needs no columns of profiles.
    """
    wanted = (*GLANCE, *(["duels"] if "duels" in pieces else []))
    return _read(pieces, lambda: _whole({name: pieces[name] for name in wanted}))


def _read(pieces: Mapping[str, bytes], made: Callable[[], _Made]) -> _Made:
    try:
        written = _head.decode(pieces["head"]).format
    except (KeyError, msgspec.MsgspecError) as error:
        raise ValueError(f"a model's state cannot be read: {error!r}") from None
    if written > FORMAT:
        raise ConfigError(
            f"the state has format {written}, this version reads up to {FORMAT}",
            fix="start the version that wrote it, or a newer one",
        )
    try:
        return made()
    except (LookupError, msgspec.MsgspecError, TypeError, OverflowError) as error:
        raise ValueError(f"a model's state cannot be read: {error!r}") from None


def _whole(pieces: Mapping[str, bytes]) -> ModelState:
    found: dict[str, list[Any]] = {kind: [] for kind in _DECODERS}
    numbered: dict[str, dict[int, Any]] = {"slab": {}, "answers": {}}
    for name, data in pieces.items():
        kind, _, rest = name.partition("/")
        item = _DECODERS[kind].decode(data)
        found[kind].append(item)
        if kind in ("slab", "open") and not _is_sound(item):
            raise ValueError(f"a model's state cannot be read: the columns of {name} do not fit")
        if kind in ("slab", "open", "answers"):
            numbered["answers" if kind == "answers" else "slab"][int(rest)] = item
    state: ModelState = found["head"][0]
    for kind, put in _PUT.items():
        for item in found[kind]:
            put(state, item)
    state.pending.slabs = dict(sorted(numbered["slab"].items()))
    state.pending.answers = dict(sorted(numbered["answers"].items()))
    for tracks in state.tracks.values():
        for track in tracks.values():
            track.restating = {start: None for start, one in track.closed.items() if one.restate}
    return state


def _is_sound(slab: Slab) -> bool:
    """Whether ids lie within their bytes, which compiled code takes for granted, and every column
    has as many rows.
    """
    columns = (slab.row, slab.time_ms, slab.predicted, slab.score, slab.late)
    rows = len(slab.ids)
    more = [*slab.segments.values(), *(slab.scores if slab.scores is not None else ())]
    more += [slab.value] if len(slab.value) else []
    more += [*slab.query] if slab.query is not None else []
    return slab.ids.is_sound() and all(len(column) == rows for column in (*columns, *more))


def _put(field: str) -> Callable[[ModelState, Any], None]:
    return lambda state, item: setattr(state, field, item)


def _track(state: ModelState, of: _Of) -> Track:
    return state.tracks[of.window][of.version]


_PUT: dict[str, Callable[[ModelState, Any], None]] = {
    "definition": _put("definition"),
    "learnt": _put("learnt"),
    "first": _put("first"),
    "emitters": _put("emitters"),
    "sources": _put("sources"),
    "alerts": _put("instances"),
    "detectors": _put("detectors"),
    "waiting": _put("waiting"),
    "duels": _put("duels"),
    "schemas": _put("schemas"),
    "entities": _put("entities"),
    "early": lambda state, item: setattr(state.pending, "early", item),
    "pane": lambda state, item: _track(state, item).panes.update(item.panes),
    "recent": lambda state, item: state.recent.setdefault(item.version, {}).update(item.panes),
    "labels": lambda state, item: _track(state, item).labels.update(item.labels),
    "closed": lambda state, item: _track(state, item).closed.update(item.closed),
    "past": lambda state, item: setattr(_track(state, item), "past", item.past),
    "kept": lambda state, item: _track(state, item).kept.update(item.kept),
    "before": lambda state, item: setattr(_track(state, item), "before", item.before),
}
