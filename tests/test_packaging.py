"""What users install: one top-level name, a light import, the demo's data, the promised layers."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
HEAVY = ("numpy", "faust", "confluent_kafka", "msgspec", "river", "scipy", "asyncio", "psutil")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from this checkout without network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


def test_the_wheel_has_one_top_level_name(wheel):
    """Nothing but `inferwatch` and its metadata lands in site-packages: no tests, no schemas."""
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"inferwatch"}


def test_the_wheel_brings_types_and_the_demo(wheel):
    """A type checker sees the types; `inferwatch demo` finds its data without a checkout."""
    names = set(zipfile.ZipFile(wheel).namelist())
    example = {path.name for path in (ROOT / "examples" / "car-loan").iterdir()}
    assert {f"inferwatch/examples/car-loan/{name}" for name in example} <= names
    assert "inferwatch/py.typed" in names


def test_the_demo_finds_its_data_in_the_wheel(wheel, tmp_path):
    """Where the package is installed without a checkout, the example's folder is the wheel's."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = "from inferwatch.cli.demo import example; print(example())"
    found = python(code, PYTHONPATH=str(tmp_path))
    assert Path(found) == tmp_path / "inferwatch" / "examples" / "car-loan"


def test_importing_the_package_loads_nothing_heavy():
    """A model server that imports inferwatch pays for no library before its first event."""
    loaded = python("import sys, inferwatch; print(*sys.modules)").split()
    assert "inferwatch" in loaded
    assert not set(HEAVY) & set(loaded)


def test_a_monitor_needs_no_numpy_and_no_faust():
    """The SDK works where only its two dependencies are installed."""
    code = (
        "import sys, inferwatch; m = inferwatch.Monitor('a/b', version='1');"
        "m.log(features={'x': 1.0}, prediction=1); print(*sys.modules)"
    )
    loaded = set(python(code, INFERWATCH_DISABLED="1").split())
    assert not loaded & {"numpy", "faust", "pandas", "pyarrow", "river", "scipy"}


def test_the_sdk_alone_needs_two_packages():
    """`pip install inferwatch` in a model server brings two small wheels."""
    assert [re.split(r"[<>=]", need)[0] for need in PROJECT["project"]["dependencies"]] == [
        "confluent-kafka",
        "msgspec",
    ]


def test_the_locks_hold_every_dependency_that_is_named():
    """What the project asks for is pinned, so `make` installs the same everywhere: what runs in one
    lock, without the tools for development, which are in the other, at no other versions.
    """
    extras = PROJECT["project"]["optional-dependencies"]
    needed = [*PROJECT["project"]["dependencies"], *extras["worker"]]
    needed += PROJECT["build-system"]["requires"]
    every = [*needed, *(need for group in extras.values() for need in group)]
    runs, tools = (pinned(name) for name in ("requirements.lock", "requirements-dev.lock"))
    assert names(needed) <= runs.keys()
    assert names(every) <= runs.keys() | tools.keys()
    assert not {"mypy", "pytest", "ruff"} & runs.keys()
    assert all(tools[name] == version for name, version in runs.items() if name in tools)


def names(needs: list[str]) -> set[str]:
    """Of requirements the packages, but for our own."""
    return {normal(re.split(r"[<>=\[]", need)[0]) for need in needs} - {"inferwatch"}


def pinned(lock: str) -> dict[str, str]:
    """Version of each package in a lock."""
    found = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(), re.MULTILINE)
    return {normal(name): version for name, version in found}


def test_importing_from_the_root_is_no_second_copy():
    """No module names `pipeline` as a package: it would load every module a second time."""
    assert not (ROOT / "pipeline" / "__init__.py").exists()
    sources = [path.read_text() for path in (ROOT / "pipeline").rglob("*.py")]
    assert not any(re.search(r"^\s*(from|import) pipeline\b", text, re.M) for text in sources)


def normal(name: str) -> str:
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    known = {"PYTHONPATH": str(ROOT / "pipeline")} | environment
    ran = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env=dict(os.environ) | known,
    )
    return ran.stdout.strip()
