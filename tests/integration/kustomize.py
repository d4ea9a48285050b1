"""The manifests of k8s/ as `kubectl kustomize` gives them out; nothing here speaks to a cluster."""

import functools
import os
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

K8S = Path(__file__).parent.parent.parent / "k8s"
OVERLAYS = ("dev", "prod", "scram")
UNPROVED = "not proved here: that k8s/ can be built and is valid, because kustomize is missing"
Resource = dict[str, Any]


@functools.cache
def text(overlay: str) -> str:
    """The YAML stream of an overlay, as `build`."""
    return build(K8S / "overlays" / overlay)


def build(folder: Path) -> str:
    """The YAML stream of a kustomization. Without kustomize: failed in CI, else a loud skip."""
    commands = {"kubectl": ["kubectl", "kustomize"], "kustomize": ["kustomize", "build"]}
    found = next((command for tool, command in commands.items() if shutil.which(tool)), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs kubectl or kustomize")
        warnings.warn(UNPROVED, stacklevel=1)
        pytest.skip(UNPROVED)
    ran = subprocess.run([*found, str(folder)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def resources(overlay: str, *kinds: str) -> list[Resource]:
    """Resources of an overlay, of some kinds or all."""
    found = list(YAML(typ="safe").load_all(text(overlay)))
    return [one for one in found if not kinds or one["kind"] in kinds]


def workloads(overlay: str) -> list[Resource]:
    """What starts pods."""
    return resources(overlay, "StatefulSet", "Deployment", "Job", "DaemonSet", "CronJob", "Pod")
