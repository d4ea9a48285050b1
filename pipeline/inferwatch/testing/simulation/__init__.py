"""The whole pipeline in one process and one thread, under virtual time and seeded faults.

The production fold and the production delivery protocol run here unchanged, over brokers in memory:
partitions, a consumer group, commits, compaction, retention, record times. A seed draws topology,
traffic, faults and crash points. After the run everything must be as if nothing had happened:

    result = run(seed=7)
    assert not result.failures
"""

from inferwatch.testing.simulation.run import POINTS, Result, run

__all__ = ["POINTS", "Result", "run"]
