"""Events that are plainly valid, many at a time: read without looking at each for every limit.

`records.decode.event` says what is valid; it scans the text of each event, at six times the cost of
parsing it. Here a parser that knows every field reads the event, and the limits are then shown for
all events of a table at once. A table that shows them holds what `event` would have read; of one
that does not nothing is known, and its events are read by `event` one by one.

In JSON that a parser took, without a backslash before a quote, every quote begins or ends a name or
a text. So the quotes of all bodies are twice the names and texts that were read if, and only if, no
name was there twice. All else follows from what was read: no field is unknown, so nothing is nested
deeper and no byte was passed over; integers are kept as such, whatever their size.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import cached_property
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from inferwatch.errors import DataError
from inferwatch.ingest import features
from inferwatch.records import bounds, single
from inferwatch.records.batch import CALL_NUMBERS, FINISH_REASON
from inferwatch.records.decode import event as read_carefully
from inferwatch.records.raw import EARLIEST_MS, JSON, LATEST_MS, NAME, NAME_MAX, PREFIX, Instance
from inferwatch.records.single import Scalar

FLOAT32_MAX = 3.4028234e38
NOTHING = {type(None), UnsetType}
Number = int | float
Missing = UnsetType | None


class Inference(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """As `single.InferenceEvent`; it tells what is left out, and integers from other numbers."""

    model: str
    version: str
    prediction_id: str
    timestamp: int | str
    features: msgspec.Raw | UnsetType = UNSET  # read by `Table`: what waits is small
    prediction: Scalar | UnsetType = UNSET
    proba: Number | Missing = UNSET
    scores: dict[str, Number] | UnsetType = UNSET
    latency_ms: Number | Missing = UNSET
    error: str | Missing = UNSET
    segments: dict[str, str | None] | UnsetType = UNSET
    entity_id: str | Missing = UNSET
    instance: Instance | UnsetType = UNSET
    llm: dict[str, Number | str | None] | Missing = UNSET
    embedding: msgspec.Raw | UnsetType = UNSET


class Label(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """As `single.LabelEvent`."""

    model: str
    prediction_id: str
    label: bool | int | float | str
    timestamp: int | str
    version: str | Missing = UNSET


Event = Inference | Label
_inference = msgspec.json.Decoder(Inference).decode
_label = msgspec.json.Decoder(Label).decode
_features = msgspec.json.Decoder(dict[str, Scalar]).decode
_vector = msgspec.json.Decoder(list[float] | None).decode
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_READERS: dict[tuple[Any, Any], tuple[Callable[[bytes], Event], ...]] = {
    (kind, content): readers
    for kind, readers in (
        ("", (_inference, _label)),  # without a type what it holds decides
        (f"{PREFIX}inference.v1".encode(), (_inference,)),
        (f"{PREFIX}label.v1".encode(), (_label,)),
    )
    for content in ("", JSON.encode())
}
_UNTYPED = _READERS["", ""]


def read(described: Sequence[tuple[str, bytes | None]] | None, body: bytes | None) -> Event | None:
    """What seems to be an event, by its headers and value; None where it is looked at carefully.

    Cost: that of parsing it.
    """
    readers: tuple[Callable[[bytes], Event], ...] = _UNTYPED
    if described:
        said = dict(described)
        readers = _READERS.get((said.get("ce_type", ""), said.get("content-type", "")), ())
    for reader in readers if body else ():
        try:
            # that there is a body was seen before the loop
            return reader(body)  # type: ignore[arg-type]
        except UNREADABLE:
            continue
    return None


def carefully(
    described: Sequence[tuple[str, bytes | None]] | None, body: bytes | None
) -> tuple[Event, bytes] | None:
    """An event that a batch can hold, and a body that says the same plainly; None for all else.

    Cost: some 25 µs for an event of 800 bytes.
    """
    try:
        found = read_carefully({name: data or b"" for name, data in described or ()}, body)
    except DataError:
        return None  # the fold says why, in the dead letter that it makes of the record
    if found is None or not _fits(found[0]):
        return None
    plain = msgspec.json.encode(found[0])
    is_label = isinstance(found[0], single.LabelEvent)
    return (_label if is_label else _inference)(plain), plain


def _fits(event: single.InferenceEvent | single.LabelEvent) -> bool:
    """Whether a batch can hold the event: its latency and what it used are float32 there."""
    if isinstance(event, single.LabelEvent):
        return True
    told = [event.latency_ms]
    if event.llm is not None:
        told += [getattr(event.llm, name) for name in CALL_NUMBERS]
    return all(value is None or abs(value) <= FLOAT32_MAX for value in told)


class Column(NamedTuple):
    """The values of a field or a feature in n rows, None or `UNSET` where there is none, and the
    types that are there. Of some features they are float64[n], NaN where there is none.
    """

    values: Any
    kinds: set[type]


def column(values: features.Values) -> Column:
    """With their types."""
    if isinstance(values, np.ndarray):
        return Column(values, {float})
    return Column(values, set(map(type, values)))


class TooWideError(Exception):
    """More names in a table than a batch has room for."""


class Table:
    """n events of one kind, model and version by column, n ≥ 1: `fields`, and by name what is in
    features, scores, segments and llm (`maps`).

    Cost: 2 µs an event of 20 features, half of it their text.
    :raises TooWideError: more than `names_max` names in all maps.
    :raises UNREADABLE: features that are none.
    """

    def __init__(self, events: Sequence[Event], names_max: int) -> None:
        self.n = len(events)
        self.is_label = isinstance(events[0], Label)
        found = zip(*map(msgspec.structs.astuple, events), strict=True)
        values_of = dict(zip(events[0].__struct_fields__, found, strict=True))
        self.fields = {name: column(values) for name, values in values_of.items()}
        self.maps: dict[str, dict[str, Column]] = {}
        self._names = self._most = 0
        if not self.is_label:
            names_max -= self._read_features(names_max)
        for name, (values, kinds) in self.fields.items():
            if dict in kinds:
                names_max -= self._spread(name, values, names_max)

    def _read_features(self, names_max: int) -> int:
        """How many there are."""
        raws, kinds = self.fields["features"]
        found = features.read(raws) if kinds == {msgspec.Raw} else None
        if found is None:
            rows = [UNSET if raw is UNSET else _features(raw) for raw in raws]
            return self._spread("features", rows, names_max)
        self._names, self._most = found.names, len(found.values)
        names, values = found.values.keys(), found.values.values()
        self.maps["features"] = _named(names, values, self.n, names_max)
        return len(names)

    def _spread(self, field: str, values: Sequence[Any], names_max: int) -> int:
        """How many names there are in the maps of a field."""
        rows = [one if is_known(one) else {} for one in values]
        sizes = list(map(len, rows))
        self._names += sum(sizes)
        self._most += max(sizes)
        self.maps[field] = _spread(rows, names_max)
        return len(self.maps[field])

    def of(self, field: str) -> dict[str, Column]:
        """Features, scores, segments or llm, in order of first appearance."""
        return self.maps.get(field, {})

    @cached_property
    def times_ms(self) -> list[int]:
        """Milliseconds since 1970.

        :raises DataError: a timestamp is none.
        """
        values, kinds = self.fields["timestamp"]
        return list(values) if kinds == {int} else list(map(single.time_ms, values))

    @cached_property
    def vectors(self) -> list[list[float] | None]:
        """The embedding of each row that has one, of events whose embeddings are vectors."""
        raws, kinds = self.fields["embedding"]
        if kinds <= NOTHING:
            return []
        return [None if raw is UNSET else _vector(raw) for raw in raws]

    def holds(self, bodies: Sequence[bytes]) -> bool:
        """Whether it is shown that `event` would have read these events in these bodies.

        Of embeddings it never is: they are long, and theirs is the cost of parsing them again.
        """
        names, texts = self._names, 0
        for values, kinds in self.fields.values():
            names += self.n - (values.count(UNSET) if UnsetType in kinds else 0)
        parts = (part.values() for part in self.maps.values())
        for found in chain(self.fields.values(), *parts):
            texts += len(_of(found, {str})) if str in found.kinds else 0
            if int in found.kinds and not _are_64_bits(found):
                return False
        return (
            self._most <= bounds.FIELDS_MAX
            and max(map(len, bodies)) <= bounds.STRING_MAX_BYTES
            and _quotes(b"".join(bodies)) == 2 * (names + texts)
            and self._is_named()
            and self._is_timed()
            and self._is_call()
            and self._fits()
        )

    def _is_named(self) -> bool:
        model, version = (self.fields[name].values[0] for name in ("model", "version"))
        named = len(model) <= NAME_MAX and NAME.fullmatch(model) is not None
        return named and version != "" and all(self.fields["prediction_id"].values)

    def _is_timed(self) -> bool:
        try:
            return min(self.times_ms) >= EARLIEST_MS and max(self.times_ms) < LATEST_MS
        except DataError:
            return False

    def _is_call(self) -> bool:
        """Whether all that `llm` holds has a name and the type of it."""
        return all(
            found.kinds <= NOTHING | ({str} if name == FINISH_REASON else {int, float})
            for name, found in self.of("llm").items()
        ) and {*self.of("llm")} <= {*CALL_NUMBERS, FINISH_REASON}

    def _fits(self) -> bool:
        if self.is_label:
            return True
        if not self.fields["embedding"].kinds <= NOTHING:
            return False
        told = [self.fields["latency_ms"]]
        told += [self.of("llm")[name] for name in CALL_NUMBERS if name in self.of("llm")]
        return all(map(_are_float32, told))


def is_known(value: object) -> bool:
    """Whether a row has a value."""
    return value is not None and value is not UNSET


def _spread(rows: Sequence[dict[str, Any]], names_max: int) -> dict[str, Column]:
    if {*map(len, rows)} == {len(rows[0])} and len(rows[0]) > 1:
        try:
            found = list(map(itemgetter(*rows[0]), rows))
        except KeyError:
            pass
        else:
            return _named(rows[0], zip(*found, strict=True), len(rows), names_max)
    names = dict.fromkeys(chain.from_iterable(rows))
    columns = ([row.get(name) for row in rows] for name in names)
    return _named(names, columns, len(rows), names_max)


def _named(
    names: Collection[str], columns: Iterable[features.Values], n: int, names_max: int
) -> dict[str, Column]:
    if len(names) > names_max and n > 1:
        raise TooWideError
    return {name: column(values) for name, values in zip(names, columns, strict=True)}


def _are_64_bits(found: Column) -> bool:
    integers: list[int] = _of(found, {int})
    return min(integers) >= -bounds.INT_END and max(integers) < bounds.INT_END


def _are_float32(found: Column) -> bool:
    numbers: list[float] = _of(found, {int, float}) or [0.0]
    return min(numbers) >= -FLOAT32_MAX and max(numbers) <= FLOAT32_MAX


def _of(found: Column, kinds: set[type]) -> list[Any]:
    """The values of these types."""
    if found.kinds <= kinds:
        return list(found.values)
    return [one for one in found.values if type(one) in kinds]


def _quotes(text: bytes) -> int:
    """How many quotes begin or end a string; -1 where one may stand within."""
    if b"\\" in text and b'\\"' in text:
        return -1
    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == ord('"')))
