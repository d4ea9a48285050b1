"""What was warmed is all that the fold calls: nothing is compiled while rows wait."""

import subprocess
import sys

CODE = """
from inferwatch.core.fold import Partition
from inferwatch.kernels import (
    adwin, distances, distinct, entities, ewma_residual, hashing, histograms, index, moments,
    page_hinkley, panes, seasonal, sliding_moments, sliding_order, texts, watermark,
)
from inferwatch.kernels.warm import warm
from inferwatch.testing import folding, streams

modules = (
    adwin, distances, distinct, entities, ewma_residual, hashing, histograms, index, moments,
    page_hinkley, panes, seasonal, sliding_moments, sliding_order, texts, watermark,
)
kernels = [
    item for module in modules for item in vars(module).values() if hasattr(item, "signatures")
]
warm()
before = [len(kernel.signatures) for kernel in kernels]
raw = streams.placed(streams.stream(2, records=150))
outputs = folding.fold(Partition(0), raw, streams.definition)
print(len(outputs) > 100, [len(kernel.signatures) for kernel in kernels] == before)
"""


def test_the_fold_compiles_nothing_after_the_warm_up():
    """A stream with every kind of record and check calls kernels with no new types of input."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=170
    )
    assert done.stdout.split() == ["True", "True"]
