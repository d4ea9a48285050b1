"""A definition that the log brings is folded by, or refused before it can do harm."""

import math
import re

import pytest
from msgspec.structs import replace

from inferwatch.config.defaults import default_definition
from inferwatch.core import directions
from inferwatch.core.columns import OTHER
from inferwatch.core.directions import DIRECTIONS
from inferwatch.core.fold import Partition
from inferwatch.core.sketches.score_labels import BINS
from inferwatch.core.soundness import problem
from inferwatch.errors import ConfigError, Reason
from inferwatch.records.decode import decode
from inferwatch.records.definition import (
    Check,
    Clock,
    Definition,
    EmbeddingProfile,
    Limit,
    Window,
)
from inferwatch.records.events import MonitorChange
from inferwatch.records.raw import RawRecord
from inferwatch.testing import streams
from inferwatch.testing.builders import TIME_MS, raw_event, raw_inference, raw_labels, raw_tick

MODEL = "binary/m0"
SOUND = streams.definition(MODEL)
PROFILED = streams.definition("regression/m1")


def fold(partition: Partition, raw: RawRecord, definition: Definition = SOUND):
    """Outputs of one record; a new model is watched by `definition`."""
    decoded = decode(raw)
    if name := partition.undefined(decoded):
        partition.define(name, definition, raw.offset)
    return partition.fold(raw, decoded)


def changed_check(**changes) -> Definition:
    """The sound definition with one check that differs."""
    return replace(SOUND, checks=[replace(SOUND.checks[0], **changes), *SOUND.checks[1:]])


def changed_window(**changes) -> Definition:
    """The sound definition with one window that differs."""
    return replace(SOUND, windows=[replace(SOUND.windows[0], **changes), *SOUND.windows[1:]])


def changed_column(**changes) -> Definition:
    """A sound profile with one column that differs."""
    profile = PROFILED.reference.profile
    assert profile is not None
    numeric = dict(profile.numeric) | {"age": replace(profile.numeric["age"], **changes)}
    reference = replace(PROFILED.reference, profile=replace(profile, numeric=numeric))
    return replace(PROFILED, reference=reference)


def changed_embedding(**changes) -> Definition:
    """A profile whose embeddings, of three numbers, differ."""
    column = PROFILED.reference.profile.numeric["age"]
    sound = EmbeddingProfile(dim=3, directions=directions.make(3), along=[column] * DIRECTIONS)
    profile = replace(PROFILED.reference.profile, embedding=replace(sound, **changes))
    return replace(PROFILED, reference=replace(PROFILED.reference, profile=profile))


UNSOUND = [
    Definition(),
    *(changed_window(size_ms=size) for size in (0, -1, 999, 1 << 62)),
    changed_window(step_ms=-60_000),
    changed_window(size_ms=86_400_000, step_ms=1_000),
    changed_window(rows=5),
    changed_window(exact=True),
    changed_window(grace_ms=-1),
    changed_window(name="slow"),
    changed_check(window="elsewhere"),
    changed_check(metric="rows", method="ewma", params={"min_instances": 100.0}),
    changed_check(metric="rows", method="seasonal", params={"period": 7.0}),
    changed_check(metric="rows", method="mad", params={"window": 1e9}),
    *(
        replace(SOUND, model=replace(SOUND.model, clock=Clock(timezone="X", utc_offsets=offsets)))
        for offsets in (
            [(1, 0), (0, 0)],
            [(0, 1 << 62)],
            [(1 << 62, 0)],
            [(k, 0) for k in range(5_000)],
        )
    ),
    changed_check(window=""),
    changed_check(method="magic"),
    changed_check(alert=SOUND.checks[1].alert),
    changed_check(segment_by=["planet"]),
    changed_check(warn=Limit(direction="above", value=math.inf, clear=0.0)),
    changed_check(warn=None, fail=None),
    changed_check(warn=Limit(direction="above", value=0.1, clear=0.1, calibrated=True)),
    changed_check(times=(3, 2)),
    changed_check(method="lof"),
    changed_check(method="lof", metric="features", segment_by=["country"]),
    changed_check(method="lof", metric="errors"),
    changed_check(method="error_slice", metric="features"),
    replace(
        SOUND,
        model=replace(SOUND.model, task="ranking"),
        checks=[replace(SOUND.checks[0], method="error_slice", metric="errors")],
    ),
    replace(
        changed_window(size_ms=61_000, step_ms=1_000),
        checks=[
            replace(SOUND.checks[0], method="lof", metric="features", window=SOUND.windows[0].name)
        ],
    ),
    changed_check(versus="previous", metric="feature.age", method="psi"),
    changed_check(versus="previous", metric="features", method="lof"),
    changed_check(versus="previous", metric="rows"),
    changed_check(versus="previous", metric="accuracy", segment_by=["country"]),
    *(
        replace(
            changed_window(**changes),
            checks=[
                replace(
                    SOUND.checks[0],
                    versus="previous",
                    metric="accuracy",
                    window=SOUND.windows[0].name,
                )
            ],
        )
        for changes in (
            {"size_ms": 60_000, "step_ms": 30_000},
            {"rows": 500, "size_ms": 0, "step_ms": 0},
        )
    ),
    changed_check(for_ms=-1),
    changed_check(method="adwin", window="", params={"delta": 0.0}),
    changed_check(method="adwin", window="", params={"speed": 1.0}),
    replace(SOUND, model=replace(SOUND.model, segments_max=0)),
    replace(SOUND, model=replace(SOUND.model, segments_min_rows=0)),
    replace(SOUND, model=replace(SOUND.model, score_bins=1_000)),
    replace(SOUND, model=replace(SOUND.model, label_horizon_ms=-1)),
    replace(SOUND, model=replace(SOUND.model, pending_max_bytes=0)),
    replace(SOUND, reference=replace(SOUND.reference, min_rows=0)),
    replace(SOUND, reference=replace(SOUND.reference, min_span_ms=-1)),
    changed_column(counts=[1, 2, 3]),
    *(replace(SOUND, model=replace(SOUND.model, segments=[name])) for name in ("a=b", OTHER)),
    changed_column(edges=[1.0, 1.0]),
    changed_column(sd=math.nan),
    changed_embedding(dim=0, directions=b""),
    changed_embedding(dim=4),
    changed_embedding(directions=directions.make(3)[3:]),
    changed_embedding(directions=b"\0" * 3 + directions.make(3)[3:]),
    changed_embedding(along=[]),
    changed_embedding(dim=-3, directions=b"", along=[]),
    changed_embedding(along=[replace(PROFILED.reference.profile.numeric["age"], counts=[1])] * 16),
    *(
        replace(PROFILED, reference=replace(PROFILED.reference, profile=labelled))
        for labelled in (
            replace(PROFILED.reference.profile, labelled=counts)
            for counts in ([[1] * BINS], [[1] * BINS, [1]], [[1] * BINS, [-1] * BINS])
        )
    ),
]


@pytest.mark.parametrize("definition", UNSOUND)
def test_an_unsound_definition_is_named_and_rejected(definition):
    """Out of the log it is a reject with its reason, and the rules before it stay; out of code it
    is an error.
    """
    assert problem(definition)
    partition = Partition(0)
    fold(partition, raw_inference(model=MODEL, offset=0))
    before = partition.models[MODEL].definition
    (dead,) = fold(
        partition, raw_event(MonitorChange(model=MODEL, definition=definition), offset=1)
    )
    assert dead.kind == "dead"
    assert partition.counts.rejected == {Reason.SCHEMA_INVALID: 1}
    assert partition.counts.conserved()
    assert partition.models[MODEL].definition == before
    with pytest.raises(ConfigError, match=re.escape(problem(definition)[:40])):
        fold(Partition(0), raw_inference(model=MODEL, offset=0), definition)


@pytest.mark.parametrize(
    "definition",
    [
        default_definition(),
        changed_embedding(),
        *(streams.definition(model, change) for model in streams.names(3) for change in range(4)),
    ],
)
def test_what_monitor_files_and_streams_say_is_sound(definition):
    """Nothing that the fold works with is refused."""
    assert problem(definition) == ""


def test_a_label_check_may_go_while_windows_wait_for_it():
    """Its windows wait no more; before, the next record ended the worker."""
    check = Check(
        alert="AccuracyLow",
        metric="accuracy",
        window="minute",
        fail=Limit(direction="below", value=0.6, clear=0.6),
    )
    other = replace(check, alert="Other")
    minute = Window(name="minute", size_ms=60_000, grace_ms=0)
    before = Definition(windows=[minute], checks=[check, other])
    after = replace(before, checks=[other])
    partition = Partition(0)
    raw = raw_inference(model=MODEL, prediction=[1], score=[0.9], ids=["a"], offset=0)
    fold(partition, raw, before)
    fold(partition, raw_tick(offset=1, time_ms=TIME_MS + 120_000))
    (track,) = partition.models[MODEL].state.tracks["minute"].values()
    assert len(track.queue) == 2
    fold(partition, raw_event(MonitorChange(model=MODEL, definition=after), offset=2))
    assert [key.split("\x1f")[0] for key in track.queue] == ["Other"]
    fold(partition, raw_labels(model=MODEL, ids=["a"], label=[1], offset=3))
    assert partition.counts.ok == 4
