"""Mapping files: which column is what, and mistakes with their place."""

from pathlib import Path

import pytest

from inferwatch.config import mapping
from inferwatch.errors import ConfigError

EXAMPLE = Path(__file__).parents[3] / "examples" / "car-loan" / "mapping.yaml"
LEAST = "model: team/model\nprediction_id: id\ntimestamp: at\n"


def read(tmp_path: Path, text: str) -> mapping.Mapping:
    """The mapping of a file."""
    path = tmp_path / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    return mapping.read(path)


def test_three_keys_are_enough(tmp_path):
    """Model, ids and times; the rest has its default or is not there."""
    found = read(tmp_path, LEAST)
    assert found == mapping.Mapping(model="team/model", prediction_id="id", timestamp="at")
    assert (found.version, found.label, found.label_delay_ms) == ("1", None, 0)
    assert found.columns() == ["id", "at"]


def test_every_key_is_taken(tmp_path):
    """Each ends in its own field, and every column is among those that must be there."""
    others = ("model", "version", "version_column", "label_delay", "features", "segments", "llm")
    names = [key for key in mapping.KEYS if key not in others]
    text = "".join(f"{name}: the_{name}\n" for name in names)
    text += "model: team/model\nversion: 3\nlabel_delay: 20d\nsegments: [s]\n"
    text += "llm: {cost: spent}\n"
    text += "features: {numeric: [n, m], categories: [c]}\n"
    found = read(tmp_path, text)
    assert {name: getattr(found, name) for name in names} == {name: f"the_{name}" for name in names}
    assert (found.version, found.label_delay_ms) == ("3", 20 * 86_400_000)
    assert (found.numeric, found.categories, found.segments) == (["n", "m"], ["c"], ["s"])
    assert found.llm == {"cost": "spent"}
    assert set(found.columns()) == {*(f"the_{name}" for name in names), "n", "m", "c", "s", "spent"}


def test_the_version_is_one_or_a_column(tmp_path):
    """A column of it is no feature; a table cannot be of one version and of several."""
    found = read(tmp_path, LEAST + "version_column: v\n")
    assert (found.version_column, found.columns()[0]) == ("v", "v")
    with pytest.raises(ConfigError, match="version: says the same as `version_column`"):
        read(tmp_path, LEAST + "version_column: v\nversion: 3\n")


def test_the_example_is_read():
    """The mapping that comes with the project."""
    found = mapping.read(EXAMPLE)
    assert found.model == "lending/car-loan"
    assert found.label == "repaid" and len(found.numeric) == 4 and len(found.categories) == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ":1: expected a mapping, found nothing"),
        ("model: a/b\n", ":1: 'prediction_id' is missing (add `prediction_id:`)"),
        (
            LEAST + "lable: y\n",
            ":4: lable: unknown key (did you mean 'label'? allowed: embedding, entity_id",
        ),
        (
            LEAST + "version: 1.10\n",
            ":4: version: is a number where a word is expected (put it into quotes)",
        ),
        (LEAST + "label: [y]\n", ":4: label: expected text, found a list"),
        (LEAST + "label_delay: 20\n", ":4: label_delay: 20 is no duration"),
        (LEAST + "features: [a]\n", ":4: features: expected a mapping, found a list"),
        (
            LEAST + "features: {numerc: [a]}\n",
            ":4: features.numerc: unknown key (did you mean 'numeric'?",
        ),
        (LEAST + "features: {numeric: a}\n", ":4: features.numeric: expected a list, found 'a'"),
        (LEAST + "segments: {a: b}\n", ":4: segments: expected a list, found a mapping"),
        (LEAST.replace("team/model", "my model"), ":1: model: 'my model' is no model name"),
        (LEAST.replace("team/model", "team//x"), ":1: model: 'team//x' is no model name"),
    ],
)
def test_a_mistake_is_told_with_place_and_fix(tmp_path, text, says):
    """File, line, key and what to write instead."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "mapping.yaml") + says)
    assert caught.value.fix


def test_a_file_that_is_not_there_is_told(tmp_path):
    """The path, and why it cannot be read."""
    with pytest.raises(ConfigError, match=r"mapping\.yaml: cannot be read: No such file"):
        mapping.read(tmp_path / "mapping.yaml")
