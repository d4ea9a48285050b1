"""What every row method owes the fold; one that is new in `ROW_METHODS` is held to it at once."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch.core import drift
from inferwatch.core.drift import ROW_METHODS, DetectorState
from inferwatch.core.drift.scale import Scale

SCALE = Scale(low=-4.0, high=6.0, mean=0.0, sd=1.0)
each = pytest.mark.parametrize("name", ROW_METHODS)


def make(name):
    method = ROW_METHODS[name]
    return method.make(SCALE, method.PARAMS)


def stream(seed=5, shift=2.0):
    """A level that goes to `shift` and back, under noise: changes for every method."""
    generator = np.random.default_rng(seed)
    return np.concatenate([generator.normal(level, 1, 700) for level in (0.0, shift, 0.0)])


def told(detector, values, first=0):
    """Findings as plain tuples, every number of them."""
    found = detector.update_many(values)
    return [(finding.row + first, finding.before, finding.after) for finding in found]


def stored(detector):
    """The detector after its state went through the bytes of a checkpoint."""
    written = msgspec.msgpack.encode(detector.dump())
    return drift.load(msgspec.msgpack.decode(written, type=DetectorState))


@each
def test_a_state_is_tagged_with_the_methods_name(name):
    """`load` finds the class by the tag, whatever the method."""
    state = make(name).dump()
    assert state.__struct_config__.tag == name
    assert type(drift.load(state)) is ROW_METHODS[name]


@each
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_cut_at_any_row_shows_nowhere(name, data):
    """Batches of any length, the state stored between them: the same findings, bit by bit."""
    values = stream()
    cuts = data.draw(st.lists(st.integers(0, len(values)), max_size=6).map(sorted))
    detector, found = make(name), []
    for first, last in zip([0, *cuts], [*cuts, len(values)], strict=True):
        found += told(detector, values[first:last], first)
        detector = stored(detector)
    assert found == told(make(name), values)
    assert len(found) >= 2


@each
def test_a_state_stored_after_every_row_shows_nowhere(name):
    """One row, one checkpoint, 2,100 times: the same findings, bit by bit."""
    values, detector, found = stream(), make(name), []
    for row in range(len(values)):
        found += told(detector, values[row : row + 1], row)
        detector = stored(detector)
    assert found == told(make(name), values)


@each
def test_equal_streams_leave_equal_states(name):
    """What is dumped follows from the values alone, so a repeated checkpoint has the same bytes."""
    one, other = make(name), make(name)
    one.update_many(stream()[:1_000])
    for value in stream()[:1_000]:
        other.update_many(np.array([value]))
    assert msgspec.msgpack.encode(one.dump()) == msgspec.msgpack.encode(stored(other).dump())


@each
@pytest.mark.parametrize("gap", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_passed_over(name, gap):
    """NaN and ±Inf change no decision; rows are counted with them."""
    values = stream()
    holed = np.repeat(values, 2)
    holed[1::2] = gap
    expected = [(2 * row, before, after) for row, before, after in told(make(name), values)]
    assert told(make(name), holed) == expected
    assert told(make(name), np.full(1_000, gap)) == told(make(name), np.empty(0)) == []


@each
@pytest.mark.parametrize("shift", [-2.0, 2.0])
def test_the_direction_is_that_of_the_shift(name, shift):
    """There and back: the first two findings name the way the level went."""
    for seed in range(20):
        first, second, *_ = make(name).update_many(stream(seed, shift))
        assert first.direction == ("up" if shift > 0 else "down")
        assert second.direction == ("down" if shift > 0 else "up")
        assert 700 <= first.row < 1_400 <= second.row


@each
def test_values_of_a_feature_are_read_as_they_travel(name):
    """float32 columns, as batches hold them, give whole findings too."""
    found = told(make(name), stream().astype(np.float32))
    assert [row for row, *_ in found] == [row for row, *_ in told(make(name), stream())]


@each
def test_whole_numbers_as_parameters_survive_a_checkpoint(name):
    """A monitor file may say `1` for `1.0`; the state is intact all the same."""
    method = ROW_METHODS[name]
    params = dict.fromkeys(method.PARAMS, 1)
    detector = method.make(Scale(0, 1, 0, 1), params)
    detector.update_many(np.linspace(0, 1, 20))
    assert stored(detector).dump() == detector.dump()


def damage(value):
    """A value near `value` that it never was."""
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:]
    if isinstance(value, str):
        return value + "0"
    return value + 1 if isinstance(value, int) else math.nextafter(value, math.inf)


@each
def test_a_damaged_state_is_refused(name):
    """One bit of any field: a `ValueError`, not another decision and not a crash of river."""
    detector = make(name)
    detector.update_many(stream()[:900])
    state = detector.dump()
    for field in state.__struct_fields__:
        broken = msgspec.structs.replace(state, **{field: damage(getattr(state, field))})
        with pytest.raises(ValueError, match="damaged"):
            drift.load(broken)
