"""Page–Hinkley by name decides as river's, whatever the parameters and the blocks."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from river.drift import PageHinkley

from inferwatch.detectors import make
from inferwatch.errors import ConfigError
from inferwatch.testing.error_streams import BLOCKS, fed_in_blocks, rivers

DATA = Path(os.environ.get("INFERWATCH_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.mark.parametrize("seed", range(72))
def test_decisions_are_rivers(seed):
    """Any steps in any noise, any parameters, any blocks: the same indices."""
    generator = np.random.default_rng(seed)
    levels = generator.normal(0, 2, 6).repeat(1_000)
    noise = generator.normal(size=6_000) if seed % 3 else generator.standard_cauchy(6_000)
    values = levels + noise * (seed % 4)
    named = {
        "min_instances": int(generator.choice([1, 30, 200])),
        "delta": float(generator.choice([0.005, 0.2, 1.0])),
        "threshold": float(generator.choice([5.0, 50.0, 500.0])),
        "alpha": float(generator.choice([1.0, 1 - 1e-4, 0.9])),
        "mode": str(generator.choice(["both", "up", "down"])),
    }
    ours = make("page_hinkley", **named)
    found = fed_in_blocks(ours.update_many, values, BLOCKS[seed % len(BLOCKS)])
    assert found == rivers(PageHinkley(**named), values)


@pytest.mark.skipif(not DATA.is_dir(), reason="set INFERWATCH_DATA to the folder of open data")
@pytest.mark.parametrize("name", ["river_test_1", "river_test_2", "river_test_3"])
def test_published_indices_are_found(name):
    """On the frozen streams of river's tests every published row, no other."""
    published = json.loads((DATA / "streams" / "drift_indices.json").read_text())
    values = np.loadtxt(DATA / "streams" / f"{name}.csv.gz", skiprows=1)
    for call, rows in published["streams"][name]["detections"].items():
        if not call.startswith("PageHinkley("):
            continue
        named = {
            key: value.strip("'") if "'" in value else float(value)
            for key, value in re.findall(r"(\w+)=([^,)]+)", call)
        }
        assert make("page_hinkley", **named).update_many(values) == rows


@pytest.mark.parametrize("wrong", [{"alpha": 1.5}, {"mode": "left"}, {"threshold": -1}])
def test_a_parameter_out_of_range_is_told(wrong):
    """The error names the parameter and what it may be."""
    with pytest.raises(ConfigError) as told:
        make("page_hinkley", **wrong)
    assert next(iter(wrong)) in str(told.value)
