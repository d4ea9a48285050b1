"""Limits that counting alone can prove are the limits that the scan finds."""

import json
from random import Random

import pytest

from inferwatch.errors import DataError
from inferwatch.records import bounds

PIECES = [
    *('{"a":', '{"b": ', '"a" :', '"b":', '"c"', '"1"', "1", "-2.5e3", "9" * 18, "1" + "0" * 18),
    *(
        "9" * 20,
        "0." + "3" * 25,
        "0." + "3" * 40,
        "." + "4" * 17,
        "5" * 3,
        "[",
        "]",
        "{",
        "}",
        ",",
        " ",
        '"',
        "\\",
        '"\\u0061":',
        "null",
        "ü",
    ),
]
EVENT = b'{"model":"m","features":{"x":1,"y":2.5},"scores":{"a":0.5},"prediction":"m"}'


@pytest.mark.parametrize("seed", range(60))
def test_what_counting_lets_pass_the_scan_lets_pass(seed):
    """Random pieces of JSON, whole or not: never is a record spared that the scan would reject."""
    draw = Random(seed)
    spared = 0
    for _ in range(400):
        body = "".join(draw.choices(PIECES, k=draw.randint(1, 30))).encode()
        if bounds._plain(body, 3):
            spared += 1
            bounds._scan(body, 3)
    assert spared


def test_an_ordinary_event_needs_no_scan():
    """Also with words that are there twice; with a name twice in one object it does."""
    assert bounds._plain(EVENT, bounds.FIELDS_MAX)
    twice = EVENT.replace(b'"y"', b'"x"')
    assert not bounds._plain(twice, bounds.FIELDS_MAX)
    with pytest.raises(DataError):
        bounds.check(twice)


def test_a_long_vector_needs_no_scan():
    """Numbers of as many digits as a double has, thousands of them, are within every limit."""
    draw = Random(0)
    vector = [draw.gauss(0, 10.0**-scale) for scale in range(5) for _ in range(800)]
    body = json.dumps({"model": "m", "embedding": vector}).encode()
    assert len(body) > 8 * bounds.STRING_MAX_BYTES
    assert bounds._plain(body, bounds.FIELDS_MAX)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' + b"1" * 20 + b"}",
        b'{"a":"b}',
        b'{"a":' * 17 + b"1" + b"}" * 17,
        b'{"a":"\\u0061"}',
        b'{"a" : 1, "a": 2}',
        b'{"a":"' + b"x" * (bounds.STRING_MAX_BYTES + 1) + b'"}',
    ],
)
def test_what_may_break_a_limit_is_scanned(body):
    """Long digits, open strings, depth, escapes, names twice, long strings."""
    assert not bounds._plain(body, bounds.FIELDS_MAX)
