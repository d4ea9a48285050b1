"""How metrics leave a process: Prometheus' text, or OpenMetrics with exemplars where asked for."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


def expose(
    registry: CollectorRegistry, accept: str, names: Sequence[str] = ()
) -> tuple[str, bytes]:
    """Content type and body of a scrape that accepts `accept`.

    :param names: of samples; the others are left out, and of most metrics not even looked at. None
        gives all.
    """
    encode, kind = choose_encoder(accept)
    return kind, encode(registry.restricted_registry(names) if names else registry)
