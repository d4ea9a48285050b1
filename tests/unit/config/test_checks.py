"""Checks: what a file may ask for is measured by the fold; what is never measured is refused."""

import random

import msgspec
import numpy as np
import pytest

from inferwatch.config import checks, document, limits
from inferwatch.core import llm, past, soundness
from inferwatch.core.drift import reads_rows
from inferwatch.core.fold import Partition
from inferwatch.core.inspectors import Request
from inferwatch.core.metrics import CLASS_FIGURES, LABEL_METRICS
from inferwatch.core.model import Position
from inferwatch.core.reference import category_profile, numeric_profile
from inferwatch.errors import ConfigError
from inferwatch.records.decode import decode
from inferwatch.records.definition import (
    Check,
    Definition,
    Limit,
    ModelFacts,
    Need,
    Profile,
    Reference,
    Window,
)
from inferwatch.records.events import Inspection, Resource
from inferwatch.testing.builders import TIME_MS, raw_event, raw_inference, raw_labels, raw_tick

MODEL = "team/model"
WINDOW = {"w": Window(name="w", rows=200)}
TASKS = ("binary", "multiclass", "regression", "ranking")
FEATURES = ("feature.x", "feature.word", "feature.*")
EVERYWHERE = [
    *((metric, method) for method, metrics in checks.METRICS.items() for metric in sorted(metrics)),
    *((feature, method) for feature in FEATURES for method in checks.READ_FEATURES),
    *((f"{feature}.{part}", "value") for feature in FEATURES for part in checks.PARTS),
    *((f"class.{name}.{figure}", "value") for figure in CLASS_FIGURES for name in ("1", "*")),
]
# a word has no mean and no range, a number is never empty, row methods and distances along the
# line read numbers: they are silent there; what knows hours of the week speaks after three weeks
SILENT = {
    *((f"feature.word.{part}", "value") for part in ("mean", "sd", "non_finite", "out_of_range")),
    ("feature.x.empty", "value"),
    ("feature.x.distinct", "value"),
    *(("feature.word", method) for method in checks.NUMBERS_ONLY),
    *(("feature.word", method) for method in checks.ROW_METHODS),
    *((metric, "seasonal") for metric in checks.METRICS["seasonal"]),
}


def parsed(text: str, facts: ModelFacts | None = None, profile: Profile | None = None) -> Check:
    """The check of a few lines."""
    root = document.parse(text, "m.yaml")
    return checks.parse(root, facts or ModelFacts(segments=["country"]), WINDOW, profile)


def lines(metric: str, method: str) -> str:
    """A check that fires as soon as its figure is known at all."""
    text = f'alert: "{metric} {method}"\nmetric: "{metric}"\nmethod: {method}\n'
    if method == "absent":
        return text + "for: 1m\n"
    if reads_rows(method, metric):
        return text
    text += "params: {past_min: 12}\n" if method == "auto" else ""
    low, high = (2, 9) if (metric, method) == ("rows", "value") else (0.3, 0.7)
    above = f"warn: {{above: {low}}}\n"
    return text + (above if method in checks.INSPECTORS else above + f"fail: {{below: {high}}}\n")


def allowed(task: str) -> list[Check]:
    """Every check that may be written for a model of the task."""
    found = []
    for metric, method in EVERYWHERE:
        try:
            found.append(parsed(lines(metric, method), ModelFacts(task=task)))
        except ConfigError as error:
            assert "means nothing" in str(error)
    return found


def scores(task: str, drawn: list[float]):
    """What a model of the task sends with its answers."""
    if task == "multiclass":
        return {"0": drawn, "1": drawn, "2": [1.0 - score for score in drawn]}
    return None if task == "regression" else drawn


def vector(draw: random.Random, moved: bool):
    """Two numbers."""
    return [draw.gauss(3.0 * moved, 1.0), draw.gauss(0.0, 1.0)]


def stream(task: str, batches: int):
    """Rows of everything that can be watched, half of a window a batch; labels, gauges, a silence.

    In the second half scores and features move, and answers get worse.
    """
    draw = random.Random(1)
    offset = 0
    for number in range(batches):
        moved = number >= batches // 2
        truth = [draw.randrange(3 if task == "multiclass" else 2) for _ in range(100)]
        wrong = [draw.random() < (0.9 if moved else 0.1) for _ in truth]
        answers = [float(y + w) for y, w in zip(truth, wrong, strict=True)]
        if task == "binary":
            answers = [answer % 2 for answer in answers]
        ids = [f"{number}-{row}" for row in range(100)]
        yield raw_inference(
            n=100,
            offset=offset,
            ids=ids,
            time_ms=[TIME_MS + number * 1_000] * 100,
            numeric={"x": [draw.gauss(3.0 * moved, 1.0) for _ in ids]},
            categories={"word": [draw.choice("abc" + "d" * moved) for _ in ids]},
            prediction=answers,
            score=scores(task, [draw.random() * (0.3 + 0.7 * moved) for _ in ids]),
            latency_ms=[draw.random() * (9 + 60 * moved) for _ in ids],
            error=[draw.choice(["Timeout", None]) for _ in ids],
            entity=[draw.choice("abc") + str(number) * (task == "ranking") for _ in ids],
            llm={
                "input_tokens": [draw.randrange(900) for _ in ids],
                "output_tokens": [draw.randrange(2, 90) for _ in ids],
                "time_to_first_token_ms": [0.0 for _ in ids],
                "cost": [draw.random() for _ in ids],
                "finish_reason": [draw.choice(llm.FINISH) for _ in ids],
            },
            embedding=[draw.choice([[0.0, float("nan")], vector(draw, moved)]) for _ in ids],
            emitted=(number + 1) * 100,
        )
        sample = Resource(
            model=MODEL,
            version="1",
            instance="i",
            time_ms=TIME_MS + number * 1_000,
            cpu=0.5,
            memory=0.5,
            gpu=0.5,
            gpu_memory=0.5,
            throttled=0.5,
            started_ms=TIME_MS,
        )
        yield raw_event(sample, offset=offset + 1, time_ms=TIME_MS + number * 1_000)
        yield raw_labels(ids=ids, label=[float(y) for y in truth], offset=offset + 2)
        offset += 3
    yield raw_tick(offset=offset, time_ms=TIME_MS + batches * 1_000 + 120_000)


@pytest.mark.parametrize("task", TASKS)
def test_every_check_that_may_be_written_can_fire(task, monkeypatch):
    """A check that no data could make speak would be a watchman who sleeps."""
    monkeypatch.setattr(past, "WINDOWS_MIN", 5)
    monkeypatch.setattr(past, "APART", 2)
    monkeypatch.setattr(soundness, "CHECKS_MAX", 1_000)  # one model has them all
    written = allowed(task)
    definition = Definition(
        model=ModelFacts(task=task, label_wait_ms=10_000, label_horizon_ms=20_000),
        reference=Reference(min_rows=100),
        windows=list(WINDOW.values()),
        checks=written,
    )
    partition = Partition(0)
    partition.define(MODEL, definition, 0)
    fired = set()
    for raw in stream(task, 60):
        outputs = partition.fold(raw, decode(raw))
        for asked in [output for output in outputs if output.kind == "request"]:
            told = msgspec.msgpack.decode(asked.value, type=Request)
            names = {"window": told.window, "method": told.method, "metric": told.metric}
            found = Inspection(model=MODEL, value=1.0, **names)
            outputs += partition.answer(found, Position(0, raw.offset, raw.time_ms))
        for output in outputs:
            if output.kind == "alert":
                record = msgspec.json.decode(output.value)
                if record["condition"] == "firing":
                    fired.add(record["alert"])
    expected = {check.alert for check in written if (check.metric, check.method) not in SILENT}
    if task == "regression":
        expected = {name for name in expected if not name.startswith(("score ", "score."))}
    assert fired == expected


def test_every_metric_is_for_some_task():
    """Nothing is listed that may be written for no model at all."""
    named = {(check.metric, check.method) for task in TASKS for check in allowed(task)}
    assert named == set(EVERYWHERE)


def test_a_model_of_unknown_task_may_name_any_metric():
    """The task is guessed from its first rows, after the file is read."""
    for metric, method in EVERYWHERE:
        assert parsed(lines(metric, method)).metric == metric


@pytest.mark.parametrize(
    ("limit", "value", "relative"),
    [
        ("drop: 5%", 0.05, True),
        ("drop: 5pp", 0.05, False),
        ("rise: 0.1", 0.1, False),
        ("above: 80%", 0.8, False),
        ("below: 0.8", 0.8, False),
    ],
)
def test_a_limit_says_what_is_written(limit, value, relative):
    """`5%` of a change is relative to the reference, `5pp` is not; of a level `5%` is a share."""
    found = parsed(f"alert: A\nmetric: accuracy\nfail: {{{limit}}}\n").fail
    assert found == Limit(
        direction=limit.split(":")[0], value=value, relative=relative, clear=value
    )


def test_latencies_may_be_written_in_any_unit_of_time():
    """250ms, 0.25s and 250 are one limit."""
    texts = ["250ms", "0.25s", "250"]
    limits = {
        parsed(f"alert: A\nmetric: latency.p99\nfail: {{above: {t}}}\n").fail.value for t in texts
    }
    assert limits == {250.0}


def test_clear_lies_on_the_good_side():
    """In each direction the end of an alert may be set apart from its beginning."""
    for limit, clear in (("above", 1), ("drop", 1), ("rise", 1), ("below", 9)):
        text = f"alert: A\nmetric: log_loss\nfail: {{{limit}: 5, clear: {clear}}}\n"
        assert parsed(text).fail.clear == clear


def test_what_is_left_out_has_its_default():
    """The shortest check: one window, by value, at once, told to people."""
    check = parsed("alert: A\nmetric: rows\nwarn: {below: 9}\n")
    assert (check.method, check.window, check.times, check.mode) == ("value", "w", (1, 1), "alert")
    assert (check.for_ms, check.keep_firing_for_ms, check.need.rows) == (0, 0, 1)
    assert check.fail is None and not check.default


def test_a_corrected_figure_asks_for_some_labels_and_no_coverage():
    """100 where `when` names none."""
    text = "alert: A\nmetric: corrected.accuracy\nwarn: {drop: 2pp}\n"
    assert parsed(text).need == Need(labels=100)
    assert parsed(text + "when: {labels: 40}\n").need == Need(labels=40)
    assert parsed(text + "when: {coverage: 5%}\n").need == Need(labels=100, coverage=0.05)


def test_a_profile_has_no_figure_of_traffic():
    """A drop from a figure that the profile cannot have would never be judged."""
    profile = Profile(name="p", rows=9, from_ms=0, to_ms=1, quality={"": {"accuracy": 0.9}})
    text = "alert: A\nmetric: {}\nfail: {{drop: 5%}}\n"
    assert parsed(text.format("accuracy"), None, profile).fail.relative
    assert parsed(text.format("estimated.accuracy"), None, profile).fail.relative
    for metric, fix in (
        ("latency.p99", r"\(use above or below\)"),
        ("recall", "build the profile"),
        ("estimated.recall", "build the profile"),
    ):
        name = metric.removeprefix("estimated.")
        with pytest.raises(ConfigError, match=f"has no {name} to compare with.*{fix}"):
            parsed(text.format(metric), None, profile)


def of_columns() -> Profile:
    """A profile of a number and a word."""
    numeric = {"amount": numeric_profile(np.arange(100.0))}
    categories = {"country": category_profile({"DE": 2, "FR": 1}, 0)}
    return Profile(name="p", rows=100, from_ms=0, to_ms=1, numeric=numeric, categories=categories)


@pytest.mark.parametrize(
    ("metric", "more"),
    [
        ("feature.amuont", "method: psi\nfail: {above: 0.2}\n"),
        ("feature.amuont", "method: adwin\n"),
        ("feature.amuont.unseen", "fail: {above: 0.2}\n"),
        ("feature.amuont.mean", "fail: {drop: 5%}\n"),
    ],
)
def test_a_feature_that_is_compared_is_one_of_the_profile(metric, more):
    """A misspelt name would never be judged; the error names the likely one and what there is."""
    text = f"alert: A\nmetric: {metric}\n{more}"
    with pytest.raises(ConfigError) as told:
        parsed(text, None, of_columns())
    assert str(told.value).endswith(
        ":2: metric: the profile 'p' has no feature 'amuont' "
        "(did you mean 'amount'? it has amount, country)"
    )
    for profile, name in ((of_columns(), "amount"), (None, "amuont")):
        assert parsed(text.replace("amuont", name), None, profile).metric.startswith("feature.")


def test_a_new_feature_may_be_watched_beside_a_profile():
    """What is compared with nothing needs no column: the share of rows that lack it, its mean."""
    for part in ("missing", "mean", "distinct"):
        text = f"alert: A\nmetric: feature.new.{part}\nfail: {{above: 0.2}}\n"
        assert parsed(text, None, of_columns()).fail.value == 0.2


def test_words_are_not_read_as_numbers():
    """A column of words has no distance in standard deviations and no level."""
    for method, limit in (("wasserstein", "fail: {above: 0.2}\n"), ("kswin", "")):
        with pytest.raises(ConfigError, match=f"'country' is of words, and {method} reads numbers"):
            parsed(
                f"alert: A\nmetric: feature.country\nmethod: {method}\n{limit}", None, of_columns()
            )


def test_an_inspector_has_limits_of_its_own():
    """A check that names none gets its method's, and asks for 200 rows; both can be said."""
    text = "alert: A\nmetric: features\nmethod: lof\n"
    check = parsed(text)
    assert (check.warn, check.fail) == (None, Limit(direction="above", value=0.05, clear=0.05))
    assert check.need.rows == 200
    check = parsed(text + "warn: {above: 20%}\nwhen: {rows: 60}\n")
    assert check.fail is None and check.warn.value == 0.2 and check.need.rows == 60
    assert parsed(text.replace("lof", "domain_classifier")).fail.value == 0.7
    assert parsed(text.replace("features", "figures")).fail.value == 0.99
    with pytest.raises(ConfigError, match="'figures' is not read by domain_classifier"):
        parsed("alert: A\nmetric: figures\nmethod: domain_classifier\n")


def test_a_check_of_errors_waits_for_labels():
    """It may say which share of them, has a limit of its own, and needs no rows of a profile."""
    text = "alert: A\nmetric: errors\nmethod: error_slice\n"
    old = Profile(name="old", rows=9, from_ms=0, to_ms=1)
    check = parsed(text + "when: {rows: 150, coverage: 50%}\n", None, old)
    assert (check.need.rows, check.need.coverage) == (150, 0.5)
    assert check.fail == Limit(direction="above", value=0.1, clear=0.1)


def test_an_inspector_needs_a_profile_with_rows():
    """One that was built before profiles kept any is refused, with the fix."""
    old = Profile(name="old", rows=9, from_ms=0, to_ms=1)
    with pytest.raises(ConfigError, match=r"'old' kept no rows for inspectors \(build it again\)"):
        parsed("alert: A\nmetric: features\nmethod: lof\n", None, old)
    assert parsed("alert: A\nmetric: figures\nmethod: lof\n", None, old).metric == "figures"


def test_drift_of_embeddings_needs_a_profile_with_embeddings():
    """Without any the check would be unknown for good."""
    old = Profile(name="old", rows=9, from_ms=0, to_ms=1)
    text = "alert: A\nmetric: embedding\nmethod: sliced_wasserstein\nfail: {above: 0.2}\n"
    assert parsed(text).metric == "embedding"
    with pytest.raises(ConfigError, match="'old' has no embeddings"):
        parsed(text, None, old)


def test_shares_are_between_zero_and_one():
    """What may be limited in points or percent is a share by its definition."""
    assert {name for name in limits.RATIOS if name in LABEL_METRICS} == {
        name for name, metric in LABEL_METRICS.items() if metric.share
    }
    assert limits.RATIOS <= checks.PLAIN


def test_a_figure_of_a_class_is_known_by_its_name_and_its_figure():
    """Dots may be part of the name; shares have points, labels are waited for, and nothing else."""
    found = parsed("alert: A\nmetric: class.v1.2.recall\nwhen: {labels: 50}\nfail: {drop: 5pp}\n")
    assert (found.metric, found.need.labels) == ("class.v1.2.recall", 50)
    assert parsed("alert: A\nmetric: class.a.support\nfail: {below: 10}\n").fail.value == 10
    for text, why in (
        ("class.a.support\nfail: {drop: 5pp}", "no share"),
        ("class.a.roc\nfail: {drop: 5pp}", "no metric"),
        ("class..recall\nfail: {drop: 5pp}", "no metric"),
        ("class.a.recall\nmethod: psi\nfail: {above: 1}", "no metric"),
    ):
        with pytest.raises(ConfigError, match=why):
            parsed(f"alert: A\nmetric: {text}\n")


def test_a_star_stands_for_every_class():
    """Of the whole model only, and against a profile only where that knows figures of classes."""
    text = "alert: A\nmetric: class.*.recall\nfail: {drop: 5pp}\n"
    assert parsed(text).metric == "class.*.recall"
    with pytest.raises(ConfigError, match="name one class"):
        parsed(f"{text}segment_by: [country]\n")
    profile = Profile(name="p", rows=9, from_ms=0, to_ms=1, quality={"": {"accuracy": 0.9}})
    with pytest.raises(ConfigError, match="build the profile"):
        parsed(text, None, profile)
    profile.quality[""]["class.a.recall"] = 0.9
    assert parsed(text, None, profile).fail is not None
