#!/usr/bin/env python3
"""What is generated of the metrics' catalogue: tables of docs/metrics.md, Grafana's dashboards.

Without options the files are written anew; `--check` compares them and exits with 1 where one
differs.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import dashboards

from inferwatch.telemetry.catalogue import Metric, Process, declared

ROOT = Path(__file__).parent.parent
TABLE = re.compile(r"(^\|.*\n)+", re.MULTILINE)
REMEDY = "run `python scripts/telemetry.py` and commit what it writes"
TITLES: dict[Process, str] = {
    "worker": "## Worker",
    "notifier": "## Notifier",
    "bridge": "## Bridge",
    "sdk": "## SDK",
}


def files() -> dict[str, str]:
    """Text of every generated file, by its path."""
    made = {
        f"deploy/grafana/dashboards/{name}": json.dumps(board, indent=1, ensure_ascii=False) + "\n"
        for name, board in dashboards.dashboards().items()
    }
    return {"docs/metrics.md": page()} | made


def page() -> str:
    """docs/metrics.md: its own words, and below each heading the table of the process."""
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    for process, title in TITLES.items():
        before, heading, after = text.partition(f"{title}\n")
        text = before + heading + TABLE.sub(lambda _, one=process: table(one), after, count=1)
    return text


def table(process: Process) -> str:
    """The metrics of a process."""
    head = ["metric", "type", "unit", "labels", "meaning"]
    metrics = list(declared(process))
    capped = any(metric.rest for metric in metrics)
    lines = [[*head, *(["rest"] if capped else [])]]
    lines += [_cells(metric) + ([metric.rest] if capped else []) for metric in metrics]
    ruler = "--".join("|" * (len(lines[0]) + 1))
    rows = ["| " + " | ".join(cells) + " |" for cells in lines]
    return "\n".join([rows[0], ruler, *rows[1:]]) + "\n"


def _cells(metric: Metric) -> list[str]:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return [f"`{metric.name}`", metric.kind, metric.unit, labels, metric.help]


def write(root: Path = ROOT) -> None:
    """Every file anew."""
    for name, text in files().items():
        (root / name).write_text(text, encoding="utf-8")


def differences(root: Path = ROOT) -> Iterator[str]:
    """Files that are not what they would be, or not made by this script."""
    wanted = files()
    for name, text in wanted.items():
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            yield name
    for path in sorted((root / "deploy/grafana/dashboards").glob("*")):
        if f"deploy/grafana/dashboards/{path.name}" not in wanted:
            yield f"deploy/grafana/dashboards/{path.name}"


def main(arguments: list[str], root: Path = ROOT) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if not parser.parse_args(arguments).check:
        write(root)
        return 0
    found = list(differences(root))
    for name in found:
        print(f"{name}: {REMEDY}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
