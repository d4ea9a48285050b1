"""The estimate is an upper bound that is not far off, and what no worker could hold is refused."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from inferwatch.cli.main import main
from inferwatch.config import estimate, monitors
from inferwatch.config.checks import PLAIN
from inferwatch.config.estimate import Load
from inferwatch.core import duel, past, places, snapshot
from inferwatch.core.drift import ROW_METHODS
from inferwatch.core.drift import state_bytes as state_bytes_of
from inferwatch.core.drift.row_anomaly import Column, RowAnomaly
from inferwatch.core.drift.scale import Scale
from inferwatch.core.duel import Round, Side
from inferwatch.core.fold import Partition
from inferwatch.core.inspections import LEFT_OUT
from inferwatch.core.past import Past
from inferwatch.core.placement import partition_of
from inferwatch.core.sequential import Sample, Strata
from inferwatch.core.sketches import space_saving
from inferwatch.core.sketches.space_saving import Counters
from inferwatch.errors import ConfigError, Exit
from inferwatch.records.decode import decode
from inferwatch.records.definition import Check, Definition, Limit, ModelFacts, Reference, Window
from inferwatch.testing.builders import TIME_MS, raw_inference, raw_labels

MINUTE_MS = 60_000
MINUTES = 12


def definition(*, labelled: bool) -> Definition:
    """One window of a minute, with a check on labels or without."""
    metric = "accuracy" if labelled else "rows"
    low = Limit(direction="below", value=0.5, clear=0.5)
    return Definition(
        model=ModelFacts(task="binary", segments=["shop"], label_horizon_ms=MINUTES * MINUTE_MS),
        reference=Reference(min_rows=500),
        windows=[Window(name="minute", size_ms=MINUTE_MS)],
        checks=[Check(alert="Low", metric=metric, window="minute", warn=low)],
    )


def state_bytes(found: Definition, features: int, segments: int, late_ms: int = 0) -> int:
    """Bytes of a checkpoint after some minutes of 300 rows, each with its label.

    Every 50th row is `late_ms` late.
    """
    draw, partition = np.random.default_rng(1), Partition(0)
    start_ms = TIME_MS // MINUTE_MS * MINUTE_MS
    for minute in range(MINUTES):
        ids = [f"id-of-20-characters-{minute}-{row}"[-20:] for row in range(300)]
        raw = raw_inference(
            n=300,
            offset=2 * minute,
            ids=ids,
            time_ms=[
                start_ms + minute * MINUTE_MS + 190 * row - late_ms * (row % 50 == 0)
                for row in range(300)
            ],
            numeric={f"f{at}": draw.normal(size=300).tolist() for at in range(features)},
            prediction=[1] * 300,
            score=draw.random(300).tolist(),
            segments={"shop": [f"s{row % segments}" for row in range(300)]},
        )
        decoded = decode(raw)
        if name := partition.undefined(decoded):
            partition.define(name, found, 0)
        partition.fold(raw, decoded)
        labels = raw_labels(ids=ids, label=[1] * 300, offset=2 * minute + 1)
        partition.fold(labels, decode(labels))
    (model,) = partition.models.values()
    return sum(len(data or b"") for data in snapshot.cut(model).values())


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(("features", "segments"), [(1, 1), (20, 1), (20, 30)])
def test_the_estimate_bounds_a_real_state(labelled, features, segments):
    """A checkpoint of such traffic is smaller than the estimate, and not by more than six times."""
    found = definition(labelled=labelled)
    load = Load(rows_per_s=5, features=features, segments=segments, versions=1)
    estimated = estimate.of(found, load).total_bytes()
    measured = state_bytes(found, features, segments)
    assert measured <= estimated <= 6 * measured


def test_labels_of_rows_that_were_late_are_in_the_estimate():
    """Windows that overlap take them out again, each of those that had closed."""
    found = definition(labelled=True)
    window = Window(name="minute", size_ms=2 * MINUTE_MS, step_ms=MINUTE_MS, grace_ms=0)
    found = msgspec.structs.replace(found, windows=[window])
    load = Load(rows_per_s=5, features=1, segments=6, versions=1)
    told = estimate.of(found, load).total_bytes()
    kept = [state_bytes(found, 1, 6, late_ms) for late_ms in (0, MINUTE_MS)]
    assert kept[0] < kept[1] <= told <= 6 * kept[1]


def test_a_reference_that_moves_along_is_in_the_estimate():
    """What it keeps of the past is bounded too."""
    found = definition(labelled=False)
    still = Reference(min_rows=500)
    moving = Reference(min_rows=500, last_ms=7 * MINUTE_MS)
    bytes_of = []
    for reference in (still, moving):
        found = msgspec.structs.replace(found, reference=reference)
        estimated = estimate.of(found, Load(rows_per_s=5, segments=1, versions=1)).total_bytes()
        measured = state_bytes(found, 20, 1)
        assert measured <= estimated <= 6 * measured
        bytes_of.append((measured, estimated))
    (less, less_told), (more, more_told) = bytes_of
    assert more > less and more - less <= more_told - less_told


def test_scores_by_answer_are_in_the_estimate():
    """Of the whole model and of each segment, where checks read estimated performance."""
    told, kept = [], []
    for metric in ("rows", "estimated.accuracy"):
        found = definition(labelled=False)
        [check] = found.checks
        check = msgspec.structs.replace(check, metric=metric)
        found = msgspec.structs.replace(found, checks=[check])
        load = Load(rows_per_s=5, features=1, segments=30, versions=1)
        told.append(estimate.of(found, load).total_bytes())
        kept.append(state_bytes(found, 1, 30))
        assert kept[-1] <= told[-1] <= 6 * kept[-1]
    assert 0 < kept[1] - kept[0] <= told[1] - told[0]


def test_guesses_to_be_corrected_are_in_the_estimate():
    """Of the whole model and of each segment, for as long as windows take labels."""
    told, kept = [], []
    for metric in ("accuracy", "corrected.accuracy"):
        found = definition(labelled=True)
        [check] = found.checks
        check = msgspec.structs.replace(check, metric=metric)
        found = msgspec.structs.replace(found, checks=[check])
        told.append(estimate.of(found, Load(rows_per_s=5, features=1, segments=30, versions=1)))
        kept.append(state_bytes(found, 1, 30))
        assert kept[-1] <= told[-1].total_bytes() <= 6 * kept[-1]
    assert 0 < kept[1] - kept[0] <= told[1].total_bytes() - told[0].total_bytes()


def test_samples_for_inspectors_are_in_the_estimate():
    """Of open panes, of windows that nobody answers, and of the reference."""
    found = definition(labelled=False)
    odd = Check(
        alert="Odd", metric="features", method="lof", window="minute", warn=found.checks[0].warn
    )
    asked = msgspec.structs.replace(found, checks=[*found.checks, odd])
    load = Load(rows_per_s=5, features=20, segments=1, versions=1)
    less, more = (estimate.of(one, load).total_bytes() for one in (found, asked))
    measured = state_bytes(asked, 20, 1)
    assert measured <= more <= 6 * measured
    assert 100_000 < measured - state_bytes(found, 20, 1) <= more - less


def test_rows_that_wait_for_labels_are_in_the_estimate():
    """Of as many windows as wait, and labelled ones of windows before."""
    found = definition(labelled=True)
    where = Check(
        alert="Where",
        metric="errors",
        method="error_slice",
        window="minute",
        warn=found.checks[0].warn,
    )
    asked = msgspec.structs.replace(found, checks=[*found.checks, where])
    load = Load(rows_per_s=5, features=20, segments=1, versions=1)
    less, more = (estimate.of(one, load).total_bytes() for one in (found, asked))
    measured = state_bytes(asked, 20, 1)
    assert measured <= more <= 6 * measured
    assert 100_000 < measured - state_bytes(found, 20, 1) <= more - less


def rich(draw: np.random.Generator, n: int) -> dict[str, dict[str, object]]:
    """What n rows may carry, by the field of `Load` that tells of it."""
    calls = {
        name: draw.lognormal(mean, 1, n).tolist()
        for name, mean in (("input_tokens", 6), ("output_tokens", 5), ("time_to_first_token_ms", 4))
    }
    words = [f"word-of-20-ch-{code:06d}" for code in draw.integers(0, 10**6, n).tolist()]
    classes = [f"class-of-20-chars-{code:02d}" for code in range(20)]
    scores = draw.dirichlet(np.ones(len(classes)), n).T
    return {
        "entities": {"entity": [f"e{code}" for code in draw.integers(0, 10**5, n).tolist()]},
        "llm": {"llm": calls | {"finish_reason": ["stop"] * n}},
        "categories": {"categories": {"word": words}},
        "embedding": {"embedding": draw.normal(size=(n, 32)).tolist()},
        "classes": {
            "prediction": draw.choice(classes, n).tolist(),
            "score": {name: score.tolist() for name, score in zip(classes, scores, strict=True)},
        },
    }


def rich_bytes(found: Definition, fields: Sequence[str]) -> int:
    """Bytes of a checkpoint after some minutes of 1,500 rows that carry `fields`, each labelled."""
    draw, partition, n = np.random.default_rng(1), Partition(0), 1_500
    start_ms = TIME_MS // MINUTE_MS * MINUTE_MS
    for minute in range(MINUTES):
        ids = [f"id-of-20-chars-{minute:02d}-{row:04d}"[-20:] for row in range(n)]
        times = [start_ms + minute * MINUTE_MS + 40 * row for row in range(n)]
        carried = rich(draw, n)
        answers = {"prediction": [1] * n, "score": draw.random(n).tolist()}
        raw = raw_inference(
            n=n,
            offset=2 * minute,
            ids=ids,
            time_ms=times,
            numeric={f"f{at}": draw.normal(size=n).tolist() for at in range(5)},
            latency_ms=draw.lognormal(3, 0.5, n).tolist(),
            segments={"shop": [f"s{row % 2}" for row in range(n)]},
            **(answers | {key: value for name in fields for key, value in carried[name].items()}),
        )
        decoded = decode(raw)
        if name := partition.undefined(decoded):
            partition.define(name, found, 0)
        partition.fold(raw, decoded)
        late = (np.array(times) + draw.lognormal(9, 1.5, n).astype(int)).tolist()
        truth = rich(draw, n)["classes"]["prediction"] if "classes" in fields else [1] * n
        labels = raw_labels(
            ids=ids, label=truth, offset=2 * minute + 1, time_ms=late, record_time_ms=times[-1]
        )
        partition.fold(labels, decode(labels))
    (model,) = partition.models.values()
    return sum(len(data or b"") for data in snapshot.cut(model).values())


@pytest.mark.parametrize(
    "fields",
    [
        ("entities",),
        ("llm",),
        ("categories",),
        ("classes",),
        ("embedding",),
        ("entities", "llm", "categories", "classes", "embedding"),
    ],
    ids="+".join,
)
def test_what_rows_carry_is_in_the_estimate(fields):
    """By itself and together: bytes more are bounded, and all bytes are no less than a third."""
    plain = definition(labelled=True)
    facts = msgspec.structs.replace(plain.model, task="multiclass")
    found = msgspec.structs.replace(plain, model=facts) if "classes" in fields else plain
    least = Load(rows_per_s=25, features=5, segments=2, versions=1)
    told = {"entities": True, "llm": True, "categories": 1, "classes": 20, "embedding": 32}
    most = msgspec.structs.replace(least, **{name: told[name] for name in fields})
    less, more = rich_bytes(plain, ()), rich_bytes(found, fields)
    less_told, more_told = (
        estimate.of(one, load).total_bytes() for one, load in ((plain, least), (found, most))
    )
    assert less <= less_told <= 3 * less
    assert more <= more_told <= 3 * more
    assert 0 < more - less <= more_told - less_told


def test_past_figures_for_inspectors_are_in_the_estimate():
    """As many as are kept of the widest window, and as windows hold that wait."""
    found = definition(labelled=False)
    odd = Check(
        alert="Odd", metric="figures", method="lof", window="minute", warn=found.checks[0].warn
    )
    asked = msgspec.structs.replace(found, checks=[*found.checks, odd])
    load = Load(rows_per_s=5, features=20, segments=1, versions=1)
    less, more = (estimate.of(one, load).total_bytes() for one in (found, asked))
    kept = Past()
    for _ in range(600):
        past.add(kept, dict.fromkeys(PLAIN - set(LEFT_OUT), 1.0))
    windows = 1 + 6  # what is kept, and those of six minutes that nobody answers
    assert windows * kept.figures.nbytes <= more - less <= 1.2 * windows * kept.figures.nbytes


def test_comparisons_of_versions_are_in_the_estimate():
    """Of each version a week of hours, and the windows that may wait for their labels."""
    found = definition(labelled=True)
    check = msgspec.structs.replace(found.checks[0], versus="previous")
    asked = msgspec.structs.replace(found, checks=[check])
    load = Load(rows_per_s=5, features=1, segments=1, versions=1)
    less, more = (estimate.of(one, load).total_bytes() for one in (found, asked))
    side, sample = Side(other="v1", strata=Strata(9, *[0.1] * 5)), Sample(9_999, 1_234.5, 6_789.1)
    side.rounds = {TIME_MS + at: Round(sample, 9_999, 1 << 40) for at in range(24 * 60)}
    side.hours = {500_000 + at: sample for at in range(duel.WEEK_HOURS)}
    side.before = side.alone = dict.fromkeys(range(duel.DAY_HOURS), sample)
    kept = len(msgspec.msgpack.encode({"Low\x1fv2\x1f\x1f": side}))
    assert kept <= more - less <= 1.2 * kept


@pytest.mark.parametrize("name", ROW_METHODS)
@pytest.mark.parametrize("more", [{}, {"window_size": 3_000.0}, {"n_trees": 40.0}])
def test_a_detector_takes_what_the_estimate_says(name, more):
    """A check's detector after many rows is not larger, and not much smaller."""
    method = ROW_METHODS[name]
    params = {key: value for key, value in more.items() if key in method.PARAMS}
    values, sizes = np.random.default_rng(1).random((8_000, 3)), []
    scale = Scale(0.0, 1.0, 0.5, 0.29)
    columns = [Column(f"f{at}", 0.0, 1.0, 0.5) for at in range(3)]
    given = method.PARAMS | params
    made = RowAnomaly(columns, given) if name == "hst" else method.make(scale, given)
    for part in np.split(values, 16):
        made.update_many(part if name == "hst" else part[:, 0])
        sizes.append(len(msgspec.msgpack.encode(made.dump())))
    assert max(sizes) <= state_bytes_of(name, params) + 100 <= 1.8 * max(sizes) + 150


def test_counters_of_segment_values_are_counted_where_places_run_out():
    """Ten a place, as a checkpoint has them when every one is in use."""
    found = definition(labelled=False)
    places_max = found.model.segments_max
    few, many = (
        estimate.of(found, Load(segments=places_max + more, versions=1)) for more in (0, 1)
    )
    counters = Counters()
    words = (f"of-20-characters-{row:03}" for row in range(places_max * places.COUNTERS))
    space_saving.update(counters, words, places_max * places.COUNTERS)
    took = len(msgspec.msgpack.encode(counters))
    assert took <= many.panes_bytes - few.panes_bytes <= 2 * took
    assert many.memory_bytes - few.memory_bytes >= 5 * took


def test_half_space_trees_are_counted_with_their_columns():
    """Of a model of 1,000 features with names of 20 characters, which are kept with the trees."""
    found = definition(labelled=False)
    odd = Check(alert="Odd", metric="features", method="hst", warn=found.checks[0].warn)
    asked = msgspec.structs.replace(found, checks=[*found.checks, odd])
    load = Load(features=1_000, versions=1)
    less, more = (estimate.of(one, load).detectors_bytes for one in (found, asked))
    columns = [Column(f"feature-of-20-ch-{at:03d}", 0.0, 1.0, 0.5) for at in range(1_000)]
    made = RowAnomaly(columns, RowAnomaly.PARAMS)
    measured = len(msgspec.msgpack.encode(made.dump()))
    assert 80_000 < measured <= more - less <= 1.5 * measured


def test_more_of_anything_costs_more():
    """Rows, features, segments, versions: none of them is for nothing."""
    found = definition(labelled=True)
    least = estimate.of(found, Load())
    for more in (
        Load(rows_per_s=20),
        Load(features=40),
        Load(segments=20),
        Load(versions=4),
    ):
        assert estimate.of(found, more).total_bytes() > least.total_bytes()
        assert estimate.of(found, more).memory_bytes > least.memory_bytes


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ("{size: 30d, step: 1m}", "43200 panes, about 1029 MiB"),
        ("{size: 1m}", "129,601 windows 'w' would wait for labels, about 1,557 MiB"),
    ],
)
def test_what_no_worker_could_hold_is_refused_with_the_figure(tmp_path, window, said):
    """F61: too many panes, or too many windows that wait for labels, with file and line."""
    path = tmp_path / "monitors.yaml"
    path.write_text(
        'apiVersion: inferwatch/v1\nmatch: {model: "a/b"}\nmodel: {label_delay: 45d}\n'
        f"windows: {{w: {window}}}\nchecks:\n"
        "  - {alert: A, metric: accuracy, fail: {below: 0.5}}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError) as caught:
        monitors.read(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"{path}:")
    assert main(["plan", str(path)]) == Exit.CONFIG


def test_plan_prints_what_to_expect(capsys):
    """Without a file the default checks; with many models, how many workers they need."""
    assert main(["plan", "--models", "100"]) == Exit.DONE
    told = capsys.readouterr().out
    assert "(default checks)" in told
    assert "workers or more" in told
    assert "in memory at most" in told


@pytest.mark.parametrize("models_max", [50, 200, 500])
@pytest.mark.parametrize("models", [100, 1_000, 12_000])
def test_models_find_a_place_among_the_partitions_named(models, models_max):
    """Placed as Kafka places them, no partition gets more than it takes; half as many would not
    do.
    """
    partitions = estimate.partitions_for(models, models_max)

    def fullest(among: int) -> int:
        places = Counter(partition_of(f"team/model-{number}", among) for number in range(models))
        return max(places.values())

    assert fullest(partitions) <= models_max
    assert partitions == 1 or fullest(max(1, partitions // 2)) > models_max
    assert (partitions == 1) == (models <= models_max)


def test_plan_says_how_many_partitions_the_models_need(capsys):
    """By the cap that a worker has, or would be given."""
    assert main(["plan", "--models", "500"]) == Exit.DONE
    assert "a partition takes 500 (--models-max): 1 partition or more" in capsys.readouterr().out
    assert main(["plan", "--models", "500", "--models-max", "100"]) == Exit.DONE
    assert f"{estimate.partitions_for(500, 100)} partitions or more" in capsys.readouterr().out
