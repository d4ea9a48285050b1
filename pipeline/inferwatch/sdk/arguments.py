"""Which argument of `log` cost a row, in words: the reader is whoever must mend the server's code.

Asked only once a row was refused, so that a row that can be sent pays nothing for it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from inferwatch.records.raw import EMBEDDING_DIM_MAX
from inferwatch.sdk import frames
from inferwatch.sdk.table import SCORE
from inferwatch.sdk.values import UnfitError, number, plain


def scores(proba: Any) -> dict[str, float]:
    """The score, or the scores by class."""
    if hasattr(proba, "keys"):
        return {str(name): number(plain(proba[name])) for name in proba}
    return {SCORE: number(plain(proba))}


def _scalars(values: Any) -> dict[str, Any]:
    return {str(name): plain(value) for name, value in values.items()}


TAKEN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "features": (dict, "a mapping of names to values"),
    "prediction": (plain, "a number, a text or a truth value"),
    "proba": (scores, "a number or a mapping of class to number"),
    "latency_ms": (plain, "a number"),
    "error": (frames.error_name, "a word, an exception or its class"),
    "segments": (_scalars, "a mapping of names to numbers, texts or truth values"),
    "entity_id": (plain, "a number or a text"),
    "llm": (dict, "a mapping of names to values"),
    "embedding": (frames.vector, f"1 to {EMBEDDING_DIM_MAX} numbers"),
}
"""How each is read, and what it is to be; `timestamp` and `prediction_id` name themselves."""


def blamed(problem: Exception, given: Mapping[str, Any]) -> Exception:
    """`problem`, or, where one of the arguments cannot be read, an error that names it."""
    for name, (read, expected) in TAKEN.items():
        if given[name] is None:
            continue
        try:
            read(given[name])
        except Exception:
            return UnfitError(f"{name} is a {type(given[name]).__name__}, not {expected}")
    return problem
