"""The share of drifted features counts only those that could be judged."""

from hypothesis import given
from hypothesis import strategies as st

from inferwatch.core.drift.share import drift_share

flags = st.dictionaries(st.text(max_size=3), st.sampled_from([True, False, None]))


@given(flags)
def test_it_is_drifted_over_judged(drawn):
    """Features without a verdict stand in neither count; with none judged it is unknown."""
    judged = [flag for flag in drawn.values() if flag is not None]
    found = drift_share(drawn)
    assert found.n == len(judged)
    if judged:
        assert found.value == judged.count(True) / len(judged) and not found.unknown
    else:
        assert (found.value, found.unknown) == (None, "no feature could be judged")
