"""Compiled code in a folder that cannot be written, as in an image: read, never written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent
CALL = """
import numpy as np
from inferwatch.kernels import hashing

def two(rows):
    print(hashing.hashes(np.zeros(1, rows), np.ones(1, np.int64)))
"""
WITHOUT_OVERRIDE = ["setpriv", "--inh-caps=-dac_override", "--bounding-set=-dac_override"]


def compiled(folder: Path, code: str) -> list[str]:
    """What numba says of its cache in `folder`, for a process that permission bits bind."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        if os.environ.get("CI"):
            pytest.fail("CI runs as root and needs setpriv (util-linux)")
        pytest.skip("not proved here: root writes everywhere, and setpriv is missing")
    bound = WITHOUT_OVERRIDE if os.geteuid() == 0 else []
    ran = subprocess.run(
        [*bound, sys.executable, "-c", CALL + code],
        env=os.environ
        | {"NUMBA_CACHE_DIR": str(folder), "NUMBA_DEBUG_CACHE": "1"}
        | {"NUMBA_DISABLE_JIT": "0", "PYTHONPATH": str(ROOT / "pipeline")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return [line for line in ran.stdout.splitlines() if line.startswith("[cache] data")]


@pytest.fixture
def image(tmp_path):
    """A folder with one kernel compiled for one type, that nobody may write to."""
    folder = tmp_path / "kernels"
    assert any("saved" in line for line in compiled(folder, "two(np.uint8)"))
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)


def test_code_is_loaded_from_a_folder_that_cannot_be_written(image):
    """What `inferwatch warmup` compiled into an image is used there, and nothing is compiled."""
    before = sorted(image.rglob("*"))
    said = compiled(image, "two(np.uint8)")
    assert said and all("loaded" in line and str(image) in line for line in said)
    assert sorted(image.rglob("*")) == before


def test_what_the_folder_lacks_is_compiled_and_not_saved(image):
    """A kernel that the warm-up did not meet costs its compilation, not the process."""
    before = sorted(image.rglob("*"))
    said = compiled(image, "two(np.int64)")
    assert not any("saved" in line for line in said)
    assert sorted(image.rglob("*")) == before
