"""What must not leave the process does not: in no byte, no header and no log line."""

import hashlib
import hmac
import logging

import pytest

CANARY = "4111-1111-1111-1111"
NUMBER_CANARY = 123456789
ROW = {"card": CANARY, "income": 51_000.0, "user_email": "a@b.example", "amount": 3.5}


def send_everything(monitor, wire):
    """The canaries by every door: rows, batches, segments, entity."""
    segments = {"branch": CANARY}
    monitor.log(ROW, 1, 0.5, entity_id=CANARY, segments=segments)
    columns = {name: [value] * 3 for name, value in ROW.items()}
    monitor.log_batch(columns, [1, 0, 1], entity_id=CANARY, segments=segments)
    return wire.drain(monitor)


def test_features_outside_include_appear_in_no_byte(wire):
    """With `include`, only matching features are sent, from `log` and `log_batch` alike."""
    monitor = wire.monitor(include=["amount", "inc*"])
    monitor.log(ROW, 1)
    monitor.log_batch({name: [value] * 3 for name, value in ROW.items()}, [1, 0, 1])
    (batch,) = wire.drain(monitor)
    assert batch.rows == 4
    assert (batch.numeric.names, batch.categories) == (["income", "amount"], {})
    for canary in (CANARY.encode(), b"a@b.example", b"card", b"user_email"):
        assert canary not in wire.bodies[0]


def test_hashed_values_are_keyed_tokens_that_keep_equality(wire, monkeypatch):
    """A token is HMAC-SHA256 of the value's text, 16 hex digits; the value itself is nowhere."""
    monkeypatch.setenv("INFERWATCH_HASH_KEY", "k")
    monitor = wire.monitor(hash=["card", "branch", "entity_id"])
    send_everything(monitor, wire)
    token = hmac.new(b"k", CANARY.encode(), hashlib.sha256).hexdigest()[:16]
    (batch,) = wire.records
    assert batch.categories["card"].words == [token]
    assert batch.segments["branch"].words == [token]
    assert batch.entity.data == token.encode() * 4
    assert CANARY.encode() not in wire.bodies[0]


def test_a_number_has_one_token_by_either_door(wire, monkeypatch):
    """A hashed id keeps all its digits: float32 would merge neighbours before hashing."""
    monkeypatch.setenv("INFERWATCH_HASH_KEY", "k")
    numpy = pytest.importorskip("numpy")
    monitor = wire.monitor(hash=["customer"])
    monitor.log({"customer": NUMBER_CANARY})
    monitor.log_batch({"customer": numpy.array([NUMBER_CANARY, NUMBER_CANARY + 1])})
    (batch,) = wire.drain(monitor)
    token = hmac.new(b"k", str(NUMBER_CANARY).encode(), hashlib.sha256).hexdigest()[:16]
    assert batch.categories["customer"].words[0] == token
    assert len(batch.categories["customer"].words) == 2
    assert batch.numeric is None


def test_without_a_key_the_columns_are_left_out_and_one_warning_says_so(wire, caplog):
    """No key, no token: the value is dropped, the rest of the row is sent."""
    with caplog.at_level(logging.WARNING):
        monitor = wire.monitor(hash=["card", "branch", "entity_id", "user_*"])
        (batch,) = send_everything(monitor, wire)
    assert batch.rows == 4
    assert (batch.categories, batch.segments, batch.entity) == ({}, {}, None)
    assert CANARY.encode() not in wire.bodies[0]
    assert ["INFERWATCH_HASH_KEY" in line for line in caplog.messages] == [True]


def test_the_key_may_come_from_a_file(wire, monkeypatch, tmp_path):
    """INFERWATCH_HASH_KEY_FILE names a file; its trailing newline is not part of the key."""
    (tmp_path / "key").write_text("k\n")
    monkeypatch.setenv("INFERWATCH_HASH_KEY_FILE", str(tmp_path / "key"))
    monitor = wire.monitor(hash=["card"])
    monitor.log({"card": "x"})
    (batch,) = wire.drain(monitor)
    expected = hmac.new(b"k", b"x", hashlib.sha256).hexdigest()[:16]
    assert batch.categories["card"].words == [expected]


def test_an_unreadable_key_file_sends_nothing(wire, monkeypatch, caplog):
    """A key that cannot be read is no reason to send the values in clear, nor to raise."""
    monkeypatch.setenv("INFERWATCH_HASH_KEY_FILE", "/nowhere/key")
    monitor = wire.monitor(hash=["card"])
    monitor.log(ROW, 1)
    assert wire.drain(monitor) == []
    assert "nothing is sent" in caplog.text


def test_no_log_line_quotes_a_value(wire, caplog):
    """Rows that are refused and values that are odd are told by name and type only."""

    class Odd:
        def __float__(self):
            raise ValueError(CANARY)

        def __repr__(self):
            return CANARY

        __str__ = __repr__

    monitor = wire.monitor()
    for junk in (Odd(), [CANARY], {"x": CANARY}, CANARY.encode()):
        monitor.log({"card": junk})
        monitor.log(ROW, prediction=junk)
        monitor.log(ROW, latency_ms=junk)
        monitor.log(ROW, timestamp=CANARY)
        monitor.log_batch({"card": [junk]}, proba=[junk])
        monitor.log_label("1", junk)
    wire.drain(monitor)
    assert caplog.messages
    assert CANARY not in caplog.text


@pytest.mark.parametrize("patterns", ["card", ["card"]])
def test_a_single_text_is_a_pattern_and_no_set_of_letters(wire, monkeypatch, patterns):
    """`hash="card"` hashes `card`: read by its letters it named nothing, and all left in clear."""
    monkeypatch.setenv("INFERWATCH_HASH_KEY", "k")
    monitor = wire.monitor(include=patterns, hash=patterns)
    monitor.log({"card": CANARY, "c": 1.0}, 1)
    (batch,) = wire.drain(monitor)
    assert list(batch.categories) == ["card"] and batch.numeric is None
    assert CANARY.encode() not in wire.bodies[0]


def test_a_name_with_brackets_is_hashed_as_it_is_written(wire, monkeypatch):
    """A glob takes `[0]` for a set of characters: `hash=["cards[0]"]` let `cards[0]` leave."""
    monkeypatch.setenv("INFERWATCH_HASH_KEY", "k")
    monitor = wire.monitor(hash=["cards[0]"])
    monitor.log({"cards[0]": CANARY}, 1)
    wire.drain(monitor)
    assert CANARY.encode() not in wire.bodies[0]
