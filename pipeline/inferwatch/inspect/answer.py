"""A request of the fold, as bytes, to the record that answers it, as bytes.

The same request gives the same answer: its window's id is the seed.
"""

from importlib import metadata

import msgspec

from inferwatch import inspect
from inferwatch.core.inspectors import FIGURES, MISSED, Request
from inferwatch.core.metrics import ERRORS
from inferwatch.records.events import Inspection, Pair
from inferwatch.records.outputs import canonical

NAMED_MAX = 5
_request = msgspec.msgpack.Decoder(Request)


def answer(request: bytes) -> bytes:
    """The `inspection` record, as JSON. Cost: that of the method (`inspect.rows`, `.window`) and,
    about rows, of `inspect.worst_slice`.
    """
    asked = _request.decode(request)
    reference, rows = asked.matrix(asked.reference), asked.matrix(asked.rows)
    names, seed = asked.features, int(asked.window[:8], 16)
    worst = None
    if asked.metric == FIGURES:
        found = inspect.window(asked.method, reference, rows[0], seed)
    elif asked.metric == ERRORS:
        before, now = ((side[:, 1:], side[:, 0]) for side in (reference, rows))
        found = inspect.error_slice(names[1:], before, now, seed, numbers=names[0] == MISSED)
    else:
        found = inspect.rows(asked.method, reference, rows, seed)
        worst = inspect.worst_slice(names, reference, rows, seed)
    return canonical(
        Inspection(
            model=asked.model,
            window=asked.window,
            method=asked.method,
            metric=asked.metric,
            value=found.value,
            n=found.n,
            reference_n=found.reference_n,
            low=found.low,
            high=found.high,
            p_value=found.p_value,
            features=_most(names, found.shares),
            figures=_most(names, found.spreads),
            pairs=[
                Pair(features=(names[one], names[other]), before=change.before, now=change.now)
                for change in found.changes
                for one, other in [change.columns]
            ],
            slice=worst,
            errors=found.errors,
            unknown=found.unknown,
            library=f"scikit-learn {metadata.version('scikit-learn')}",
        )
    )


def unanswered(request: bytes, why: str) -> bytes:
    """The record that says why there is no answer."""
    asked = _request.decode(request)
    return canonical(
        Inspection(
            model=asked.model,
            window=asked.window,
            method=asked.method,
            metric=asked.metric,
            unknown=why,
        )
    )


def _most(names: list[str], sizes: tuple[float, ...]) -> dict[str, float]:
    """The columns of the largest sizes, whatever their sign; of equal ones the first by name."""
    if not sizes:
        return {}
    order = sorted(zip(sizes, names, strict=True), key=lambda pair: (-abs(pair[0]), pair[1]))
    return {name: size for size, name in order[:NAMED_MAX] if size}
