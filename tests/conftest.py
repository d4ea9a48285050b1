"""Brokers for tests: the embedded one always, a real one where Java and Maven are."""

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from inferwatch.runtime import embedded

ROOT = Path(__file__).parent.parent
UNPROVED = (
    "not proved here: durability, compaction, rebalancing and retention on a real Kafka, "
    "because this machine has no Java 17 with Maven"
)


@pytest.fixture
def embedded_broker() -> Iterator[str]:
    """Address of a fresh embedded broker."""
    broker = embedded.start()
    yield broker.bootstrap_servers
    broker.stop()


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Address of a real broker. Missing means failed in CI, and a loud skip elsewhere."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "kafka.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stdin is not None and process.stderr is not None
    address = process.stdout.readline().decode().strip()
    if not address:
        why = process.stderr.read().decode()
        if os.environ.get("CI"):
            pytest.fail(f"CI needs a real Kafka: {why}")
        warnings.warn(UNPROVED, stacklevel=1)
        pytest.skip(f"{UNPROVED} ({why.strip()})")
    yield address
    process.stdin.close()
    process.wait(30)
