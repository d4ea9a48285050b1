"""What every detector owes its users, as one check: run it on your own.

```python
from inferwatch.testing import check_detector

def test_mine():
    check_detector(lambda: Mine(threshold=3.0))
```
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCKS = (1, 7, 333, 500, 5_000)
KINDS = ("drift", "anomaly")


class _Detector(Protocol):
    """`inferwatch.detectors.Detector`, without loading what that needs."""

    def update_many(self, values: NDArray[Any]) -> list[int]: ...

    def snapshot(self) -> bytes: ...

    def restore(self, sealed: bytes) -> None: ...


def check_detector(make: Callable[[], _Detector], values: ArrayLike | None = None) -> None:
    """Hold a detector to the contract of `inferwatch.detectors`.

    Blocks never show; indices are ascending whole numbers over all that was fed; values that are
    not finite are counted and passed over; odd values raise nothing; a snapshot cut anywhere goes
    on as the uncut run; a damaged or foreign one is refused and changes nothing.

    :param make: gives a fresh detector, each time with the same parameters.
    :param values: a stream to try it on, in the units it wants, best one in which it finds
        something; four streams with changes of level, spread and error rate if left out.
    :raises AssertionError: says in a sentence what does not hold.
    """
    _check_method(make())
    given = streams() if values is None else {"your values": np.asarray(values, np.float64)}
    for name, stream in given.items():
        _check_blocks(make, name, stream)
        _check_gaps(make, name, stream)
        _check_cuts(make, name, stream)
        _check_scores(make, name, stream)
    _check_refusals(make, next(iter(given.values())))
    for name, stream in odd_streams().items():
        _check_blocks(make, name, stream)
        _check_cuts(make, name, stream)


def streams() -> dict[str, NDArray[np.float64]]:
    """Streams with changes: errors, levels, spreads, a daily wave with spikes; 3,000 values each.

    Values of all but the second and third lie in [0, 1].
    """
    generator, row = np.random.default_rng(20), np.arange(3_000)
    noise = generator.normal(size=3_000)
    wave = 0.5 + 0.3 * np.sin(2 * np.pi * row / 24) + 0.02 * noise
    wave[1_000::501] = 1.0
    rate = np.where(row // 700 % 2, 0.5, 0.1)
    return {
        "errors": (generator.random(3_000) < rate).astype(np.float64),
        "levels": noise + np.where(row // 800 % 2, 3.0, 0.0),
        "spreads": noise * np.where(row // 600 % 2, 8.0, 1.0),
        "waves": np.clip(wave, 0.0, 1.0),
    }


def odd_streams() -> dict[str, NDArray[np.float64]]:
    """Streams that are legal and that nobody plans for."""
    generator = np.random.default_rng(21)
    mixed = generator.normal(size=600)
    mixed[::5], mixed[1::50], mixed[2::50] = np.nan, np.inf, -np.inf
    huge = generator.choice([1.7e308, -1.7e308, 1e300, 0.0, 1.0], 600)
    return {
        "no value": np.zeros(0),
        "one value": np.ones(1),
        "NaN only": np.full(300, np.nan),
        "NaN and infinities among values": mixed,
        "zeros": np.zeros(600),
        "equal values": np.full(600, 0.1),
        "about 10⁹": 1e9 + generator.normal(size=600),
        "times 10⁹": 1e9 * generator.normal(size=600),
        "denormal values": 5e-324 * generator.integers(0, 9, 600),
        "huge values": huge,
        "a huge value among ones": np.where(np.arange(600) == 300, 1.7e308, 1.0),
        "minus zeros": np.where(generator.random(600) < 0.5, -0.0, 0.0),
    }


def fed(detector: _Detector, stream: NDArray[Any], block: int) -> list[int]:
    """What a detector finds in a stream, fed in blocks of `block` values."""
    found: list[int] = []
    for at in range(0, max(len(stream), 1), block):
        found += detector.update_many(stream[at : at + block])
    return found


def _check_method(detector: Any) -> None:
    method = getattr(detector, "METHOD", None)
    assert method is not None, "the class has no METHOD: say there what it is for"
    assert method.kind in KINDS, f"METHOD.kind is {method.kind!r}, not one of {KINDS}"
    for field in ("name", "purpose", "source"):
        assert getattr(method, field), f"METHOD.{field} is empty"
    for field in ("rows_min", "cost_ns", "state_bytes"):
        assert getattr(method, field) > 0, f"METHOD.{field} is not above 0"


def _check_blocks(make: Callable[[], _Detector], name: str, stream: NDArray[Any]) -> None:
    whole = make()
    expected = whole.update_many(stream)
    _check_indices(name, expected, len(stream))
    before = stream.copy()
    for block in BLOCKS:
        other = make()
        found = fed(other, stream, block)
        assert found == expected, (
            f"{name}: blocks of {block} give {found[:5]}…, one call gives {expected[:5]}…"
        )
        assert other.snapshot() == whole.snapshot(), (
            f"{name}: blocks of {block} leave another state than one call"
        )
    assert np.array_equal(stream, before, equal_nan=True), f"{name}: it wrote into its input"
    spaced = np.repeat(stream, 2)[::2]
    assert make().update_many(spaced) == expected, f"{name}: a strided view gives another answer"
    with np.errstate(over="ignore"):
        single = stream.astype(np.float32)
    found, wide = make().update_many(single), make().update_many(single.astype(np.float64))
    assert found == wide, f"{name}: float32 gives another answer than the same numbers as float64"


def _check_indices(name: str, found: list[int], n: int) -> None:
    assert isinstance(found, list), f"{name}: update_many gives {type(found).__name__}, no list"
    for index in found:
        assert type(index) is int, f"{name}: {index!r} is {type(index).__name__}, no int"
        assert 0 <= index < n, f"{name}: index {index} lies outside the {n} values fed"
    assert all(left < right for left, right in pairwise(found)), f"{name}: indices do not ascend"


def _check_gaps(make: Callable[[], _Detector], name: str, stream: NDArray[Any]) -> None:
    """Where values that are not finite are put between, the others are judged as before.

    Unless the method says that a value's place matters.
    """
    if getattr(getattr(make(), "METHOD", None), "by_place", False):
        return
    generator = np.random.default_rng(22)
    kept = np.sort(generator.permutation(len(stream) + 100)[: len(stream)])
    gapped = generator.choice([np.nan, np.inf, -np.inf], len(stream) + 100)
    gapped[kept] = stream
    rows = np.flatnonzero(np.isfinite(gapped))
    expected = rows[make().update_many(stream[np.isfinite(stream)])].tolist()
    found = make().update_many(gapped)
    assert found == expected, (
        f"{name}: with NaN and infinities put between, {found[:5]}… is found, not {expected[:5]}…"
    )


def _cuts(n: int) -> Iterator[int]:
    yield from (0, 1, 31, n // 3, n // 2, n - 1, n)


def _check_cuts(make: Callable[[], _Detector], name: str, stream: NDArray[Any]) -> None:
    """Fed up to a cut, sealed, restored elsewhere and fed on: the same as never cut."""
    uncut = make()
    expected = uncut.update_many(stream)
    cuts = {cut for cut in _cuts(len(stream)) if 0 <= cut <= len(stream)}
    cuts |= {row + 1 for row in expected[:3]} | set(expected[:3])
    for cut in sorted(cuts):
        first, second = make(), make()
        found = first.update_many(stream[:cut])
        sealed = first.snapshot()
        assert isinstance(sealed, bytes), f"a snapshot is {type(sealed).__name__}, not bytes"
        assert first.snapshot() == sealed, f"{name}: taking a snapshot changes the state"
        second.update_many(stream[: cut // 2])  # what it was fed before must not matter
        second.restore(sealed)
        assert second.snapshot() == sealed, f"{name}: restored at {cut}, its snapshot differs"
        for detector in (first, second):
            rest = detector.update_many(stream[cut:])
            assert found + rest == expected, (
                f"{name}: cut at {cut} it finds {(found + rest)[:5]}…, uncut {expected[:5]}…"
            )
            assert detector.snapshot() == uncut.snapshot(), (
                f"{name}: sealed at {cut} and fed on, it ends in another state than uncut"
            )


def _check_scores(make: Callable[[], _Detector], name: str, stream: NDArray[Any]) -> None:
    """`score_many`, where offered: a score a value, and values fed as `update_many` feeds them."""
    fed_detector, scored, parts = make(), make(), make()
    if not hasattr(scored, "score_many") or not hasattr(parts, "score_many"):
        return
    fed_detector.update_many(stream)
    scores = scored.score_many(stream)
    assert isinstance(scores, np.ndarray) and scores.dtype == np.float64, (
        "score_many gives no float64 array"
    )
    assert scores.shape == stream.shape, f"{name}: {len(stream)} values, {scores.shape} scores"
    assert scored.snapshot() == fed_detector.snapshot(), (
        f"{name}: score_many leaves another state than update_many"
    )
    pieces = [parts.score_many(stream[at : at + 333]) for at in range(0, len(stream), 333)]
    assert np.array_equal(np.concatenate(pieces), scores, equal_nan=True), (
        f"{name}: scores depend on how values were cut into calls"
    )


def _damaged(sealed: bytes) -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "cut short", sealed[:-1]
    yield "cut to half", sealed[: len(sealed) // 2]
    yield "made longer", sealed + b"\0"
    for at in sorted({0, len(sealed) // 3, len(sealed) // 2, len(sealed) - 1}):
        yield f"changed in byte {at}", sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]


def _check_refusals(make: Callable[[], _Detector], stream: NDArray[Any]) -> None:
    from inferwatch.detectors.state import seal

    detector = make()
    detector.update_many(stream[: len(stream) // 2])
    good = detector.snapshot()
    foreign = ("of another method", seal("another", {}, {}))
    for what, bad in [*_damaged(good), foreign]:
        try:
            detector.restore(bad)
        except ValueError:
            assert detector.snapshot() == good, f"a snapshot {what} was refused, yet it changed us"
        else:
            raise AssertionError(f"a snapshot {what} was accepted: raise ValueError")
