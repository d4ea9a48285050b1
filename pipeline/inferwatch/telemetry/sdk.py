"""The SDK's counters on a model server's own /metrics.

    from inferwatch.telemetry.sdk import register
    register(prometheus_client.REGISTRY)

Needs prometheus_client, which the SDK itself does not. Nothing is counted twice and no row waits:
the counters that the SDK keeps anyway are read when they are scraped.
"""

from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from inferwatch.sdk.buffer import Counters, Drop
from inferwatch.sdk.monitor import all_counters
from inferwatch.telemetry.catalogue import MODELS_MAX, NAMESPACE, OTHER, declared
from inferwatch.telemetry.families import family


def register(registry: CollectorRegistry, models_max: int = MODELS_MAX) -> None:
    """Show every `Monitor` of this process; models beyond `models_max` share `__other__`.

    :raises ValueError: they are in this registry already.
    """
    registry.register(_Monitors(models_max))


class _Monitors(Collector):
    """Families of the SDK, put together from the monitors that live and what the others left."""

    def __init__(self, models_max: int) -> None:
        self._models_max = models_max
        self._seen: dict[str, tuple[str, Counters]] = {}
        self._gone: dict[str, Counter[str]] = {}  # a counter never falls

    def describe(self) -> Iterable[Metric]:
        return [family(metric.name) for metric in declared("sdk")]

    def collect(self) -> Iterable[Metric]:
        now = {emitter: (model, counters) for emitter, model, counters in all_counters()}
        for emitter in self._seen.keys() - now.keys():
            model, counters = self._seen[emitter]
            self._row(self._gone, model).update(_settled(counters))
        self._seen = now
        rows = {model: Counter(found) for model, found in self._gone.items()}
        for model, counters in now.values():
            self._row(rows, model).update(_settled(counters) | {"pending": counters.pending})
        families = {one.name.removeprefix(f"{NAMESPACE}sdk_"): one for one in self.describe()}
        for model, found in rows.items():
            for name in ("emitted", "delivered", "pending"):
                families[name].add_metric([model], found[name])
            for reason in Drop:
                families["dropped"].add_metric([model, reason.value], found[reason.value])
        return families.values()

    def _row(self, rows: dict[str, Counter[str]], model: str) -> Counter[str]:
        named = model in rows or len(rows) < self._models_max
        return rows.setdefault(model if named else OTHER, Counter())


def _settled(counters: Counters) -> dict[str, int]:
    rows = {"emitted": counters.emitted, "delivered": counters.delivered}
    return rows | counters.dropped
