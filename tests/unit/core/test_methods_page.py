"""docs/methods.md has a row for every statistic there is, in its section, and for no other."""

import re
from pathlib import Path

import pytest

from inferwatch.config.checks import PARTS, PLAIN
from inferwatch.core import embeddings, llm
from inferwatch.core.anomaly import SERIES_METHODS
from inferwatch.core.drift import EMBEDDING_METHODS, ROW_METHODS, WINDOW_METHODS
from inferwatch.core.inspectors import ERROR_SLICE
from inferwatch.core.metrics import CLASS_FIGURES, LABEL_METRICS
from inferwatch.core.metrics.estimated import ESTIMATES
from inferwatch.inspect import ROWS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
EMBEDDINGS = (*embeddings.AMOUNTS, *embeddings.SHARES)
CALLS = (*llm.AMOUNTS, *llm.DURATIONS, *llm.SHARES)
SECTIONS = {
    "Figures on labels": {*LABEL_METRICS, *(f"class.NAME.{one}" for one in CLASS_FIGURES)},
    "Performance without labels": set(ESTIMATES),
    "Drift by window": set(WINDOW_METHODS),
    "Embeddings": {*EMBEDDING_METHODS, *EMBEDDINGS},
    "Change of level, row by row": set(ROW_METHODS),
    "Anomalies of a window's figures": set(SERIES_METHODS),
    "Samples of rows": set(ROWS),
    "Where the errors are": {ERROR_SLICE},
    "Calls of language models": {*CALLS},
    "Service and data": (PLAIN - LABEL_METRICS.keys() - {*CALLS, *ESTIMATES, *EMBEDDINGS})
    | {f"feature.NAME.{part}" for part in PARTS},
}


def section(title):
    """Text under a heading of the second level."""
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text):
    """Cells of each row that describes statistics; tables of measured figures have more of them."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    found = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [cells for cells in found if len(cells) == 4]


def named(text):
    """Names in the first cell of each row of the tables."""
    return [name for first, *_ in rows(text) for name in re.findall(r"`([^`]+)`", first)]


@pytest.mark.parametrize("title", SECTIONS)
def test_every_statistic_has_its_row(title):
    """The names of a section's rows are those of the family, each once."""
    assert sorted(named(section(title))) == sorted(SECTIONS[title])


@pytest.mark.parametrize("title", SECTIONS)
def test_every_row_is_filled(title):
    """Definition and when it lies are said of each; only what needs nothing may leave that out."""
    for _, definition, _, lies in rows(section(title)):
        assert definition.strip() and lies.strip()


def test_what_is_named_as_proof_is_there():
    """Each test file that the page names exists: under its path, or by its name."""
    paths = re.findall(r"`(tests/[^`]*)`", PAGE)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    names = re.findall(r"`(test_\w+\.py)`", PAGE)
    assert [name for name in names if not any((ROOT / "tests").rglob(name))] == []
    assert len(paths) > 8 and len(names) > 8
