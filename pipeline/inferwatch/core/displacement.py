"""Values of a segment column that lose their place to heavier ones: what is judged ends with it.

Windows that are open, and labels of those that are closed, keep what they have of a former value.
Its alerts end at once, and its past figures are forgotten. Its code is another value's only when
nothing names it any more.
"""

from collections.abc import Iterator
from itertools import chain

import numpy as np

from inferwatch.core import alerts, operators, places
from inferwatch.core.columns import OTHER, Block, count_capped, placed, segment_words
from inferwatch.core.model import Model, Position
from inferwatch.core.output import Output
from inferwatch.core.places import Places
from inferwatch.core.windows import Track
from inferwatch.records import keys
from inferwatch.records.rows import Codes, Rows, Words


def next_cut(model: Model, block: Block, first: int) -> int:
    """Row before which the next decision may be due, or counting begin, after row `first`."""
    columns, most = model.state.columns, model.definition.model.segments_max
    cuts = [len(block.row)]
    for name in _columns(model, block):
        column, codes = columns.places[name], block.segments[name][first:]
        begin = 0 if _counts(column) else _first(codes, columns.segments[name].index(OTHER))
        cuts.append(first + (begin or places.rows_left(column, most)))
    return min(cuts)


def _counts(column: Places) -> bool:
    """Whether a value has found no place, so that all are counted."""
    return bool(column.rows or column.counters.most)


def _first(codes: Codes, other: int) -> int:
    """How many rows are before the first without a place."""
    found = np.flatnonzero(codes == other)
    return int(found[0]) if len(found) else len(codes)


def _columns(model: Model, block: Block) -> list[str]:
    """Columns with places that the definition still names."""
    return [name for name in model.state.columns.places if name in block.segments]


def follow(
    model: Model, rows: Rows, block: Block, first: int, end: int, at: Position
) -> list[Output]:
    """Count the rows from `first` to `end`, which have been folded; when it is due, give places to
    the values that have become heavy, and to the rows after `end` their codes.
    """
    columns, most = model.state.columns, model.definition.model.segments_max
    outputs: list[Output] = []
    for name in _columns(model, block):
        column, words = columns.places[name], segment_words(columns, rows, name)
        codes = block.segments[name][first:end]
        others = int(np.count_nonzero(codes == columns.segments[name].index(OTHER)))
        if not _counts(column) and not others:
            continue
        count_capped(columns, "segments", others)
        places.count(column, _counted(words, first, end), end - first, most)
        if column.rows < places.STRETCH_ROWS * most:
            continue
        outputs += _decide(model, name, at)
        if words is not None:
            block.segments[name][end:] = placed(columns, name, words)[end:]
    return outputs


def _counted(column: Words | None, first: int, end: int) -> list[str]:
    if column is None:
        return []
    words = [column.words[code] for code in column.codes[first:end].tolist() if code >= 0]
    return [word for word in words if word != OTHER]


def _decide(model: Model, name: str, at: Position) -> list[Output]:
    """Give places to the values that have become heavy; gives the ends of alerts."""
    column, now_ms = model.state.columns.places[name], model.state.watermark.event_ms
    column.rows = 0
    places.age(column, now_ms)
    oldest_ms = now_ms - _remembered_ms(model)
    column.former = {value: at for value, at in column.former.items() if at > oldest_ms}
    risen = places.risen(column, model.definition.model.segments_max)
    if not risen:
        return []
    codes = _codes(model, name, [value for _, value in risen])
    for gone, value in risen:
        if gone is not None:
            del column.taken[gone]
            column.former[gone] = now_ms
        column.former.pop(value, None)
        column.taken[value] = codes[value]
    return _end(model, {f"{name}={gone}" for gone, _ in risen if gone is not None}, at)


def fit(model: Model, at: Position) -> list[Output]:
    """Take away the places that a changed definition gives no more, those of the lightest values
    first, and of the last to come; gives the ends of alerts.
    """
    columns = model.state.columns
    gone: set[str] = set()
    most, now_ms = model.definition.model.segments_max, model.state.watermark.event_ms
    for name in model.definition.model.segments:
        known = columns.segments.get(name, [])
        if name not in columns.places and len(known) > most:
            taken = {value: code for code, value in enumerate(known) if value != OTHER}
            columns.places[name] = Places(taken=taken)
            known += [OTHER] * (OTHER not in known)
        if name in columns.places:
            column = columns.places[name]
            by_weight = sorted(column.taken, key=lambda value: -column.counters.at_most(value))
            for value in by_weight[most:]:
                del column.taken[value]
                column.former[value] = now_ms
                gone.add(f"{name}={value}")
    return _end(model, gone, at) if gone else []


def _remembered_ms(model: Model) -> int:
    """How long a row is named: by its windows, then by what waits for its label."""
    windows = model.definition.windows
    longest_ms = max((window.size_ms + window.grace_ms for window in windows), default=0)
    return longest_ms + model.definition.model.label_horizon_ms


def _codes(model: Model, name: str, values: list[str]) -> dict[str, int]:
    """Codes of `values`: those that still name them, else such that name nothing, else new ones."""
    known = model.state.columns.segments[name]
    codes = {value: code for code, value in enumerate(known)}
    spare: list[int] = []
    if len(known) > 2 * model.definition.model.segments_max:
        column = model.state.columns.places[name]
        kept = {*column.taken, *column.former, OTHER, *values, *_named(model, name)}
        spare = [code for value, code in codes.items() if value not in kept]
    for value in values:
        if value in codes:
            continue
        if not spare:
            spare.append(len(known))
            known.append(value)
        codes[value] = spare.pop()
        known[codes[value]] = value
    return codes


def _named(model: Model, name: str) -> Iterator[str]:
    """Values of a column that windows, label cells or predictions name."""
    known = model.state.columns.segments[name]
    for track in _tracks(model):
        cells = (pane.cells for pane in track.panes.values())
        for key in chain(*cells, *track.labels.values()):
            column, _, code = key.rpartition(":")
            if column == name:
                yield known[int(code)]
        for closed in track.closed.values():
            named = (key for key in closed.base if key.startswith(f"{name}="))
            yield from (key.removeprefix(f"{name}=") for key in named)
    for slab in model.state.pending.slabs.values():
        rows = np.bincount(slab.segments.get(name, np.empty(0, np.int32)) + 1)[1:]
        yield from (known[code] for code in np.flatnonzero(rows).tolist())


def _tracks(model: Model) -> Iterator[Track]:
    yield from model.state.first.values()
    for tracks in model.state.tracks.values():
        yield from tracks.values()


def _end(model: Model, segments: set[str], at: Position) -> list[Output]:
    """End the alerts of segments that are told apart no more; forget what they compared with."""
    checks = {check.alert: check for check in model.definition.checks}
    outputs = []
    for key, instance in list(model.state.instances.items()):
        if instance.segment in segments:
            at_ms, rule = model.state.watermark.event_ms, checks.get(instance.alert)
            outputs += operators.end(model, rule, instance, "segment_gone", at_ms, at)
            alerts.begin_anew(model.state.instances, key)
    for track in _tracks(model):
        _forget(track, segments)
    return outputs


def _forget(track: Track, segments: set[str]) -> None:
    """Drop the past figures, limits and waiting windows of segments."""
    for kept in (track.series, track.hours):
        for key in [key for key in kept if keys.split(key)[0] in segments]:
            del kept[key]
    for key in [key for key in track.queue if keys.split(key)[1] in segments]:
        del track.queue[key]
    for key in [key for key in track.calibrations if keys.split(key)[3] in segments]:
        del track.calibrations[key]


def is_told_apart(model: Model, segment: str) -> bool:
    """Whether a segment by its name ("country=DE", "" for all rows) has a place."""
    if not segment:
        return True
    name, value = segment.split("=", 1)
    column = model.state.columns.places.get(name)
    return column is None or value == OTHER or value in column.taken
