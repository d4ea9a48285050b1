"""Brokers for tests: the embedded one always, a real one where Java and Maven are."""

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings
from real_broker import RealBroker, UnavailableError
from secure_broker import SecureBroker

from inferwatch.runtime import embedded
from inferwatch.telemetry.logs import Thinned

# no assertion on seconds: the first example may compile a kernel
settings.register_profile("house", deadline=None)
settings.load_profile("house")

UNPROVED = (
    "not proved here: durability, compaction, rebalancing and retention on a real Kafka, "
    "because this machine has no Java 17 with Maven"
)


@pytest.fixture(autouse=True)
def whole_logs() -> Iterator[None]:
    """No test leaves its thinning of lines on the handlers that the next one reads."""
    yield
    for handler in logging.getLogger().handlers:
        for one in [one for one in handler.filters if isinstance(one, Thinned)]:
            handler.removeFilter(one)


@pytest.fixture
def embedded_broker() -> Iterator[str]:
    """Address of a fresh embedded broker."""
    broker = embedded.start()
    yield broker.bootstrap_servers
    broker.stop()


def _started(make: Callable[[], Any]) -> Any:
    """A real broker. Missing means failed in CI, and a loud skip elsewhere."""
    try:
        return make()
    except UnavailableError as why:
        if os.environ.get("CI"):
            pytest.fail(f"CI needs a real Kafka: {why}")
        warnings.warn(UNPROVED, stacklevel=1)
        pytest.skip(f"{UNPROVED} ({why})")


@pytest.fixture(scope="session")
def real_broker() -> Iterator[RealBroker]:
    """A real broker."""
    broker = _started(RealBroker)
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def secure_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    """A real broker that lets nobody do anything."""
    folder = tmp_path_factory.mktemp("secure")
    broker = _started(lambda: SecureBroker(folder))
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def kafka(real_broker: RealBroker) -> str:
    """Address of the real broker."""
    return real_broker.address
