"""Requests of little streams: what each looked like, what was answered, and what was true."""

import math
from collections.abc import Sequence
from random import Random
from typing import Any

from inferwatch.records.definition import Task
from inferwatch.testing.builders import TIME_MS

TASKS: tuple[Task, ...] = ("binary", "regression", "multiclass")
CLASSES = ("amber", "green", "red")
COUNTRIES = ("DE", "FR", "IT", "PL")
CHANNELS = ("web", "app", "shop")
MINUTE_MS = 60_000
START_MS = TIME_MS // MINUTE_MS * MINUTE_MS


class Request:
    """One request and its answer.

    `trouble` 0 is a quiet time, 1 the worst.
    """

    def __init__(self, draw: Random, task: Task, trouble: float) -> None:
        signal = draw.gauss(0.0, 1.0)
        missing = draw.random() < 0.05 + 0.3 * trouble
        self.numeric = {
            "amount": math.nan if missing else 50.0 + 10.0 * signal + 30.0 * trouble,
            "age": draw.gauss(40.0, 12.0),
        }
        self.kind = draw.choices(["a", "b", "c", None], [5, 3, 1, 1])[0]
        if draw.random() < 0.3 * trouble:
            self.kind = "new"
        self.country = draw.choices([*COUNTRIES, None], [6, 3, 2, 1, 1])[0]
        self.channel = draw.choices(CHANNELS, [5, 3, 2])[0]
        self.latency_ms = 20.0 * math.exp(draw.gauss(0.0, 0.4)) * (1.0 + 4.0 * trouble)
        self.error = "Timeout" if draw.random() < 0.04 + 0.4 * trouble else None
        self.answer: float | str
        self.truth: float | str
        wrong = draw.random() < 0.12 + 0.4 * trouble
        if task == "regression":
            self.answer = 10.0 + 3.0 * signal
            self.truth = self.answer + draw.gauss(2.5 * trouble, 1.0)
            self.score = math.nan
        elif task == "binary":
            self.score = 1.0 / (1.0 + math.exp(-2.0 * signal - 1.5 * trouble))
            self.answer = float(self.score > 0.5)
            self.truth = 1.0 - self.answer if wrong else self.answer
        else:
            self.score = 0.4 + 0.6 * draw.random()
            self.answer = draw.choice(CLASSES)
            self.truth = draw.choice(CLASSES) if wrong else self.answer

    def score_of(self, name: str) -> float:
        """Of several classes."""
        return self.score if name == self.answer else (1.0 - self.score) / 2

    def embedding(self, dim: int) -> list[float]:
        """`dim` numbers, at most 3; none where the amount is missing."""
        return [self.numeric["amount"] / 50, self.numeric["age"] / 40, self.latency_ms / 20][:dim]


def calls(rows: Sequence[Request]) -> dict[str, list[Any]]:
    """What the answers used, were they a language model's: longer where they took longer."""
    return {
        "output_tokens": [round(row.latency_ms) for row in rows],
        "time_to_first_token_ms": [row.latency_ms / 4 for row in rows],
        "finish_reason": [None if row.error else "length" for row in rows],
    }
