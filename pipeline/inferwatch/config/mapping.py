"""Mapping files: which column of a table is what. Shared by replay and `profile build`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from inferwatch.config import document
from inferwatch.config.document import Node
from inferwatch.records.batch import CALL_NUMBERS, FINISH_REASON
from inferwatch.records.raw import NAME, NAME_MAX

KEYS = [
    "model",
    "version",
    "version_column",
    "prediction_id",
    "timestamp",
    "prediction",
    "proba",
    "label",
    "label_time",
    "label_delay",
    "entity_id",
    "latency_ms",
    "llm",
    "embedding",
    "error",
    "features",
    "segments",
]


SINGLE = (
    "version_column",
    "prediction_id",
    "timestamp",
    "prediction",
    "proba",
    "label",
    "label_time",
    "entity_id",
    "latency_ms",
    "embedding",
    "error",
)
REQUIRED = ("prediction_id", "timestamp")


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """Columns of a table by what they mean.

    `numeric` and `categories` are the feature columns; where both are empty every column that is
    not named elsewhere is one. `label_delay_ms` makes labels trail where no column says when they
    came. With `version_column` each row says its version. `llm` names the columns of what a call of
    a language model used, `embedding` one of vectors.
    """

    model: str
    version: str = "1"
    version_column: str | None = None
    prediction_id: str
    timestamp: str
    prediction: str | None = None
    proba: str | None = None
    label: str | None = None
    label_time: str | None = None
    label_delay_ms: int = 0
    entity_id: str | None = None
    latency_ms: str | None = None
    embedding: str | None = None
    error: str | None = None
    llm: dict[str, str] = {}
    numeric: list[str] = []
    categories: list[str] = []
    segments: list[str] = []

    def columns(self) -> list[str]:
        """Every column that the mapping names."""
        single = (getattr(self, key) for key in SINGLE)
        named = [name for name in single if name is not None]
        return [*named, *self.llm.values(), *self.numeric, *self.categories, *self.segments]


def read(path: Path) -> Mapping:
    """A mapping file.

    :raises ConfigError: naming file, line, key and the fix.
    """
    root = document.read(path)
    fields = root.fields(KEYS, required=("model", *REQUIRED))
    given: dict[str, Any] = {}
    if "version" in fields and "version_column" in fields:
        raise fields["version"].error(
            "says the same as `version_column`", "leave one of the two out"
        )
    for name, node in fields.items():
        if name == "features":
            given |= _features(node)
        elif name == "llm":
            columns = node.fields((*CALL_NUMBERS, FINISH_REASON))
            given["llm"] = {figure: item.text() for figure, item in columns.items()}
        elif name == "segments":
            given["segments"] = node.texts()
        elif name == "label_delay":
            given["label_delay_ms"] = node.duration_ms()
        elif name == "model":
            given["model"] = _model(node)
        else:
            given[name] = node.text()
    return Mapping(**given)


def of_names(model: str, names: Sequence[str]) -> Mapping | None:
    """The mapping of a table whose columns are called as its keys; None without ids or times."""
    found: dict[str, Any] = {key: key for key in SINGLE if key in names}
    return Mapping(model=model, **found) if found.keys() >= {*REQUIRED} else None


def draft(names: Sequence[str]) -> str:
    """A mapping file to fill in, for a table of these columns."""
    rest = ", ".join(name for name in names if name not in SINGLE)
    lines = ["model: team/model", *(f"{key}: {key}" for key in SINGLE if key in names)]
    lines += [f"{key}: COLUMN" for key in REQUIRED if key not in names]
    lines += [f"# {key}: COLUMN" for key in SINGLE if key not in (*names, *REQUIRED)]
    return "\n".join([*lines, f"# columns that are named nowhere are features: {rest}"])


def _model(node: Node) -> str:
    name = node.text()
    if len(name) > NAME_MAX or not NAME.fullmatch(name):
        raise node.error(f"'{name[:80]}' is no model name", "write it like team/model-1.x")
    return name


def _features(node: Node) -> dict[str, list[str]]:
    fields = node.fields(("numeric", "categories"))
    return {name: item.texts() for name, item in fields.items()}
