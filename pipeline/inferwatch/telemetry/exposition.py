"""How metrics leave a process: Prometheus' text, or OpenMetrics with exemplars where asked for."""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder


def expose(registry: CollectorRegistry, accept: str) -> tuple[str, bytes]:
    """Content type and body of a scrape that accepts `accept`."""
    encode, kind = choose_encoder(accept)
    return kind, encode(registry)
