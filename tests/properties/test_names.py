"""Versions, columns and values may have any name: none of its letters changes what is found."""

import msgspec
import pytest

from inferwatch.core.fold import Partition
from inferwatch.records.decode import decode
from inferwatch.records.rows import Rows, Truths, Words
from inferwatch.testing import streams

PLAIN = "\x1d"
HASHED = {"id", "fingerprint"}


def renamed(record, letter):
    """The record with `letter` behind each version, a column's name and every value in words."""

    def name(text):
        return text and text + letter

    def word(column):
        return Words(tuple(map(name, column.words)), column.codes)

    changes = {}
    if getattr(record, "version", None):
        changes["version"] = name(record.version)
    if isinstance(record, Rows):
        changes["entity"] = None  # which are remembered is by a hash of the version
        columns = ((name(of) if of == "age" else of) for of in record.numeric_names)
        changes["numeric_names"] = tuple(columns)
        changes["score_names"] = tuple(map(name, record.score_names))
        for kind in ("segments", "categories"):
            found = getattr(record, kind)
            changes[kind] = {of: word(column) for of, column in found.items()}
    for kind in ("prediction", "label") if isinstance(record, Rows | Truths) else ():
        answer = getattr(record, kind, None)
        if isinstance(answer, Words):
            changes[kind] = word(answer)
    return msgspec.structs.replace(record, **changes) if changes else record


def told(records, letter):
    """What is published of the stream, but for what is a hash of names."""
    partition, found = Partition(0), []
    for raw in records:
        decoded = decode(raw)
        decoded = msgspec.structs.replace(decoded, record=renamed(decoded.record, letter))
        model = partition.undefined(decoded)
        if model is not None:
            partition.define(model, streams.definition(model), raw.offset)
        for output in partition.fold(raw, decoded):
            body = msgspec.json.decode(output.value)
            found.append({key: value for key, value in body.items() if key not in HASHED})
    return found


def spelt(value, letter):
    """The same with `letter` wherever the plain one is."""
    if isinstance(value, dict):
        return {spelt(key, letter): spelt(one, letter) for key, one in value.items()}
    if isinstance(value, list):
        return [spelt(one, letter) for one in value]
    return value.replace(PLAIN, letter) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def plain():
    """What names without any such letter give."""
    return told(streams.placed(streams.stream(5, models=2, records=200)), PLAIN)


@pytest.mark.parametrize("letter", ["\x1f", "\x1fs", ":=/|"])
def test_letters_that_keys_are_made_of_do_not_show(letter, plain):
    """What separates the parts of a key is a letter like any other in a name."""
    found = told(streams.placed(streams.stream(5, models=2, records=200)), letter)
    pairs = zip(found, spelt(plain, letter), strict=True)
    assert next((pair for pair in pairs if pair[0] != pair[1]), None) is None
