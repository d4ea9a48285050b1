"""What was warmed is all that the fold calls: nothing is compiled while rows wait."""

import subprocess
import sys

CODE = """
from inferwatch.core.fold import Partition
from inferwatch.kernels import (
    adwin, adwin_lanes, distances, distinct, entities, ewma_residual, hashing, histograms, index,
    moments, page_hinkley, panes, seasonal, sliding_moments, sliding_order, texts, watermark,
)
from inferwatch.kernels.warm import warm
from inferwatch.testing import folding, streams

modules = (
    adwin, adwin_lanes, distances, distinct, entities, ewma_residual, hashing, histograms, index,
    moments, page_hinkley, panes, seasonal, sliding_moments, sliding_order, texts, watermark,
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


DETECTORS = """
import pkgutil
from importlib import import_module
import numpy as np
from inferwatch import detectors, kernels
from inferwatch.core.drift import ROW_METHODS
from inferwatch.core.drift.row_anomaly import RowAnomaly
from inferwatch.core.drift.scale import Scale
from inferwatch.core.reference import numeric_profile
from inferwatch.kernels.warm import warm

names = [one.name for one in pkgutil.iter_modules(kernels.__path__)]
modules = [import_module(f"inferwatch.kernels.{name}") for name in names]
found = [one for module in modules for one in vars(module).values() if hasattr(one, "signatures")]
warm()
detectors.warm()
before = [len(kernel.signatures) for kernel in found]
values = np.random.default_rng(1).random(5_000).astype(np.float32)
for method in ROW_METHODS.values():
    if isinstance(method, type) and issubclass(method, RowAnomaly):
        method.of({"a": numeric_profile(values)}, method.PARAMS).update_many(values[:, np.newaxis])
    else:
        method.make(Scale(0.0, 1.0, 0.5, 0.3), method.PARAMS).update_many(values)
print(len(found) > 20, [len(kernel.signatures) for kernel in found] == before)
"""


def test_checks_on_rows_compile_nothing_after_the_command():
    """`inferwatch warmup` has compiled what each method calls, though few monitors use them all."""
    done = subprocess.run(
        [sys.executable, "-c", DETECTORS], capture_output=True, text=True, check=True, timeout=170
    )
    assert done.stdout.split() == ["True", "True"]


def test_the_fold_compiles_nothing_after_the_warm_up():
    """A stream with every kind of record and check calls kernels with no new types of input."""
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True, timeout=170
    )
    assert done.stdout.split() == ["True", "True"]
