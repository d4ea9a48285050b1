"""`with monitor.timed(features) as call:` measures an answer and notes how it failed."""

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inferwatch.sdk.monitor import Monitor


class Timed:
    """One call of the model. Set `prediction`, and `proba`, `llm` or `embedding` where there is
    one, before the block ends.

    `id` is the prediction id, known when the block has ended. The caller's exceptions pass.
    """

    def __init__(
        self,
        monitor: "Monitor",
        features: Mapping[str, Any] | None,
        llm: Mapping[str, Any] | None,
        embedding: Any,
        details: Mapping[str, Any],
    ) -> None:
        self.features = features
        self.prediction: Any = None
        self.proba: Any = None
        self.llm = llm
        self.embedding = embedding
        self.id = ""
        self._monitor = monitor
        self._details = details
        self._start_ns = 0

    def __enter__(self) -> "Timed":
        self._start_ns = time.perf_counter_ns()
        return self

    def __exit__(
        self,
        failure: type[BaseException] | None,
        _: BaseException | None,
        __: TracebackType | None,
    ) -> None:
        self.id = self._monitor.log(
            self.features,
            self.prediction,
            self.proba,
            latency_ms=(time.perf_counter_ns() - self._start_ns) / 1e6,
            error=failure,
            llm=self.llm,
            embedding=self.embedding,
            **self._details,
        )
