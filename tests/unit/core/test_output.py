"""What is published: canonical bytes under an id, never too large; what goes elsewhere is whole."""

import json
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core import output
from inferwatch.errors import Reason
from inferwatch.records.outputs import (
    OUTPUT_MAX_BYTES,
    FeatureFigures,
    Span,
    WindowRecord,
    canonical,
    significant,
)
from inferwatch.records.raw import RawRecord, Reject
from inferwatch.testing.alerts import alert_record


def window_of(**fields):
    """A window of a model."""
    named = {
        "id": "w1",
        "model": "team/model",
        "version": "1",
        "window": Span(name="fast", start=0, end=60_000),
    }
    return WindowRecord(**named | fields)


def test_a_record_is_written_in_one_way_only():
    """Keys in order, twelve digits, whatever order the figures were put in."""
    names = [f"m{number}" for number in range(20)]
    values = {name: math.pi * 10**place for place, name in enumerate(names)}
    shuffled = Random(1).sample(names, 20)
    one = canonical(window_of(metrics=values))
    assert one == canonical(window_of(metrics={name: values[name] for name in shuffled}))
    text = json.loads(one, object_pairs_hook=lambda pairs: pairs)
    assert [key for key, _ in text] == sorted(key for key, _ in text)
    assert b'"m0":3.14159265359,' in one


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_twelve_digits_are_enough_to_tell_figures_apart(value):
    """The written figure is within 5e-12 of what it was, and writing it again changes nothing."""
    written = significant(value)
    assert written == pytest.approx(value, rel=5e-12, abs=0.0)
    assert significant(written) == written


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_figure_that_is_not_finite_is_ever_written(value):
    """JSON has no NaN: such a figure is a bug of ours, and stops before it is out."""
    with pytest.raises(ValueError, match="not finite"):
        canonical(window_of(metrics={"accuracy": value}))


def features_of(count, *, words=60):
    """Many features with long names, of which every tenth drifted, each a bit more."""
    return {
        f"{'f' * words}{number:05d}": FeatureFigures(
            rows=1, psi=number / 1_000 if number % 10 == 0 else None
        )
        for number in range(count)
    }


def test_a_window_is_cut_to_256_kib_and_says_so():
    """The features with the most drift stay, `truncated` counts the others."""
    record = window_of(features=features_of(5_000), metrics={"rows": 1.0})
    published = output.window_output(record)
    assert len(published.value) <= OUTPUT_MAX_BYTES
    found = json.loads(published.value)
    kept = found["features"]
    assert found["truncated"] == 5_000 - len(kept)
    assert found["metrics"] == {"rows": 1.0}
    ranked = sorted(record.features, key=lambda name: (-(record.features[name].psi or 0), name))
    assert sorted(kept) == sorted(ranked[: len(kept)])
    assert len(kept) > 1_000


def test_what_is_left_out_depends_on_the_figures_only():
    """The same record in another order of its features gives the same bytes."""
    features = features_of(5_000)
    names = Random(2).sample(list(features), 5_000)
    one, other = (
        output.window_output(window_of(features=given))
        for given in (features, {name: features[name] for name in names})
    )
    assert one == other


def test_a_window_that_fits_is_whole():
    """Nothing is left out, and `truncated` is not there."""
    published = output.window_output(window_of(features=features_of(100)))
    assert len(json.loads(published.value)["features"]) == 100
    assert b"truncated" not in published.value


def test_outputs_name_themselves():
    """Keyed by model and by fingerprint; the id is in the CloudEvents header as in the body."""
    window, alert = output.window_output(window_of()), output.alert_output(alert_record())
    assert window.key == b"team/model"
    assert alert.key == json.loads(alert.value)["fingerprint"].encode()
    for published, word in ((window, b"window"), (alert, b"alert")):
        assert published.headers["ce_id"] == published.id.encode()
        assert published.headers["ce_type"] == b"io.inferwatch." + word + b".v1"
        assert json.loads(published.value)["id"] == published.id


def raw_of(**fields):
    """A record that could not be read."""
    named = {
        "topic": "events.v1",
        "partition": 3,
        "offset": 7,
        "time_ms": 5,
        "key": b"k",
        "value": b"\xff",
        "headers": {"traceparent": b"00-x"},
    }
    return RawRecord(**named | fields)


def test_a_dead_letter_holds_the_record_as_it_came_and_why():
    """Key, bytes and headers are the record's own; the reason stands beside them."""
    reject = Reject(reason=Reason.NOT_JSON, detail="no", rows=4)
    (letter,) = output.dead_outputs(raw_of(), [reject])
    assert (letter.kind, letter.key, letter.value, letter.id) == (
        "dead",
        b"k",
        b"\xff",
        "events.v1-3-7",
    )
    assert letter.headers["traceparent"] == b"00-x"
    errors = {
        name: letter.headers[f"__inferwatch.errors.{name}"] for name in ("reason", "rows", "offset")
    }
    assert errors == {"reason": b"not_json", "rows": b"4", "offset": b"7"}


@pytest.mark.parametrize("rejects", [1, 2, 10, 11, 500])
def test_letters_of_one_record_account_for_all_its_rows(rejects):
    """However many reasons: at most ten letters, the bytes once, each id once, no row lost."""
    named = [
        Reject(reason=Reason.BAD_TIME, detail=f"d{place}", row=place, rows=place + 1)
        for place in range(rejects)
    ]
    letters = output.dead_outputs(raw_of(), named)
    assert len(letters) == min(rejects, 10)
    assert len({letter.id for letter in letters}) == len(letters)
    rows = sum(int(letter.headers["__inferwatch.errors.rows"]) for letter in letters)
    assert rows == sum(reject.rows for reject in named)
    assert [letter.value for letter in letters] == [b"\xff"] + [b""] * (len(letters) - 1)


def test_a_record_that_is_sent_on_names_where_it_came_from():
    """Same key, bytes and headers, for one partition; its origin makes a copy of it a repeat."""
    sent = output.forward_output(raw_of(), 9)
    assert (sent.key, sent.value, sent.partition) == (b"k", b"\xff", 9)
    assert output.forwarded_from(sent.headers[output.FORWARDED]) == ("@3", 7)


def test_what_a_bridge_sent_on_keeps_its_place_in_the_source():
    """Two copies of one record of another topic: their letters have one id, and what goes on to
    another partition keeps its origin; sent again by hand it has a letter of its own.
    """
    origin = {output.FORWARDED: b"orders.scored/3@17"}
    reject = Reject(reason=Reason.NOT_JSON, detail="no")
    copies = [raw_of(headers=origin), raw_of(headers=origin, partition=1, offset=90)]
    ids = [letter.id for raw in copies for letter in output.dead_outputs(raw, [reject])]
    assert ids == ["orders.scored/3@17"] * 2
    sent = output.forward_output(copies[1], 9)
    assert output.forwarded_from(sent.headers[output.FORWARDED]) == ("@orders.scored/3", 17)
    again = raw_of(headers=origin | {output.ATTEMPTS: b"1"})
    assert [letter.id for letter in output.dead_outputs(again, [reject])] == ["events.v1-3-7"]


@pytest.mark.parametrize(
    "origin",
    [
        *(b"", b"@", b"1@", b"@1", b"x@1", b"1@x", "٣@١".encode(), b"\xff"),
        *(b"/1@1", b"a/b/1@1", b"o/1@1\n", b"o" * 250 + b"/1@1", b"1@" + b"9" * 19),
    ],
)
def test_an_origin_that_says_nothing_is_no_repeat(origin):
    """A header that anybody may write must not make a record count as seen."""
    assert output.forwarded_from(origin) == ("", 0)
    (letter,) = output.dead_outputs(
        raw_of(headers={output.FORWARDED: origin}), [Reject(reason=Reason.EMPTY, detail="no")]
    )
    assert letter.id == "events.v1-3-7"
