"""deploy/Dockerfile: what can be said of an image without building one."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import pytest
from dockerfile import BUILD, DOCKERFILE, IMAGE, environment
from packaging.requirements import Requirement
from workers import Worker

from inferwatch import __version__
from inferwatch.connection import Connection
from inferwatch.errors import Exit
from inferwatch.runtime import heap

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_linter_finds_nothing():
    """hadolint has no remark on the file, and no exception is made in it."""
    tool = Path(sys.executable).parent / "hadolint"
    ran = subprocess.run(
        [str(tool), "--no-color", str(DOCKERFILE)], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, "")
    assert "hadolint ignore" not in DOCKERFILE.read_text()


def test_what_is_copied_is_there_and_not_ignored():
    """Every source of a COPY exists and passes the ignore file, which lets nothing else in."""
    copied = {
        source
        for word, rest in BUILD
        if word == "COPY"
        for source in rest.split()[:-1]
        if not source.startswith("--")
    }
    ignore = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignore if line.startswith("!")}
    assert "*" in ignore
    assert copied == let_in
    assert all((ROOT / source).exists() for source in copied)


def test_the_wheel_can_be_built_of_what_is_copied(tmp_path):
    """The build needs no file that the image's build does not have."""
    rest = next(
        line for line in (ROOT / "deploy" / "Dockerfile.dockerignore").open() if "**" in line
    )
    for word, line in BUILD:
        if word != "COPY":
            continue
        *sources, target = line.split()
        for source in sources:
            path = ROOT / source
            if path.is_dir():
                skip = shutil.ignore_patterns(rest.strip().removeprefix("**/"))
                shutil.copytree(path, tmp_path / target, ignore=skip)
            else:
                shutil.copy(path, tmp_path / target)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "wheels"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    [wheel] = (tmp_path / "wheels").glob("*.whl")
    assert fnmatch.fnmatch(wheel.name, f"inferwatch-{__version__}-*.whl")


def test_nothing_is_installed_that_was_not_checked():
    """Each call of pip either checks hashes, or takes only what was checked before."""
    calls = [call for word, rest in BUILD if word == "RUN" for call in rest.split(" -m pip ")[1:]]
    assert len(calls) == 3
    assert "--require-hashes" in calls[0] and "--only-binary :all:" in calls[0]
    assert all("--no-index --find-links wheels" in call for call in calls[1:])
    assert all("--hash=sha256:" in one for one in locked().values())


def test_the_lock_holds_whatever_the_image_needs():
    """Everything below `inferwatch[worker]` is in the lock, or the build would find no wheel."""
    assert '"inferwatch[worker]"' in DOCKERFILE.read_text()
    todo = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["worker"]]
    wanted: set[str] = set()
    while todo:
        need = Requirement(todo.pop())
        name = normal(need.name)
        extras = [{"extra": extra} for extra in need.extras or {""}]
        if name in wanted or not (need.marker is None or any(map(need.marker.evaluate, extras))):
            continue
        wanted.add(name)
        todo += [
            one
            for one in requires(name) or []
            if (marker := Requirement(one).marker) is None or any(map(marker.evaluate, extras))
        ]
    assert len(wanted) > 40
    assert wanted <= locked().keys()


def normal(name: str) -> str:
    """A package's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked() -> dict[str, str]:
    """Entry of each package in the lock."""
    entries = re.split(r"\n(?=\w)", (ROOT / "requirements.lock").read_text())
    return {normal(entry.partition("==")[0]): entry for entry in entries}


def test_the_image_runs_without_root_shell_or_build():
    """A numeric user; arguments as lists; nothing is run in the last stage; no tag `latest`."""
    words = dict(IMAGE)
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", words["USER"])
    assert "RUN" not in words
    name = json.loads(words["ENTRYPOINT"])[0]
    assert name in PROJECT["scripts"]
    assert json.loads(words["CMD"]) == ["--help"]
    health = json.loads(words["HEALTHCHECK"].partition(" CMD ")[2])
    assert health[:2] == ["python", "-c"]
    compile(health[2], "HEALTHCHECK", "exec")
    assert f"127.0.0.1:{words['EXPOSE']}/readyz" in health[2]
    base = re.search(r"^ARG PYTHON=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)[1]
    assert re.fullmatch(r"python:3\.\d+-slim-bookworm", base)


def test_the_heap_options_are_those_of_processes_and_benchmarks():
    """What the image sets is what a process sets for itself, and what figures are measured with."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        from report import QUIET
    finally:
        sys.path.pop(0)
    found = environment(IMAGE)
    for name, (_, value) in heap.OPTIONS.items():
        assert found[name] == QUIET[name] == str(value)


def test_kernels_are_compiled_for_where_they_run():
    """Folder and processor are the same in both stages, and the folder comes along."""
    before, after = environment(BUILD), environment(IMAGE)
    for name in ("NUMBA_CACHE_DIR", "NUMBA_CPU_NAME"):
        assert before[name] == after[name]
    assert after["NUMBA_CPU_NAME"] == "generic"
    assert any("inferwatch warmup" in rest for word, rest in BUILD if word == "RUN")
    copies = [rest for word, rest in IMAGE if word == "COPY"]
    assert copies == ["--from=build /opt/inferwatch /opt/inferwatch"]
    assert Path(after["NUMBA_CACHE_DIR"]).is_relative_to("/opt/inferwatch")


@pytest.mark.slow
@pytest.mark.processes
def test_a_worker_writes_to_its_temporary_folder_alone(embedded_broker, tmp_path):
    """With the image's variables a worker folds, and HOME, its folder and the kernels stay as
    they were: the root may be read-only.
    """
    home, scratch, kernels = tmp_path / "home", tmp_path / "tmp", tmp_path / "kernels"
    for folder in (home, scratch, kernels):
        folder.mkdir()
    given = environment(IMAGE) | {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "NUMBA_CACHE_DIR": str(kernels),
        "NUMBA_DISABLE_JIT": "0",
    }
    warm = [sys.executable, "-m", "inferwatch.cli.main", "warmup"]
    subprocess.run(warm, env=os.environ | given, check=True, capture_output=True)
    for path in [kernels, *kernels.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in kernels.rglob("*")}
    worker = Worker(Connection(embedded_broker), tmp_path, embedded=True, environment=given)
    worker.until_ready()
    assert worker.child.stop() == Exit.DONE
    assert before and {path: path.stat().st_mtime_ns for path in kernels.rglob("*")} == before
    assert not list(home.rglob("*"))
    assert not [path for path in scratch.rglob("*") if path.is_file()]
