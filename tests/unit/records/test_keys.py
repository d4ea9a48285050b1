"""Keys are one to one: no two lists of texts share one, and each is read back."""

from hypothesis import given
from hypothesis import strategies as st

from inferwatch.records import keys

TEXTS = st.lists(st.text(alphabet="as\x1e\x1f", max_size=4), min_size=1, max_size=4)


@given(TEXTS)
def test_a_key_gives_its_parts_back(parts):
    """Whatever letters are in them, those of the key itself too."""
    assert keys.split(keys.join(*parts)) == parts


@given(TEXTS)
def test_plain_parts_stand_as_they_are(parts):
    """State and ids that were written before keep their keys."""
    plain = [part.replace("\x1e", "e").replace("\x1f", "s") for part in parts]
    assert keys.join(*plain) == "\x1f".join(plain)
