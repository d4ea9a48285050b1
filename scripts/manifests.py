#!/usr/bin/env python3
"""What is generated in k8s/overlays/prod: Strimzi's topics and users, Prometheus' rules.

Without options the files are written anew; `--check` compares them and exits with 1 where one
differs.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from inferwatch.connection import PREFIX
from inferwatch.runtime import strimzi

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "k8s" / "overlays" / "prod"
RULES = ROOT / "deploy" / "prometheus" / "rules" / "inferwatch.yml"
CLUSTER = "kafka"
REMEDY = "run `python scripts/manifests.py` and commit what it writes"


def files() -> dict[Path, str]:
    """Text of every generated file."""
    topics = strimzi.text(strimzi.resources(PREFIX, CLUSTER))
    return {
        FOLDER / "topics.yaml": f"# Written by `inferwatch topics render --strimzi`.\n{topics}",
        FOLDER / "rules.yaml": f"# Written from {RULES.relative_to(ROOT)}.\n{strimzi.text(rule())}",
    }


def rule() -> list[dict[str, Any]]:
    """The rules of deploy/prometheus as a resource of the Prometheus operator."""
    groups = YAML(typ="safe").load(RULES.read_text(encoding="utf-8"))["groups"]
    return [
        {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": "inferwatch"},
            "spec": {"groups": groups},
        }
    ]


def main() -> int:
    """Write, or compare; 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    check = parser.parse_args().check
    wrong = []
    for path, text in files().items():
        if check and (not path.exists() or path.read_text(encoding="utf-8") != text):
            wrong.append(path)
        elif not check:
            path.write_text(text, encoding="utf-8")
    for path in wrong:
        print(f"{path.relative_to(ROOT)} is not what it is made from: {REMEDY}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
