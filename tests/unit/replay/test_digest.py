"""The digest: equal for equal outputs in any order, different for anything else."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core.output import Output
from inferwatch.replay.digest import ConflictError, Digest

outputs = st.dictionaries(
    st.tuples(st.sampled_from(["window", "alert", "dead"]), st.text("abc", min_size=1, max_size=3)),
    st.binary(max_size=8),
    max_size=8,
)


def digest(entries) -> str:
    """The digest of (kind, id) and value, in the order given."""
    found = Digest()
    for (kind, id_), value in entries:
        found.add(kind, id_, value)
    return found.hex()


@given(outputs, st.randoms(use_true_random=False))
def test_order_and_repeats_do_not_show(found, draw):
    """Workers that share the work in another way, and repeat some of it, have the same digest."""
    entries = list(found.items())
    again = entries + [draw.choice(entries) for _ in entries]
    draw.shuffle(again)
    assert digest(again) == digest(entries)


@given(outputs)
def test_it_is_what_the_documentation_says(found):
    """SHA-256 over windows and alerts in the order of their ids; dead letters do not count."""
    whole = hashlib.sha256()
    for kind, id_ in sorted(key for key in found if key[0] != "dead"):
        whole.update(f"{kind} {id_} ".encode() + hashlib.sha256(found[kind, id_]).digest())
    assert digest(found.items()) == whole.hexdigest()


@given(outputs.filter(lambda found: any(kind != "dead" for kind, _ in found)))
def test_any_difference_shows(found):
    """Another byte, one output more or less."""
    key = next(key for key in found if key[0] != "dead")
    rest = {other: value for other, value in found.items() if other != key}
    changed = rest | {key: found[key] + b"x"}
    assert len({digest(part.items()) for part in (found, rest, changed)}) == 3


def test_an_output_is_new_once():
    """Readers drop equal ids: the second time it is nothing new."""
    found = Digest()
    output = Output("window", b"k", b"v", "1")
    assert found.add_output(output)
    assert not found.add_output(output)
    assert found.add("alert", "1", b"v")


def test_one_id_with_two_contents_is_a_conflict():
    """That would break what lets readers drop equal ids."""
    found = Digest()
    found.add("window", "1", b"v")
    with pytest.raises(ConflictError, match="window 1 came with two contents"):
        found.add("window", "1", b"w")
    with pytest.raises(ConflictError):
        found.add("dead", "1", b"v") and found.add("dead", "1", b"w")
