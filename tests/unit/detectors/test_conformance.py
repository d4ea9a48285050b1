"""Every detector that `methods()` names keeps the contract, at its defaults and at others."""

import hashlib
import inspect
import os
import re
import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch import detectors
from inferwatch.detectors import make, methods
from inferwatch.errors import ConfigError
from inferwatch.testing import check_detector
from inferwatch.testing.conformance import streams

ROOT = Path(__file__).parents[3]
NAMES = sorted(methods())
VALUES = st.one_of(
    st.sampled_from([0.0, 1.0, 0.0, 1.0, np.nan, np.inf, -np.inf, -1.0, 1e308, 5e-324]),
    st.floats(0, 1),
    st.floats(),
)


def others(name):
    """Parameters of a method that differ from its defaults, one at a time."""
    found = []
    for key, parameter in inspect.signature(methods()[name]).parameters.items():
        default = parameter.default
        if isinstance(default, bool):
            tries = [not default]
        elif isinstance(default, int | float):
            tries = [default + 1, default * 0.75]
        else:
            continue
        for value in tries:
            try:
                make(name, **{key: value})
            except ConfigError:
                continue
            found.append({key: value})
            break
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_detector_keeps_the_contract(name):
    """Blocks, gaps, cuts, refusals, odd values: as `check_detector` asks."""
    check_detector(lambda: make(name))


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_methods_own(name):
    """The name by which it is made is the one it tells of itself."""
    assert methods()[name].METHOD.name == name


@pytest.mark.parametrize("name", NAMES)
def test_a_snapshot_of_other_parameters_is_refused(name):
    """Each parameter is bound into the snapshot; what is refused changes nothing."""
    plain = make(name)
    plain.update_many(streams()["errors"][:500])
    sealed = plain.snapshot()
    tried = others(name)
    assert tried
    for params in tried:
        other = make(name, **params)
        before = other.snapshot()
        with pytest.raises(ValueError, match=name):
            other.restore(sealed)
        assert other.snapshot() == before


@pytest.mark.parametrize("name", NAMES)
def test_parameters_out_of_range_name_their_key(name):
    """NaN, infinities and words are a ConfigError with key and fix, for each number."""
    for key, parameter in inspect.signature(methods()[name]).parameters.items():
        if isinstance(parameter.default, str):
            continue
        for value in (float("nan"), float("inf"), -float("inf"), "many"):
            with pytest.raises(ConfigError) as caught:
                make(name, **{key: value})
            assert caught.value.key == key and caught.value.fix


@pytest.mark.parametrize("name", NAMES)
def test_counts_are_whole_and_numbers_of_numpy_are_numbers(name):
    """1.5 values are none; a parameter that numpy computed binds the same snapshot."""
    plain = make(name).snapshot()
    for key, parameter in inspect.signature(methods()[name]).parameters.items():
        default = parameter.default
        if isinstance(default, bool | str) or default is None:
            continue
        if isinstance(default, int):
            with pytest.raises(ConfigError, match=key):
                make(name, **{key: default + 0.5})
        number = np.int64(default) if isinstance(default, int) else np.float64(default)
        assert make(name, **{key: number}).snapshot() == plain


NUMBERS = {
    "truths": lambda errors: errors > 0.5,
    "truths in a list": lambda errors: (errors > 0.5).tolist(),
    "small integers": lambda errors: errors.astype(np.int8),
    "half a float": lambda errors: errors.astype(np.float16),
    "the other byte order": lambda errors: errors.astype(">f8"),
    "objects": lambda errors: errors.astype(object),
}


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_any_type_are_read(name, kind):
    """Errors as truths, integers or in a list: the same is found, and the same state left."""
    errors, plain, other = streams()["errors"], make(name), make(name)
    assert other.update_many(NUMBERS[kind](errors)) == plain.update_many(errors)
    assert other.snapshot() == plain.snapshot()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_no_column_of_numbers_is_refused(name):
    """Words, and rows of several columns but of methods that take them: the error says so, and the
    state stays what it was.
    """
    detector = make(name)
    before = detector.snapshot()
    wrong = [["a", "b"]]
    wrong += [] if detector.METHOD.by_row else [np.ones((4, 2)), np.ones((4, 1))]
    for values in wrong:
        with pytest.raises(ConfigError) as caught:
            detector.update_many(values)
        assert caught.value.key == "values" and caught.value.fix
    assert detector.snapshot() == before


@pytest.mark.parametrize("name", NAMES)
def test_a_row_says_what_is_so(name):
    """METHOD's size of the state is that of a snapshot after 3,000 values, or half or twice."""
    detector = make(name)
    detector.update_many(np.random.default_rng(1).random(3_000))
    said = type(detector).METHOD.state_bytes
    assert said / 2 <= len(detector.snapshot()) <= said * 2, len(detector.snapshot())


@pytest.mark.parametrize("name", NAMES)
def test_a_method_has_its_row(name):
    """docs/methods.md says of each what it computes, its needs, cost and source, when it lies."""
    page = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    section = page.split("\n## Detectors, value by value\n")[1].split("\n## ")[0]
    [row] = [line for line in section.splitlines() if line.startswith(f"| `{name}` |")]
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
    assert len(cells) == 6 and all(cells)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(
    values=st.lists(VALUES, max_size=200), repeat=st.integers(1, 8), cut=st.floats(0, 1), block=...
)
def test_a_cut_never_shows(name, values, repeat, cut, block: bool):
    """Any values, any cut: sealed and restored there, it finds what the uncut run finds."""
    stream = np.array(values * repeat, np.float64)
    at = int(cut * len(stream))
    uncut, first, second = make(name), make(name), make(name)
    expected = uncut.update_many(stream)
    found = first.update_many(stream[:at])
    second.restore(first.snapshot())
    for part in np.array_split(stream[at:], 3 if block else 1):
        found += second.update_many(part)
    assert found == expected
    assert second.snapshot() == uncut.snapshot()


def digest():
    """Findings and state of every method on odd and plain streams, as one digest."""
    whole = hashlib.sha256()
    for name in NAMES:
        for stream in streams().values():
            detector = make(name)
            found = detector.update_many(np.where(np.arange(1_200) % 97, stream[:1_200], np.nan))
            whole.update(repr((name, found)).encode() + detector.snapshot())
    return whole.hexdigest()


def test_the_compiler_changes_no_bit():
    """Run as plain Python in a process of its own, every detector finds and keeps the same."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_conformance"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print(test_conformance.digest())"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT / "pipeline")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest()


def installed(monkeypatch, *points):
    """Have the entry points of the group be these."""
    monkeypatch.setattr(
        detectors, "entry_points", lambda group: EntryPoints(points).select(group=group)
    )
    detectors._offered.cache_clear()


@pytest.fixture
def afresh(monkeypatch):
    """What was looked up in a test is forgotten after it."""
    yield
    monkeypatch.undo()
    detectors._offered.cache_clear()


def test_an_installed_detector_is_found(monkeypatch, afresh):
    """A class under the entry-point group is made by its name."""
    point = EntryPoint("own", "inferwatch.detectors.adwin:Adwin", "inferwatch.detectors")
    installed(monkeypatch, point, EntryPoint("not_ours", "nowhere:Nothing", "another.group"))
    assert set(methods()) == {*NAMES, "own"}
    assert make("own", delta=0.01).update_many(np.ones(3)) == []


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ([("adwin", "inferwatch.detectors.adwin:Adwin")], "adwin"),
        ([("own", "inferwatch.detectors.adwin:Adwin")] * 2, "own"),
        ([("own", "nowhere:Nothing")], "nowhere"),
        ([("own", "inferwatch.detectors.adwin:Nothing")], "Nothing"),
    ],
)
def test_an_installed_detector_overrides_nothing(monkeypatch, afresh, points, problem):
    """A name that is taken, or a class that cannot be loaded, is the operator's to mend."""
    found = [EntryPoint(name, value, "inferwatch.detectors") for name, value in points]
    installed(monkeypatch, *found)
    with pytest.raises(ConfigError, match=problem) as caught:
        methods()
    assert caught.value.key == "inferwatch.detectors" and caught.value.fix


class Broken:
    """A detector made wrong in one way."""

    METHOD = type("M", (), {"name": "b", "kind": "drift", "purpose": "p", "source": "s"})
    METHOD.rows_min = METHOD.cost_ns = METHOD.state_bytes = 1

    def __init__(self, flaw):
        self.flaw, self.inner = flaw, make("page_hinkley", delta=0.1, threshold=5)

    def update_many(self, values):
        if self.flaw == "counts each call anew":
            self.inner, before = make("page_hinkley", delta=0.1, threshold=5), self.inner
            return before.update_many(values)
        if self.flaw == "forgets what is not finite":
            values = np.ascontiguousarray(values[np.isfinite(values)])
        if self.flaw == "raises for huge values" and float(values.max(initial=0)) > 1e200:
            raise OverflowError
        if self.flaw == "writes into its input":
            values[:1] = 7.0
        found = self.inner.update_many(values)
        return np.array(found) if self.flaw == "gives an array" else found

    def snapshot(self):
        sealed = self.inner.snapshot()
        if self.flaw == "seals nothing":
            return b"nothing"
        return sealed + b"x" if self.flaw == "believes any bytes" else sealed

    def restore(self, sealed):
        if self.flaw == "believes any bytes":
            sealed = sealed[:-1]
            try:
                self.inner.restore(sealed)
            except ValueError:
                return
        elif self.flaw != "seals nothing":
            self.inner.restore(sealed)


@pytest.mark.parametrize(
    ("flaw", "said"),
    [
        ("none", None),
        ("counts each call anew", "blocks of"),
        ("forgets what is not finite", "with NaN and infinities"),
        ("raises for huge values", None),
        ("writes into its input", "blocks of|wrote into"),
        ("gives an array", "no list"),
        ("seals nothing", "cut at"),
        ("believes any bytes", "was accepted"),
    ],
)
def test_the_check_sees_what_it_is_for(flaw, said):
    """Each planted flaw is named by the check; without a flaw it passes."""
    if flaw == "none":
        check_detector(lambda: Broken(flaw))
        return
    with pytest.raises((AssertionError, OverflowError), match=said):
        check_detector(lambda: Broken(flaw))
