"""A model's state as bytes: equal states equal bytes, and nothing damaged or newer is believed."""

import msgspec
import numpy as np
import pytest

from inferwatch.core import snapshot
from inferwatch.core.fold import Partition
from inferwatch.core.model import FORMAT
from inferwatch.errors import ConfigError
from inferwatch.records.definition import Definition, ModelFacts, Window
from inferwatch.testing import folding, streams
from inferwatch.testing.builders import raw_inference, raw_labels


@pytest.fixture(scope="module")
def models():
    """Models of every task in the middle of their lives."""
    partition = Partition(0)
    records = streams.placed(streams.stream(5, models=3, records=90))
    folding.fold(partition, records, streams.definition)
    return list(partition.models.values())


def test_a_state_read_and_written_again_is_the_same(models):
    """Byte for byte, piece for piece, for every task."""
    assert {model.name.split("/")[0] for model in models} == set(streams.TASKS)
    for model in models:
        pieces = snapshot.cut(model)
        assert snapshot.cut(snapshot.load(pieces)) == pieces


def test_names_with_slashes_keep_their_pieces_apart():
    """Window `a` of version `b/c` is not window `a/b` of version `c`."""
    names = ["a", "a/b", "a%2Fb"]
    definition = Definition(
        windows=[Window(name=name, size_ms=60_000, step_ms=60_000) for name in names]
    )
    partition = Partition(0)
    records = [raw_inference(offset=at, version=name) for at, name in enumerate(["b/c", "c"])]
    folding.fold(partition, records, lambda _: definition)
    [model] = partition.models.values()
    again = snapshot.load(snapshot.cut(model))
    for name in names:
        for version in ("b/c", "c"):
            assert again.state.tracks[name][version].panes


def test_the_order_of_pieces_does_not_matter(models):
    """A topic gives them back in any order."""
    for model in models:
        pieces = snapshot.cut(model)
        again = snapshot.load(dict(reversed(pieces.items())))
        assert snapshot.cut(again).keys() == pieces.keys()
        assert snapshot.cut(again) == pieces


def test_a_piece_that_never_changes_is_not_written_again(models):
    """Full slabs and answers that a checkpoint knows cost nothing; everything else is looked at."""
    model = models[0]
    pieces = snapshot.cut(model)
    again = snapshot.cut(model, known=pieces)
    for name, data in again.items():
        assert data == (None if name.split("/")[0] in ("slab", "answers") else pieces[name])


def test_a_newer_format_is_refused(models):
    """The operator starts the version that wrote it; nothing is guessed."""
    pieces = snapshot.cut(models[0])
    head = msgspec.msgpack.decode(pieces["head"])
    head["format"] = FORMAT + 1
    with pytest.raises(
        ConfigError, match=f"format {FORMAT + 1}, this version reads up to {FORMAT}"
    ):
        snapshot.load(pieces | {"head": msgspec.msgpack.encode(head)})


def test_a_newer_format_is_refused_whatever_else_it_holds(models):
    """Its pieces may mean anything by then: the number is read first."""
    pieces = {"head": msgspec.msgpack.encode({"format": FORMAT + 5, "name": [1, 2]}), "novel": b""}
    with pytest.raises(ConfigError):
        snapshot.load(pieces)


def test_a_state_without_its_head_is_damage(models):
    """Which other pieces there must be, a checkpoint's root says."""
    pieces = snapshot.cut(models[0])
    del pieces["head"]
    with pytest.raises(ValueError, match="cannot be read"):
        snapshot.load(pieces)


def test_cut_off_bytes_are_damage(models):
    """Every piece, at any length shorter than its own, is refused with a sentence."""
    pieces = snapshot.cut(models[0])
    for name, data in pieces.items():
        for end in sorted({0, len(data) // 3, len(data) // 2, len(data) - 1}):
            with pytest.raises(ValueError, match=r"cannot be read|damaged"):
                snapshot.load(pieces | {name: data[:end]})


def test_nothing_but_msgpack_is_read(models):
    """No pickle, whatever the bytes: an object that would run code is just damage."""
    pieces = snapshot.cut(models[0])
    evil = (
        b"\x80\x04\x95\x1d\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."
    )
    for name in pieces:
        with pytest.raises(ValueError, match="cannot be read"):
            snapshot.load(pieces | {name: evil})


def test_ids_that_leave_their_bytes_are_damage(models):
    """Compiled code would read what is not there: ends that fall, lie beyond, or are too few."""
    for model in models:
        pieces = snapshot.cut(model)
        name = next(name for name in pieces if name.startswith(("slab/", "open/")))
        slab = model.state.pending.slabs[int(name.split("/")[1])]
        ends = slab.ids.ends
        for bad in (ends[::-1], ends - 1_000, ends + 1_000_000, ends[:-1], ends.astype(np.int64)):
            ids = msgspec.structs.replace(slab.ids, ends=bad)
            _is_refused(pieces, name, msgspec.structs.replace(slab, ids=ids))


def test_columns_of_other_lengths_are_damage(models):
    """Each column that the join reads has a value for each id, or is not there."""
    for model in models:
        pieces = snapshot.cut(model)
        name = next(name for name in pieces if name.startswith(("slab/", "open/")))
        slab = model.state.pending.slabs[int(name.split("/")[1])]
        for field, bad in (
            ("row", slab.row[:-1]),
            ("late", slab.late[:-1]),
            ("value", np.zeros(len(slab.ids) + 1)),
            ("scores", np.zeros((2, len(slab.ids) + 1), np.float32)),
            ("query", np.zeros((2, 1), np.int64)),
        ):
            _is_refused(pieces, name, msgspec.structs.replace(slab, **{field: bad}))


def _is_refused(pieces, name, slab):
    with pytest.raises(ValueError, match="cannot be read"):
        snapshot.load(pieces | {name: snapshot._encoder.encode(slab)})


def test_a_window_that_closes_past_the_horizon_is_forgotten_when_it_would_have_been():
    """What is past it is looked for by steps: a successor neither looks nor forgets sooner."""
    window = Window(name="hop", size_ms=120_000, step_ms=30_000, grace_ms=0)
    facts = ModelFacts(task="binary", label_horizon_ms=15_000, label_delay_ms=10_000)
    log = folding.Log(Definition(model=facts, windows=[window]))
    log.rows(4, 10_000, score=[0.5] * 4)
    log.tick(110_000)
    log.tick(121_000)
    (model,) = log.partition.models.values()
    (track,) = model.state.tracks["hop"].values()
    assert any(closed.to_ms < track.swept_ms for closed in track.closed.values())
    again = Partition(0)
    again.restore(snapshot.cut(model))
    raw = raw_labels(
        ids=["none"], label=[1.0], offset=log.offset, record_time_ms=log.start_ms + 122_000
    )
    folding.fold(again, [raw], lambda name: log.definition)
    log.write(raw)
    assert snapshot.cut(again.models[model.name]) == snapshot.cut(model)
