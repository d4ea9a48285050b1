"""What stands on the state topic: cost follows change, the newest whole state rules."""

import pytest

from inferwatch.errors import ConfigError
from inferwatch.records.definition import Definition, ModelFacts
from inferwatch.runtime import checkpoint
from inferwatch.runtime.checkpoint import BrokenStateError, Marker, Root

BIG = bytes(range(256)) * 5_000


def written(model, offset, pieces, before=None, writer="w"):
    """One model's part of a checkpoint as records, chunks first."""
    one = checkpoint.cut(model, offset, pieces, before, writer)
    return one, [*one.chunks, one.record]


def marker(offset, models, writer="w"):
    """A marker record."""
    return checkpoint.marker_record(offset, models, writer)


def test_what_was_cut_comes_back():
    """Pieces of any size are read back byte for byte, from chunks of at most 512 KB."""
    one, records = written("a/b", 7, {"head": b"x", "big": BIG, "none": b""})
    assert all(len(value) <= checkpoint.CHUNK_BYTES for _, value in one.chunks)
    found = checkpoint.gather([*records, marker(9, {"a/b": 7})])
    assert found.states == {"a/b": {"head": b"x", "big": BIG, "none": b""}}
    assert (found.offset, found.roots["a/b"].offset) == (9, 7)


def test_only_what_changed_is_written():
    """A piece with the same bytes, or one that never changes, costs nothing the second time."""
    first, records = written("a/b", 7, {"head": b"x", "big": BIG})
    second, more = written("a/b", 8, {"head": b"y", "big": BIG}, first.root)
    third, most = written("a/b", 9, {"head": b"y", "big": None}, second.root)
    assert [value for _, value in second.chunks] == [b"y"]
    assert third.chunks == []
    found = checkpoint.gather([*records, *more, *most, marker(9, {"a/b": 9})])
    assert found.states["a/b"] == {"head": b"y", "big": BIG}
    assert [value for key, value in records if key in second.freed] == [b"x"]


def test_a_root_without_its_chunk_gives_way_to_the_one_before():
    """A checkpoint that was cut off is as if it had never begun."""
    first, records = written("a/b", 7, {"head": b"old"}, writer="one")
    _, torn = written("a/b", 9, {"head": b"new"}, writer="two")
    found = checkpoint.gather([*records, marker(7, {"a/b": 7}, "one"), torn[-1]])
    assert found.states["a/b"] == {"head": b"old"} and found.roots["a/b"] == first.root


def test_the_highest_offset_rules_not_the_last_record():
    """A stalled writer's late and older state is no news."""
    _, new = written("a/b", 9, {"head": b"new"}, writer="two")
    _, stale = written("a/b", 7, {"head": b"old"}, writer="one")
    late = [marker(9, {"a/b": 9}, "two"), *stale, marker(7, {"a/b": 7}, "one")]
    assert checkpoint.gather([*new, *late]).offset == 9
    assert checkpoint.gather([*new, *late]).states["a/b"] == {"head": b"new"}


def test_a_marker_counts_only_with_what_it_vouches_for():
    """A marker whose states were deleted or overtaken falls back to one that holds."""
    _, records = written("a/b", 7, {"head": b"x"})
    lines = [*records, marker(7, {"a/b": 7}, "one"), marker(99, {"a/b": 98}, "two")]
    assert checkpoint.gather(lines).offset == 7


@pytest.mark.parametrize("place", range(3))
def test_a_flipped_bit_is_told(place):
    """Damage to any byte of a chunk, a root or a marker never becomes a state."""
    _, records = written("a/b", 7, {"head": b"x" * 50})
    lines = [*records, marker(7, {"a/b": 7})]
    key, value = lines[place]
    for at in range(len(value)):
        damaged = [*lines]
        damaged[place] = (key, value[:at] + bytes([value[at] ^ 4]) + value[at + 1 :])
        with pytest.raises(BrokenStateError, match=r"a/b|on the state topic"):
            checkpoint.gather(damaged)


def test_a_newer_format_is_refused():
    """A state of a later release is nothing to guess about."""
    root = checkpoint._sealed(Root(format=99, model="a/b", offset=1, pieces=[]))
    with pytest.raises(ConfigError, match="format 99"):
        checkpoint.gather([(b"r|a/b|w", root)])
    newer = checkpoint._sealed(Marker(format=99, offset=1, models={}))
    with pytest.raises(ConfigError, match="format 99"):
        checkpoint.gather([(b"o|w", newer)])


def test_the_first_definition_in_the_log_rules():
    """Two owners at once may each write one; all who come after take the same."""
    early, late = Definition(), Definition(model=ModelFacts(task="binary"))
    lines = [
        checkpoint.definition_record("a/b", early, "one"),
        checkpoint.definition_record("a/b", late, "two"),
    ]
    assert checkpoint.gather(lines).definitions == {"a/b": early}


def test_a_definition_is_spare_only_once_its_model_has_a_root():
    """A first definition is kept for the next owner until a checkpoint holds the model."""
    definition = checkpoint.definition_record("a/b", Definition(), "one")
    _, records = written("c/d", 7, {"head": b"x"})
    found = checkpoint.gather([definition, *records, marker(7, {"c/d": 7})])
    assert definition[0] not in found.spare
    _, mine = written("a/b", 8, {"head": b"y"})
    lines = [definition, *records, *mine, marker(8, {"a/b": 8, "c/d": 7})]
    assert definition[0] in checkpoint.gather(lines).spare


def test_markers_are_spare_first_and_needed_chunks_never():
    """What vouches goes before what it vouches for; a chunk that a root binds stays."""
    first, records = written("a/b", 7, {"head": b"x"}, writer="one")
    second, more = written("a/b", 8, {"head": b"y"}, first.root, writer="two")
    lines = [*records, marker(7, {"a/b": 7}, "one"), *more, marker(8, {"a/b": 8}, "two")]
    spare = checkpoint.gather(lines).spare
    assert [key[:2] for key in spare[:2]] == [b"o|", b"o|"]
    assert all(key not in spare for key, _ in second.chunks)
    assert records[0][0] in spare


def test_deleted_records_are_gone():
    """A tombstone takes back what its key said."""
    _, records = written("a/b", 7, {"head": b"x"})
    gone = [(key, None) for key, _ in records]
    assert checkpoint.gather([*records, *gone]).states == {}
