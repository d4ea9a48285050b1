"""Canonical bytes: equal records are equal bytes, and nothing in them is not finite."""

import json
import math
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.records.outputs import (
    AlertRecord,
    FeatureFigures,
    Span,
    WindowRecord,
    alert_fingerprint,
    canonical,
    identity,
    live,
    percent,
    significant,
)
from inferwatch.testing.alerts import alert_record

finite = st.floats(allow_nan=False, allow_infinity=False)
WINDOW = WindowRecord(
    id="i",
    model="m",
    version="1",
    window=Span(name="w", start=0, end=60_000),
    metrics={"z": 0.1 + 0.2, "a": 1.0},
    intervals={"a": (0.0, 1 / 3)},
    features={"ü": FeatureFigures(rows=1, mean=2 / 3)},
)


@given(finite)
def test_floats_have_twelve_digits(value):
    """Rounding is idempotent, keeps the sign, and moves a value by less than 1e-11 of it."""
    cut = significant(value)
    assert significant(cut) == cut
    assert math.copysign(1, cut) == math.copysign(1, value)
    assert cut == pytest.approx(value, rel=1e-11, abs=5e-324)


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [1, (-math.inf,)]}])
def test_what_is_not_finite_is_a_bug(value):
    """It raises rather than being published."""
    with pytest.raises(ValueError, match="not finite"):
        significant(value)


def test_a_record_has_one_way_to_be_written():
    """Sorted keys, defaults left out, UTF-8 as it is, read back to the same record."""
    body = canonical(WINDOW)
    keys = list(json.loads(body))
    assert keys == sorted(keys)
    assert b'"metrics":{"a":1.0,"z":0.3}' in body
    assert "ü".encode() in body and b"revision" not in body
    again = msgspec.json.decode(body, type=WindowRecord)
    assert canonical(again) == body
    alert = alert_record(value=1 / 3)
    assert canonical(msgspec.json.decode(canonical(alert), type=AlertRecord)) == canonical(alert)


@given(st.dictionaries(st.text(max_size=5).filter(str.isprintable), finite, max_size=5))
def test_order_of_insertion_does_not_show(metrics):
    """Equal records are equal bytes."""
    backwards = dict(reversed(metrics.items()))
    one, other = (
        canonical(msgspec.structs.replace(WINDOW, metrics=found)) for found in (metrics, backwards)
    )
    assert one == other


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.996, "99 %"), (1.0, "100 %"), (0.3, "30 %"), (0.29, "29 %"), (0.57, "57 %")],
)
def test_a_share_is_rounded_down(share, text):
    """99.6 % is not 100 %; what is exactly n % is n %, whatever its binary form."""
    assert percent(share) == text


def test_every_whole_share_is_itself():
    """0.01 to 1 in hundredths, as divisions give them."""
    assert [percent(n / 100) for n in range(101)] == [f"{n} %" for n in range(101)]


def test_ids_name_their_parts():
    """Parts do not run into each other; the length is fixed."""
    assert identity("a", "bc") != identity("ab", "c")
    assert identity("a", 1) == identity("a", "1")
    assert len(identity()) == 24
    names = ("A", "m", "1", "f", "s")
    assert alert_fingerprint(*names) == identity(*names)


def test_severity_is_no_identity():
    """An alert that gets worse is the same alert."""
    mild, grave = alert_record(severity="warning"), alert_record(severity="critical")
    assert mild.fingerprint == grave.fingerprint


def test_a_backtest_is_not_live():
    """A record without a `run` header, or with `live`, is of a live run."""
    assert live({}) and live({"run": b"live"})
    assert not live({"run": b"may"}) and not live({"run": b""})


def test_floats_are_read_back_to_the_bit():
    """What was written at 12 digits is the float that was meant."""
    value = significant(0.1 + 0.2)
    read = json.loads(canonical(msgspec.structs.replace(WINDOW, metrics={"a": value})))
    assert struct.pack("<d", read["metrics"]["a"]) == struct.pack("<d", value)
