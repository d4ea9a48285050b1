"""One recording, any topology: partitions, workers and hash seeds do not show in what comes out."""

import subprocess
import sys

import pytest

from inferwatch.testing import streams
from inferwatch.testing.simulation.recorded import play

pytestmark = pytest.mark.slow


class Rules:
    """The stream's own definitions."""

    def definition(self, model):
        """A model's first definition."""
        return streams.definition(model)

    def values(self):
        """No columns."""
        return {}


RECORDING = streams.stream(3, models=3, records=60, rows_per_batch=6)


@pytest.fixture(scope="module")
def alone():
    """What one worker makes of one partition."""
    return play(RECORDING, Rules(), 1, 1)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("partitions", [1, 4, 12])
def test_the_topology_does_not_show(alone, partitions, workers):
    """Outputs are the same for 1, 4, 12 partitions and 1, 2, 3 workers."""
    assert play(RECORDING, Rules(), partitions, workers, seed=partitions + workers) == alone


def test_the_hash_seed_does_not_show():
    """Outputs are the same under any PYTHONHASHSEED."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "import test_recorded as t; print(t.play(t.RECORDING, t.Rules(), 4, 2))"
    )
    here = str(__file__).rsplit("/", 1)[0]
    told = {
        subprocess.run(
            [sys.executable, "-c", code, here],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for hash_seed in ("0", "1", "random")
    }
    assert len(told) == 1
