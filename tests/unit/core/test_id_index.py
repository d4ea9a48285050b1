"""The index of ids does what a dictionary does, whatever comes and goes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core.id_index import IdIndex

FEW = st.integers(0, 40).map(lambda number: number * 64)  # all of them want the same first places
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "remove"]), st.lists(FEW, max_size=60)), max_size=30
)


@given(STEPS)
def test_it_is_a_dictionary(steps):
    """Puts, repeats and removals of colliding keys: the same slots, the same counts."""
    index, known, slot = IdIndex(), {}, 0
    for step, keys in steps:
        hashes = np.array(keys, np.uint64)
        if step == "put":
            here = len(known)
            known |= {key: slot + at for at, key in enumerate(keys)}
            assert index.put(hashes, slot).sum() == len(keys) - (len(known) - here)
            slot += len(keys)
        else:
            slots = np.array([known.get(key, 7) for key in keys], np.int64)
            index.remove(hashes, slots)
            known = {key: at for key, at in known.items() if key not in keys}
        every = np.arange(0, 41 * 64, 64, dtype=np.uint64)
        assert index.get(every).tolist() == [known.get(key, -1) for key in every.tolist()]
        hashes, slots = index.items()
        assert dict(zip(hashes.tolist(), slots.tolist(), strict=True)) == known
        assert len(index) == len(known) and slots.tolist() == sorted(known.values())


def test_a_slot_that_was_taken_over_is_not_forgotten():
    """Removing the old slot of a key that has a newer one changes nothing."""
    index, key = IdIndex(), np.array([9], np.uint64)
    index.put(key, 1)
    index.put(key, 5)
    index.remove(key, np.array([1]))
    assert index.get(key).tolist() == [5]


def test_many_ids_fit():
    """Growth keeps what is there."""
    index, keys = IdIndex(), np.random.default_rng(1).integers(0, 1 << 63, 50_000).astype(np.uint64)
    for at in range(0, len(keys), 500):
        index.put(keys[at : at + 500], at)
    assert index.get(keys).tolist() == list(range(len(keys)))
