"""Columns are little-endian arrays, texts end to end, words by dictionary."""

import array
import struct

import pytest

from inferwatch.records import columns


@pytest.mark.parametrize(
    ("typecode", "size", "values"),
    [
        ("f", 4, [1.5, -0.0, float("inf")]),
        ("d", 8, [0.1, 1e300]),
        ("q", 8, [-(2**63), 2**63 - 1]),
        ("i", 4, [-1, 2**31 - 1]),
        ("I", 4, [0, 2**32 - 1]),
    ],
)
def test_numbers_are_packed_as_struct_packs_them(typecode, size, values):
    """The standard library's struct, asked for little-endian, gives the same bytes and sizes."""
    packed = columns.pack(typecode, values)
    assert packed == struct.pack(f"<{len(values)}{typecode}", *values)
    assert len(packed) == size * len(values)


def test_byte_order_is_that_of_the_wire_on_any_machine(monkeypatch):
    """A big-endian machine swaps: the array that it would have is written the same way."""
    monkeypatch.setattr(columns.sys, "byteorder", "big")
    assert columns.pack("i", [1]) == array.array("i", [1]).tobytes()[::-1]


def test_texts_end_where_their_bytes_do():
    """Ends count bytes, not letters; an empty text has the end of the one before it."""
    packed = columns.pack_texts(["ä", "", "bc"])
    assert packed.data == "äbc".encode()
    assert struct.unpack("<3I", packed.ends) == (2, 2, 4)


def test_a_lone_surrogate_is_no_error():
    """What UTF-8 cannot hold becomes a question mark: the caller is a model server."""
    assert columns.pack_texts(["a\ud800b"]).data == b"a?b"


def test_nothing_is_an_empty_column():
    """No rows have no bytes."""
    assert columns.pack("d", []) == b""
    assert columns.pack_texts([]) == columns.Texts(b"", b"")
    assert columns.pack_categories([]) == columns.Categories([], b"")


def test_words_are_numbered_as_they_come():
    """None is -1; an empty word is a word."""
    packed = columns.pack_categories(["b", None, "a", "b", ""])
    assert packed.words == ["b", "a", ""]
    assert struct.unpack("<5i", packed.codes) == (0, -1, 1, 0, 2)
