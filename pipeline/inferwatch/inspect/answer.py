"""A request of the fold, as bytes, to the record that answers it, as bytes.

The same request gives the same answer: its window's id is the seed.
"""

from importlib import metadata

import msgspec

from inferwatch import inspect
from inferwatch.core.inspectors import Request
from inferwatch.inspect.finding import Finding
from inferwatch.records.events import Inspection
from inferwatch.records.outputs import canonical

FEATURES_MAX = 5
_request = msgspec.msgpack.Decoder(Request)


def answer(request: bytes) -> bytes:
    """The `inspection` record, as JSON. Cost: that of the method (`inspect.rows`)."""
    asked = _request.decode(request)
    found = inspect.rows(
        asked.method,
        asked.matrix(asked.reference),
        asked.matrix(asked.rows),
        seed=int(asked.window[:8], 16),
    )
    return canonical(
        Inspection(
            model=asked.model,
            window=asked.window,
            method=asked.method,
            value=found.value,
            n=found.n,
            reference_n=found.reference_n,
            low=found.low,
            high=found.high,
            p_value=found.p_value,
            features=_features(asked.features, found),
            unknown=found.unknown,
            library=f"scikit-learn {metadata.version('scikit-learn')}",
        )
    )


def unanswered(request: bytes, why: str) -> bytes:
    """The record that says why there is no answer."""
    asked = _request.decode(request)
    return canonical(
        Inspection(model=asked.model, window=asked.window, method=asked.method, unknown=why)
    )


def _features(names: list[str], found: Finding) -> dict[str, float]:
    """The columns with the largest shares in the answer; of equal ones the first by name."""
    if not found.shares:
        return {}
    order = sorted(zip(found.shares, names, strict=True), key=lambda pair: (-pair[0], pair[1]))
    return {name: share for share, name in order[:FEATURES_MAX] if share > 0}
