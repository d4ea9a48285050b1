"""The index of ids does what a dictionary does, whatever comes and goes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core.id_index import IdIndex

FEW = st.integers(0, 40).map(lambda number: number * 64)  # all of them want the same first places
STEPS = st.lists(st.tuples(st.lists(FEW, max_size=60), st.integers(0, 70)), max_size=30)


@given(STEPS)
def test_it_is_a_dictionary_that_forgets_its_oldest(steps):
    """Puts, repeats and forgetting of colliding keys: the same slots, the same repeats."""
    index, known, slot, oldest = IdIndex(), {}, 0, 0
    for keys, kept in steps:
        expected = []
        for at, key in enumerate(keys):
            expected.append(key in known)
            known[key] = slot + at
        assert index.put(np.array(keys, np.uint64), slot).tolist() == expected
        slot += len(keys)
        oldest = max(oldest, slot - kept)
        index.forget(oldest)
        known = {key: at for key, at in known.items() if at >= oldest}
        every = np.arange(0, 41 * 64, 64, dtype=np.uint64)
        assert index.get(every).tolist() == [known.get(key, -1) for key in every.tolist()]
        assert index.empty() == (oldest == slot)


def test_what_comes_and_goes_takes_no_more_room():
    """A million ids of which 1,000 are known at a time: there is room for 2,048, no more."""
    index, chance = IdIndex(), np.random.default_rng(2)
    for first in range(0, 1_000_000, 500):
        index.put(chance.integers(0, 1 << 63, 500).astype(np.uint64), first)
        index.forget(first - 500)
    assert index.places() == 2_048


def test_many_ids_fit():
    """Growth keeps what is there."""
    index, keys = IdIndex(), np.random.default_rng(1).integers(0, 1 << 63, 50_000).astype(np.uint64)
    for at in range(0, len(keys), 500):
        index.put(keys[at : at + 500], at)
    assert index.get(keys).tolist() == list(range(len(keys)))
