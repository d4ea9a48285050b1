"""Digests of definitions: stable, and different wherever the definition is."""

from pathlib import Path

import msgspec
import pytest

from inferwatch.config import monitors
from inferwatch.config.defaults import default_definition
from inferwatch.records.definition import (
    CategoryProfile,
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Profile,
    Reference,
    Window,
    digest,
)

CHECK = Check(
    alert="A", metric="recall", window="w", fail=Limit(direction="drop", value=1.0, clear=1.0)
)
DEFINITION = Definition(
    model=ModelFacts(task="binary", segments=["country"]),
    reference=Reference(
        profile=Profile(
            name="p",
            rows=2,
            from_ms=0,
            to_ms=1,
            categories={"a": CategoryProfile(words=["x"], counts=[2])},
        )
    ),
    windows=[Window(name="w", size_ms=60_000, step_ms=60_000)],
    checks=[CHECK],
)
STATISTIC = {
    "metric": "precision",
    "method": "psi",
    "window": "other",
    "segment_by": ["country"],
    "params": {"psi": 0.1},
    "versus": "previous",
}
RULE = {
    "need": Need(rows=5),
    "warn": Limit(direction="drop", value=2.0, clear=2.0),
    "fail": None,
    "times": (2, 3),
    "for_ms": 1,
    "keep_firing_for_ms": 1,
    "mode": "observe",
    "labels": {"a": "b"},
    "annotations": {"a": "b"},
}


def test_a_definition_survives_the_wire_with_its_digest():
    """What a `monitor` record carries is what the file said."""
    example = Path(__file__).parent.parent.parent.parent / "examples/car-loan/monitors.yaml"
    file, _ = monitors.read(example)
    for definition in (DEFINITION, Definition(), default_definition(), file.definition):
        read = msgspec.json.decode(msgspec.json.encode(definition), type=Definition)
        assert read == definition
        assert read.digest() == definition.digest()


def test_a_digest_does_not_depend_on_order_of_writing():
    """Mappings that are equal have one digest."""
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest([1, 2]) != digest([2, 1])
    assert len(digest({})) == 32


@pytest.mark.parametrize(
    "changed",
    [
        {"model": ModelFacts(task="binary", segments=["country"], positive="yes")},
        {"reference": Reference(min_rows=60)},
        {"windows": [Window(name="w", size_ms=60_000, step_ms=60_000, grace_ms=1)]},
        {"windows": []},
        {"checks": [CHECK, msgspec.structs.replace(CHECK, alert="B")]},
    ],
)
def test_any_change_gives_another_digest(changed):
    """Model, reference, windows and checks are all in it."""
    assert msgspec.structs.replace(DEFINITION, **changed).digest() != DEFINITION.digest()


@pytest.mark.parametrize("field", STATISTIC)
def test_what_is_computed_names_the_statistic(field):
    """A change of what a check computes starts its state anew."""
    changed = msgspec.structs.replace(CHECK, **{field: STATISTIC[field]})
    assert changed.statistic_digest() != CHECK.statistic_digest()


@pytest.mark.parametrize("field", RULE)
def test_a_threshold_is_no_statistic(field):
    """Editing a limit, a duration or a label keeps what was learnt."""
    changed = msgspec.structs.replace(CHECK, **{field: RULE[field]})
    assert changed.statistic_digest() == CHECK.statistic_digest()
    assert changed != CHECK


def test_every_field_of_a_check_is_one_or_the_other():
    """A new field must say whether it starts the state anew."""
    assert {"alert", "default", *STATISTIC, *RULE} == set(Check.__struct_fields__)
