"""What every row method owes the fold; one that is new in `ROW_METHODS` is held to it at once."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch.core import drift
from inferwatch.core.drift import ROW_METHODS, STREAMS, DetectorState
from inferwatch.core.drift.row_anomaly import RowAnomaly
from inferwatch.core.drift.scale import ERRORS, LATENCIES, Scale

SCALE = Scale(low=-4.0, high=6.0, mean=0.0, sd=1.0)
NAMES = [name for name, method in ROW_METHODS.items() if method is not RowAnomaly]
BOTH_WAYS = ("adwin", "page_hinkley", "hddm_a", "kswin", "ddm")
"""Find a level that comes back too; charts are held against the reference."""
each = pytest.mark.parametrize("name", NAMES)


def scale(name):
    """What the method knows of its stream: a column's reference, or nothing of errors."""
    return SCALE if "feature" in STREAMS[name] else ERRORS


def make(name):
    method = ROW_METHODS[name]
    return method.make(scale(name), method.PARAMS)


def part(name):
    """Rows of each level of its stream."""
    return 700 if scale(name) is SCALE else 3_000


def stream(name, seed=5, shift=2.0):
    """A level that goes to `shift` and back, under noise, or rates of errors that rise twice."""
    generator, rows = np.random.default_rng(seed), part(name)
    if scale(name) is SCALE:
        return np.concatenate([generator.normal(level, 1, rows) for level in (0.0, shift, 0.0)])
    rates = np.repeat([0.1, 0.7, 0.1, 0.7], rows)
    return (generator.random(4 * rows) < rates).astype(np.float64)


def told(detector, values, first=0):
    """Findings as plain tuples, every number of them."""
    found = detector.update_many(values)
    return [(finding.row + first, finding.before, finding.after) for finding in found]


def stored(detector):
    """The detector after its state went through the bytes of a checkpoint."""
    written = msgspec.msgpack.encode(detector.dump())
    return drift.load(msgspec.msgpack.decode(written, type=DetectorState))


@each
def test_a_state_becomes_its_own_detector(name):
    """`load` finds the class, whatever the method."""
    made = make(name)
    assert type(drift.load(made.dump())) is type(made)


@each
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_cut_at_any_row_shows_nowhere(name, data):
    """Batches of any length, the state stored between them: the same findings, bit by bit."""
    values = stream(name)
    cuts = data.draw(st.lists(st.integers(0, len(values)), max_size=6).map(sorted))
    detector, found = make(name), []
    for first, last in zip([0, *cuts], [*cuts, len(values)], strict=True):
        found += told(detector, values[first:last], first)
        detector = stored(detector)
    assert found == told(make(name), values)
    assert len(found) >= 2


@each
def test_a_state_stored_after_every_row_shows_nowhere(name):
    """One row, one checkpoint, some thousand times: the same findings, bit by bit."""
    values, detector, found = stream(name), make(name), []
    for row in range(len(values)):
        found += told(detector, values[row : row + 1], row)
        detector = stored(detector)
    assert found == told(make(name), values)


@each
def test_equal_streams_leave_equal_states(name):
    """What is dumped follows from the values alone, so a repeated checkpoint has the same bytes."""
    one, other = make(name), make(name)
    one.update_many(stream(name)[:1_000])
    for value in stream(name)[:1_000]:
        other.update_many(np.array([value]))
    assert msgspec.msgpack.encode(one.dump()) == msgspec.msgpack.encode(stored(other).dump())


@each
@pytest.mark.parametrize("gap", [np.nan, np.inf, -np.inf])
def test_what_is_not_a_number_is_passed_over(name, gap):
    """NaN and ±Inf change no decision; rows are counted with them."""
    values = stream(name)
    holed = np.repeat(values, 2)
    holed[1::2] = gap
    expected = [(2 * row, before, after) for row, before, after in told(make(name), values)]
    assert told(make(name), holed) == expected
    assert told(make(name), np.full(1_000, gap)) == told(make(name), np.empty(0)) == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "eddm"])  # too restless
@pytest.mark.parametrize("shift", [-2.0, 2.0])
def test_the_direction_is_that_of_the_shift(name, shift):
    """There and back: the first two findings name the way the level went."""
    rows, up = part(name), shift > 0 or scale(name) is ERRORS
    for seed in range(20):
        first, *more = make(name).update_many(stream(name, seed, shift))
        assert first.direction == ("up" if up else "down")
        assert rows <= first.row < 2 * rows
        if name in BOTH_WAYS:
            assert more[0].direction == ("down" if up else "up")
            assert more[0].row >= 2 * rows


@each
def test_values_of_a_feature_are_read_as_they_travel(name):
    """float32 columns, as batches hold them, give whole findings too."""
    values = stream(name)
    found = told(make(name), values.astype(np.float32))
    assert [row for row, *_ in found] == [row for row, *_ in told(make(name), values)]


@each
def test_whole_numbers_as_parameters_survive_a_checkpoint(name):
    """A monitor file may say `1` for `1.0`; the state is intact all the same."""
    method = ROW_METHODS[name]
    params = {key: int(value) or value for key, value in method.PARAMS.items()}
    detector = method.make(Scale(0, 1, 0, 1), params)
    detector.update_many(np.linspace(0, 1, 20))
    assert stored(detector).dump() == detector.dump()


def damage(value):
    """A value near `value` that it never was."""
    if isinstance(value, bytes):
        return bytes([value[0] ^ 1]) + value[1:] if value else b"0"
    if isinstance(value, str):
        return value + "0"
    if isinstance(value, dict):
        return {key: damage(number) for key, number in value.items()}
    return value + 1 if isinstance(value, int) else math.nextafter(value, math.inf)


@each
def test_a_damaged_state_is_refused(name):
    """One bit of any field: a `ValueError`, not another decision and not a crash of river."""
    detector = make(name)
    detector.update_many(stream(name)[:900])
    state = detector.dump()
    for field in state.__struct_fields__:
        broken = msgspec.structs.replace(state, **{field: damage(getattr(state, field))})
        with pytest.raises(ValueError, match="damaged"):
            drift.load(broken)


@pytest.mark.parametrize("name", [name for name in NAMES if "latency" in STREAMS[name]])
def test_latencies_are_taken_by_their_logarithm(name):
    """Milliseconds with heavy tails: quiet for 20,000 rows, a doubled latency is found and told in
    milliseconds; what is not above zero is passed over.
    """
    generator, method = np.random.default_rng(3), ROW_METHODS[name]
    values = generator.lognormal(4.0, 0.5, 20_000)
    values[::100] = generator.choice([0.0, -1.0, np.nan, np.inf], 200)
    detector = method.make(LATENCIES, method.PARAMS)
    assert told(detector, values) == []
    found = told(detector, 2 * generator.lognormal(4.0, 0.5, 2_000))
    _, before, after = found[0]
    assert 45 < before < 65 and 80 < after < 140
    assert told(stored(detector), values[:100]) == told(detector, values[:100])


@each
def test_a_constant_reference_makes_blind(name):
    """Without a range nothing can be told, and nothing raises."""
    method = ROW_METHODS[name]
    detector = method.make(Scale(1.0, 1.0, 1.0, 0.0), method.PARAMS)
    assert detector.update_many(np.arange(3_000.0)) == []
    assert stored(detector).dump() == detector.dump()


def test_blocks_of_page_hinkley_are_scaled():
    """Blocks of 100 decide as the exact one fed with the means of each 100 finite values, with
    threshold and least rows divided by 100, wherever calls are cut.
    """
    generator = np.random.default_rng(8)
    values = np.repeat([0.0, 1.0, 0.0], 20_000) + generator.normal(size=60_000)
    values[::7] = np.nan
    known = np.flatnonzero(~np.isnan(values))
    known = known[: len(known) // 100 * 100].reshape(-1, 100)
    means = np.add.accumulate(np.clip(values[known], -4.0, 6.0), axis=1)[:, -1] / 100
    method = ROW_METHODS["page_hinkley"]
    plain = method.make(SCALE, {"delta": 0.2, "threshold": 0.4, "block": 1})
    blocks = method.make(SCALE, {"delta": 0.2, "threshold": 40.0, "block": 100})
    expected = [(int(known[row, -1]), *rest) for row, *rest in told(plain, means)]
    found = []
    for at in range(0, len(values), 333):
        found += told(blocks, values[at : at + 333], at)
        blocks = stored(blocks)
    assert [row for row, *_ in found if row > 3_100] == [row for row, *_ in expected] != []
