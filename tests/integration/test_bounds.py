"""What grows has an end, and `inferwatch plan` names it before: memory, metric series, and figures
that stay exact above every cap.
"""

import subprocess
import sys
from pathlib import Path

import bounds
import msgspec
import pytest


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("kind", bounds.FLOODS)
def test_a_flood_stays_within_the_plan_and_loses_nothing(kind):
    """1,000,000 values of a segment, 5,000 features, 500 models, rows that carry all that rows may,
    which inspectors and half-space trees read: the process takes no more memory and has no more
    metric series than planned; rows and sum of scores of all windows are exact, and the rows of all
    segments are those of the whole.
    """
    done = subprocess.run(
        [sys.executable, Path(bounds.__file__), kind], capture_output=True, text=True, check=True
    )
    found = msgspec.json.decode(done.stdout)
    assert found["took_bytes"] <= found["planned_bytes"]
    if kind == "rich":
        assert found["planned_bytes"] <= 3 * found["took_bytes"]
    assert found["series"] <= found["planned_series"]
    assert found["published_rows"] == found["rows"]
    assert found["published_scores"] == pytest.approx(found["scores"], rel=1e-9)
    assert found["rows_in_segments"] == (found["rows"] if bounds.FLOODS[kind].segmented else 0)


def test_the_floods_are_as_large_as_promised():
    """Segments that are all different, features at their cap, models at that of a partition."""
    segments, features, models = (
        bounds.FLOODS[name] for name in ("segments", "features", "models")
    )
    assert segments.batches * segments.batch_rows == 1_000_000
    assert features.features == 5_000
    assert models.models == 500
