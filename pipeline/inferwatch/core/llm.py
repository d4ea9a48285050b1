"""Calls of language models in a window: tokens, speed, cost, how answers ended.

A cell is made with the first batch that has the columns, so other models pay nothing. State: about
1 KB and 12 bytes a log bin in use. Cost: 0.1 µs a row in batches of 500, and nothing without `llm`.

Names follow OpenTelemetry's semantic conventions for generative AI; `tokens_per_second` is the
inverse of their `gen_ai.server.time_per_output_token`.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.figure import Figure, known
from inferwatch.core.intervals import rate
from inferwatch.core.sketches import log_histogram, moments
from inferwatch.core.sketches.log_histogram import LogHistogram
from inferwatch.core.sketches.moments import Moments
from inferwatch.records.rows import Calls, Floats, Words

NAMES = ("input_tokens", "output_tokens", "time_to_first_token", "cost", "tokens_per_second")
INPUT, OUTPUT, FIRST, COST, SPEED = range(5)
LOGGED = (INPUT, OUTPUT, FIRST, SPEED)
TOTALS = (INPUT, OUTPUT, COST)
UPPER = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
LOWER = {"p1": 0.01, "p5": 0.05, "p10": 0.1, "p50": 0.5}  # of a speed the low end hurts

FINISH = ("stop", "length", "content_filter", "tool_call", "error", "other")
_SAME = {  # the providers' own words, in small letters
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_context_window_exceeded": "length",
    "safety": "content_filter",
    "refusal": "content_filter",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "abort": "error",
    "failed": "error",
}

SHARES = ("empty_rate", *(f"finish_reason.{reason}" for reason in FINISH))
DURATIONS = tuple(f"{NAMES[FIRST]}.{part}" for part in (*UPPER, "mean"))
AMOUNTS = (
    *(f"{NAMES[at]}.total" for at in TOTALS),
    *(f"{NAMES[at]}.mean" for at in (INPUT, OUTPUT, COST, SPEED)),
    *(f"{NAMES[at]}.{part}" for at in (INPUT, OUTPUT) for part in UPPER),
    *(f"{NAMES[SPEED]}.{part}" for part in LOWER),
)


class CallCell(msgspec.Struct):
    """Moments of the five `NAMES`, log histograms of `LOGGED`, rows by `FINISH`.

    Of `answered` calls, those that did not fail and say how many tokens came out, `empty` had none.
    """

    numbers: Moments
    logs: list[LogHistogram]
    finish: NDArray[np.int64]
    answered: int = 0
    empty: int = 0


def empty() -> CallCell:
    """A cell without a call."""
    return CallCell(
        numbers=moments.empty(len(NAMES)),
        logs=[log_histogram.empty() for _ in LOGGED],
        finish=np.zeros(len(FINISH), np.int64),
    )


def add(cell: CallCell, calls: Calls, latency_ms: Floats, failed: NDArray[np.bool_]) -> None:
    """Add n calls; `latency_ms` float64[n] with NaN where missing, `failed` bool[n]."""
    numbers = np.vstack([calls.numbers, _speed(calls, latency_ms)])
    moments.update(cell.numbers, numbers)
    for at, log in zip(LOGGED, cell.logs, strict=True):
        log_histogram.update(log, numbers[at])
    cell.finish += np.bincount(_finished(calls.finish_reason), minlength=len(FINISH) + 1)[:-1]
    answered = np.isfinite(calls.numbers[OUTPUT]) & ~failed
    cell.answered += int(answered.sum())
    cell.empty += int((answered & (calls.numbers[OUTPUT] == 0)).sum())


def _speed(calls: Calls, latency_ms: Floats) -> Floats:
    """Tokens a second between the first token and the last; NaN where that cannot be told."""
    after_first = calls.numbers[OUTPUT] - 1
    took_s = (latency_ms - calls.numbers[FIRST]) / 1_000
    speed = np.full(len(latency_ms), np.nan)
    told = (after_first >= 1) & (took_s > 0)
    with np.errstate(over="ignore"):
        speed[told] = after_first[told] / took_s[told]
    return speed


def _finished(reason: Words) -> NDArray[np.int64]:
    """Which of `FINISH` each row has; their number where it says none."""
    places = [_place(word) for word in reason.words]
    return np.array([*places, len(FINISH)], np.int64)[reason.codes]


def _place(word: str) -> int:
    word = word.strip().lower()
    word = _SAME.get(word, word)
    return FINISH.index(word if word in FINISH else "other")


def merge(into: CallCell, other: CallCell) -> None:
    """Add the calls of `other`, a later pane."""
    moments.merge(into.numbers, other.numbers)
    for log, more in zip(into.logs, other.logs, strict=True):
        log_histogram.merge(log, more)
    into.finish = into.finish + other.finish
    into.answered += other.answered
    into.empty += other.empty


def figures(cell: CallCell) -> dict[str, Figure]:
    """Every figure whose column had a value in the window."""
    count, mean = cell.numbers.count.tolist(), moments.mean(cell.numbers).tolist()
    found: dict[str, Figure] = {}
    for at, name in enumerate(NAMES):
        if count[at]:
            found[f"{name}.mean"] = known(mean[at], count[at], "too large to add up")
            if at in TOTALS:
                total = _total(cell.numbers, at)
                found[f"{name}.total"] = known(total, count[at], "too large to add up")
    for at, log in zip(LOGGED, cell.logs, strict=True):
        if count[at]:
            for part, q in (LOWER if at == SPEED else UPPER).items():
                found[f"{NAMES[at]}.{part}"] = log_histogram.quantile(log, q)
    if cell.answered:
        found["empty_rate"] = rate(cell.empty, cell.answered, "no answers")
    finished = int(cell.finish.sum())
    if finished:
        for reason, rows in zip(FINISH, cell.finish.tolist(), strict=True):
            found[f"finish_reason.{reason}"] = rate(rows, finished, "no finish reasons")
    return found


def _total(state: Moments, at: int) -> float:
    """Sum of a column: exact for counts below 2^53."""
    return float(state.origin[at] * state.count[at] + moments.sums(state)[0][at])
