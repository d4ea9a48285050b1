"""The replay of the car-loan example, figure by figure against scikit-learn, scipy and numpy."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, ks_2samp, kstwobign
from sklearn import metrics as sklearn
from sklearn.isotonic import IsotonicRegression

from inferwatch.cli.main import main
from inferwatch.core.sketches.score_labels import BINS, MIDDLES, bin_of

EXAMPLE = Path(__file__).parents[2] / "examples" / "car-loan"
SIZE, DRIFT_ROW = 5_000, 25_000
STARTS = range(0, 50_000, SIZE)
NUMERIC = ("car_value", "debt_to_income_ratio", "driver_tenure", "loan_length")
WORDS = ("repaid_loan_on_prev_car", "salary_range", "size_of_downpayment")
EPSILON, FLOOR = 1e-7, 1e-4


def arguments(out):
    monitors = str(EXAMPLE / "monitors.yaml")
    table = str(EXAMPLE / "analysis.csv.gz")
    return ["replay", table, "--monitors", monitors, "--out", str(out)]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    """The folder that a replay wrote."""
    out = tmp_path_factory.mktemp("car-loan")
    assert main(arguments(out)) == 0
    return out


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def windows(replayed):
    """Every window record that was published, in order."""
    return lines(replayed / "windows.jsonl")


@pytest.fixture(scope="module")
def alerts(replayed):
    """Every transition of an alert, in order."""
    return lines(replayed / "alerts.jsonl")


@pytest.fixture(scope="module")
def analysis():
    """The same rows, read by pandas."""
    table = pd.read_csv(EXAMPLE / "analysis.csv.gz")
    assert len(table) == 50_000 and not table.isna().any(axis=None)
    return table


@pytest.fixture(scope="module")
def profile():
    """The reference's counts of words."""
    return json.loads((EXAMPLE / "profile.json").read_text())


@pytest.fixture(scope="module")
def reference():
    """The reference's columns of numbers, sorted."""
    with np.load(EXAMPLE / "profile.values.npz") as columns:
        return dict(columns)


def rows_of(analysis, record):
    """The rows that a window record speaks of, in their order."""
    start = record["window"]["start"]
    rows = analysis.iloc[start : start + SIZE]
    segment = record.get("segment", "")
    if not segment:
        return rows
    column, word = segment.split("=", 1)
    return rows[rows[column] == word]


def final(windows):
    """The last revision of each window and segment."""
    found = {}
    for record in windows:
        key = record["window"]["start"], record.get("segment", "")
        if record.get("revision", 0) >= found.get(key, {}).get("revision", 0):
            found[key] = record
    return found


def opened(windows, start):
    """The record of a whole window at its closing, with its features."""
    [record] = [
        record
        for record in windows
        if record["window"]["start"] == start
        and not record.get("segment")
        and not record.get("revision")
    ]
    return record


def test_every_row_is_in_its_window(windows, analysis):
    """Ten windows of 5,000 rows, whole and by four segments, each row labelled in the end."""
    found = final(windows)
    assert len(found) == len(STARTS) * 5
    for record in found.values():
        rows = rows_of(analysis, record)
        assert record["rows"] == record["labels"] == len(rows)
        assert record["coverage"] == 1.0


def test_classification_is_scikit_learns(windows, analysis):
    """Accuracy, precision, recall, F1 and their kin of every window and segment, to 1e-12."""
    for record in final(windows).values():
        rows = rows_of(analysis, record)
        true, predicted = rows.repaid.to_numpy(), rows.y_pred.to_numpy()
        expected = {
            "accuracy": sklearn.accuracy_score(true, predicted),
            "precision": sklearn.precision_score(true, predicted),
            "recall": sklearn.recall_score(true, predicted),
            "f1": sklearn.f1_score(true, predicted),
            "specificity": sklearn.recall_score(true, predicted, pos_label=0),
            "balanced_accuracy": sklearn.balanced_accuracy_score(true, predicted),
            "mcc": sklearn.matthews_corrcoef(true, predicted),
        }
        found = {name: record["metrics"][name] for name in expected}
        assert found == pytest.approx(expected, rel=0, abs=1e-12)


def test_scores_are_judged_as_scikit_learn_judges_them(windows, analysis):
    """AUC, average precision, log-loss and Brier score from the rows, to 1e-9.

    Log-loss is clipped at our ε on both sides: 4,992 scores are exactly 0 or 1.
    """
    assert analysis.y_pred_proba.isin([0.0, 1.0]).sum() == 4_992
    for record in final(windows).values():
        rows = rows_of(analysis, record)
        true, score = rows.repaid.to_numpy(), rows.y_pred_proba.to_numpy()
        expected = {
            "auc": sklearn.roc_auc_score(true, score),
            "average_precision": sklearn.average_precision_score(true, score),
            "log_loss": sklearn.log_loss(true, score.clip(EPSILON, 1 - EPSILON)),
            "brier": sklearn.brier_score_loss(true, score),
        }
        found = {name: record["metrics"][name] for name in expected}
        assert found == pytest.approx(expected, rel=0, abs=1e-9)


def test_figures_on_the_way_are_those_of_the_labels_so_far(windows, analysis):
    """Each revision: accuracy of the labels that had come, none under the coverage asked for."""
    known = 0
    for record in windows:
        rows = rows_of(analysis, record).iloc[: record.get("labels", 0)]
        accuracy = record["metrics"].get("accuracy")
        if record["coverage"] < 0.8:
            assert accuracy is None and record["unknown"]["accuracy"].startswith("coverage")
        else:
            expected = sklearn.accuracy_score(rows.repaid, rows.y_pred)
            assert accuracy == pytest.approx(expected, rel=0, abs=1e-12)
            known += record["coverage"] < 1.0
    assert known > 20


@pytest.mark.parametrize("name", NUMERIC)
def test_numbers_drift_as_scipy_says(name, windows, analysis, reference):
    """KS and its p-value's limit, every window, on features as they travel: float32, to 1e-9."""
    for start in STARTS:
        column = analysis[name].iloc[start : start + SIZE].astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = ks_2samp(reference[name], column, method="asymp")
        found = opened(windows, start)["features"][name]
        assert found["ks"] == pytest.approx(expected.statistic, rel=0, abs=1e-9)
        n, m = len(reference[name]), len(column)
        limit = kstwobign.sf(np.sqrt(n * m / (n + m)) * expected.statistic)
        assert found["p_value"] == pytest.approx(limit, rel=0, abs=1e-9)


@pytest.mark.parametrize("name", WORDS)
def test_words_drift_as_scipy_says(name, windows, analysis, profile):
    """χ² of homogeneity and its p-value of every window, to 1e-9."""
    known = profile["categories"][name]
    for start in STARTS:
        column = analysis[name].iloc[start : start + SIZE].astype(str)
        counts = column.value_counts().reindex(known["words"], fill_value=0)
        assert counts.sum() == SIZE
        expected = chi2_contingency([known["counts"], counts], correction=False)
        found = opened(windows, start)["features"][name]
        assert found["chi_square"] == pytest.approx(expected.statistic, rel=1e-9)
        assert found["p_value"] == pytest.approx(expected.pvalue, rel=0, abs=1e-9)


def psi(before, now):
    """Σ (q − p)·ln(q / p) of two rows of counts, shares no smaller than the floor."""
    p, q = (np.maximum(np.array(side) / np.sum(side), FLOOR) for side in (before, now))
    return float(((q - p) * np.log(q / p)).sum())


def in_tenths(reference, *columns):
    """Counts of each column between the reference's nine inner deciles."""
    edges = np.unique(np.quantile(reference.astype(np.float64), np.arange(1, 10) / 10))
    places = [np.digitize(column, edges.astype(np.float32), right=True) for column in columns]
    return [np.bincount(place, minlength=len(edges) + 1) for place in places]


def test_psi_is_what_its_definition_says(windows, analysis, reference, profile):
    """Ten quantiles of the reference, or its words, floor 1e-4: each feature and window to 1e-9."""
    for start in STARTS:
        rows, found = analysis.iloc[start : start + SIZE], opened(windows, start)["features"]
        assert sorted(found) == sorted(NUMERIC + WORDS)
        for name in NUMERIC:
            column = rows[name].to_numpy(np.float32)
            expected = psi(*in_tenths(reference[name], reference[name], column))
            assert found[name]["psi"] == pytest.approx(expected, rel=0, abs=1e-9)
        for name in WORDS:
            known = profile["categories"][name]
            counts = rows[name].astype(str).value_counts().reindex(known["words"], fill_value=0)
            expected = psi(known["counts"], counts)
            assert found[name]["psi"] == pytest.approx(expected, rel=0, abs=1e-9)


def test_a_feature_is_described_as_pandas_describes_it(windows, analysis):
    """Mean, deviation and range of every number in every window, to twelve digits."""
    for start in STARTS:
        found = opened(windows, start)["features"]
        for name in NUMERIC:
            column = analysis[name].iloc[start : start + SIZE].astype(np.float32).astype(float)
            expected = [column.mean(), column.std(), column.min(), column.max()]
            described = [found[name][key] for key in ("mean", "sd", "least", "most")]
            assert described == pytest.approx(expected, rel=1e-11)


ESTIMATED = """
  - alert: EstimatedAccuracyDrop
    metric: estimated.accuracy
    warn: {drop: 2pp}
"""


def test_scores_tell_the_drop_before_labels_do(tmp_path, analysis, profile):
    """Estimates of each window are CBPE by scikit-learn on the reference's labels, before a label
    of the last 5,000 rows is there; accuracy falls in the window of row 25,000, where it falls by
    labels too, and nine of ten intervals hold what labels say at last.
    """
    folder = shutil.copytree(EXAMPLE, tmp_path / "car-loan")
    with (folder / "monitors.yaml").open("a") as file:
        file.write(ESTIMATED)
    out = tmp_path / "out"
    monitors = str(folder / "monitors.yaml")
    assert (
        main(["replay", str(folder / "analysis.csv.gz"), "--monitors", monitors, "--out", str(out)])
        == 0
    )
    labelled = np.array(profile["labelled"])
    assert labelled.sum() == profile["rows"]
    fitted = IsotonicRegression(out_of_bounds="clip").fit(
        np.tile(MIDDLES, 2), np.repeat([0, 1], BINS), sample_weight=labelled.ravel()
    )
    told, held = lines(out / "windows.jsonl"), 0
    by_labels = final(told)
    for start in STARTS:
        record, rows = opened(told, start), analysis.iloc[start : start + SIZE]
        p = fitted.predict(MIDDLES[bin_of(rows.y_pred_proba.to_numpy())])
        answer, metrics = rows.y_pred.to_numpy(), record["metrics"]
        assert record["calibrated"] is True and "accuracy" not in metrics
        assert metrics["estimated.accuracy"] == pytest.approx(1 - np.abs(answer - p).mean())
        assert metrics["estimated.recall"] == pytest.approx((p @ answer) / p.sum())
        area = sklearn.roc_auc_score(
            np.repeat([0, 1], SIZE),
            np.tile(rows.y_pred_proba.rank(), 2),
            sample_weight=np.concatenate([1 - p, p]),
        )
        assert metrics["estimated.auc"] == pytest.approx(area, abs=1e-3)
        low, high = record["intervals"]["estimated.accuracy"]
        held += low <= by_labels[start, ""]["metrics"]["accuracy"] <= high
    assert held >= 9
    fired = [
        one
        for one in lines(out / "alerts.jsonl")
        if one["alert"] == "EstimatedAccuracyDrop" and one["condition"] == "firing"
    ]
    assert [one["window"]["start"] for one in fired] == [DRIFT_ROW]
    assert fired[0]["reference"] == pytest.approx(profile["quality"][""]["accuracy"])


def test_the_drift_is_told_after_it_began_and_nothing_before(alerts):
    """car_value and the segment's accuracy fire in the window of row 25,000, no alert earlier."""
    assert min(record["window"]["start"] for record in alerts) == DRIFT_ROW
    first = {
        (record["alert"], record.get("feature") or record.get("segment", "")): record
        for record in reversed(alerts)
        if record["condition"] == "firing"
    }
    for key in (
        ("FeatureDrift", "car_value"),
        ("SegmentAccuracyDrop", "salary_range=0 - 20K €"),
    ):
        assert first[key]["window"]["start"] == DRIFT_ROW
        assert first[key]["severity"] == "critical"


def test_an_alert_tells_the_figure_of_its_window(alerts, windows, analysis, reference):
    """PSI of features and of the score, accuracy of the labels that had come: recomputed."""
    for record in alerts:
        rows = rows_of(analysis, record)
        if record["alert"] == "FeatureDrift":
            features = opened(windows, record["window"]["start"])["features"]
            assert record["value"] == features[record["feature"]]["psi"] > record["limit"]
        elif record["alert"] == "ScoreDrift":
            column = rows.y_pred_proba.to_numpy(np.float32)
            known = reference["score"].astype(np.float32)
            expected = psi(*in_tenths(reference["score"], known, column))
            assert record["value"] == pytest.approx(expected, rel=0, abs=1e-9)
        else:
            labelled = rows.iloc[: record["labelled"]]
            expected = sklearn.accuracy_score(labelled.repaid, labelled.y_pred)
            assert record["value"] == pytest.approx(expected, rel=0, abs=1e-12)
            assert record["value"] < record["limit"] < record["reference"]


def test_the_score_shown_is_the_score_given(replayed, capsys):
    """The drift from row 25,000 on is found by all but the check on silence, and by drift before
    labels; nothing fires before it. The page of replays shows what the command prints.
    """
    known = str(EXAMPLE / "incidents.csv")
    assert main(["score", str(replayed), "--incidents", known, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["together"]["firings"] == found["together"]["right"] == 7
    missed = [one["alert"] for one in found["rules"] if one["missed"]]
    assert missed == ["Silent"]
    [incident] = found["incidents"]
    delays = {one["alert"]: one["delay_ms"] for one in incident["found"]}
    assert delays["FeatureDrift"] < delays["AccuracyDrop"] < delays["SegmentAccuracyDrop"]
    assert main(["score", str(replayed), "--incidents", known]) == 0
    shown = capsys.readouterr().out
    assert f"```\n{shown}```\n" in (EXAMPLE.parents[1] / "docs" / "replay.md").read_text()


def test_the_comparison_shown_is_the_comparison_given(replayed, tmp_path, capsys):
    """Other limits move alerts and no figure; the page of replays shows what the command prints."""
    folder = shutil.copytree(EXAMPLE, tmp_path / "car-loan")
    rules = (folder / "monitors.yaml").read_text()
    for old, new in (("0.25", "0.3"), ("labels: 200, coverage: 80%", "labels: 200, coverage: 60%")):
        assert rules.count(old) == 1
        rules = rules.replace(old, new)
    (folder / "monitors.yaml").write_text(rules)
    table, out = str(folder / "analysis.csv.gz"), str(tmp_path / "tomorrow")
    assert main(["replay", table, "--monitors", str(folder / "monitors.yaml"), "--out", out]) == 0
    capsys.readouterr()
    assert main(["compare", str(replayed), out]) == 1
    shown = capsys.readouterr().out.replace(str(replayed), "report").replace(out, "tomorrow")
    assert f"```\n{shown}```\n" in (EXAMPLE.parents[1] / "docs" / "replay.md").read_text()
    assert main(["compare", str(replayed), str(replayed)]) == 0


def test_the_limits_shown_score_as_shown(tmp_path, capsys):
    """A limit within the noise of the quiet months cries wolf, no larger one does; the page of
    replays shows what the command prints.
    """
    known, out = str(EXAMPLE / "incidents.csv"), str(tmp_path / "tuned")
    table, monitors = str(EXAMPLE / "analysis.csv.gz"), str(EXAMPLE / "monitors.yaml")
    words = ["tune", table, "--monitors", monitors, "--alert", "FeatureDrift"]
    words += ["--limits", "0.002", "0.02", "0.3", "1", "--incidents", known, "--out", out]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert f"```\n{shown}```\n" in (EXAMPLE.parents[1] / "docs" / "replay.md").read_text()
    assert [int(line.split()[-2]) > 0 for line in shown.splitlines()[1:]] == [
        *(False, True, False, False, False)
    ]


def test_labels_are_waited_for_before_accuracy_is_told(replayed, analysis):
    """The delay of a check on labels is to when the labels came, not to the window's end: from the
    table, with labels 20 days behind their rows.
    """
    told_ms = {one["id"]: one["told_ms"] for one in lines(replayed / "told.jsonl")}
    drop = next(one for one in lines(replayed / "alerts.jsonl") if one["alert"] == "AccuracyDrop")
    at = pd.to_datetime(analysis.timestamp).astype("datetime64[ms]").astype("int64")
    labelled_ms = at[DRIFT_ROW + drop["labelled"] - 1] + 20 * 86_400_000
    until = told_ms[drop["id"]] - labelled_ms
    assert 0 <= until < (at[DRIFT_ROW + SIZE] - at[DRIFT_ROW]) / SIZE * 1_000
    assert drop["at_ms"] < labelled_ms


def test_a_second_replay_gives_the_same_bytes(replayed, tmp_path):
    """Another process under another hash seed: equal digests, and equal files."""
    subprocess.run(
        [sys.executable, "-m", "inferwatch.cli.main", *arguments(tmp_path)],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    digests = [
        json.loads((out / "summary.json").read_text())["digest"] for out in (replayed, tmp_path)
    ]
    assert digests[0] == digests[1]
    for name in ("windows.jsonl", "alerts.jsonl", "told.jsonl", "dead.jsonl"):
        assert (replayed / name).read_bytes() == (tmp_path / name).read_bytes()
