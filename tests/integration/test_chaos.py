"""Real workers on a real Kafka, killed and stalled while they work: the short plan.

The long one: `python scripts/chaos.py --faults 25 --rows 5000000`.
"""

import chaos
import pytest

pytestmark = [pytest.mark.kafka, pytest.mark.processes, pytest.mark.timeout(400)]
SHORT = chaos.Plan(faults="kzbKtj", rows=100_000, seed=7)


def test_kills_stalls_joins_and_broker_restarts_leave_no_trace(real_broker, tmp_path):
    """Nothing is lost or counted twice, and outputs are those of an undisturbed worker."""
    report = chaos.run(SHORT, real_broker, "chaos.", tmp_path)
    assert report.problems() == []
    assert sum(report.faults.values()) == len(SHORT.faults)
    assert report.outputs > 0
    assert max(report.drained_s) < 20
