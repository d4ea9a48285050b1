"""Label figures of one segment of a pane: contributions that can be taken back exactly."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core.columns import Block, Columns, confidence, decisions, score_places
from inferwatch.core.figure import Figure
from inferwatch.core.joined import Joined
from inferwatch.core.metrics import (
    CLASSES_SHOWN,
    confusion,
    corrected,
    probabilities,
    ranked,
    ranking,
    regression,
)
from inferwatch.core.metrics.confusion import Confusion
from inferwatch.core.metrics.corrected import Judged
from inferwatch.core.metrics.ranking import Ranked
from inferwatch.core.metrics.regression import Residuals
from inferwatch.core.pending import widened
from inferwatch.core.sketches import log_histogram, means, score_labels
from inferwatch.core.sketches.log_histogram import LogHistogram
from inferwatch.core.sketches.means import Means
from inferwatch.core.sketches.score_labels import ScoreLabels

DELAYS = {"label_delay.p50": 0.5, "label_delay.p90": 0.9}
PAST_LABELS_MIN = 100


class LabelCell(msgspec.Struct):
    """`predicted` rows could be labelled, `labelled` are.

    `scores` are those of the positive class by truth; of several classes those of the answer, by
    whether it was right. `losses` are of models that send scores by class.

    `delays` are of first labels, whatever they were corrected to, and only of the whole model.
    `judged` is there where checks read the corrected accuracy.
    """

    predicted: int = 0
    labelled: int = 0
    confusion: Confusion | None = None
    residuals: Residuals | None = None
    scores: ScoreLabels | None = None
    delays: LogHistogram | None = None
    losses: Means | None = None
    ranked: Ranked | None = None
    judged: Judged | None = None

    def coverage(self) -> float | None:
        """Share of the rows whose truth is known."""
        return self.labelled / self.predicted if self.predicted else None


def add(
    cell: LabelCell, columns: Columns, positive: str, joined: Joined, bins: int = score_labels.BINS
) -> None:
    """Add labelled rows, or take them back where `joined.sign` is -1.

    :param bins: of scores, in a cell that has none yet.
    """
    if joined.queries is not None:
        cell.ranked = cell.ranked or ranking.empty()
        ranking.add(cell.ranked, joined.queries, joined.sign)
        return
    cell.labelled += joined.sign * len(joined.label)
    if columns.task == "ranking":
        return
    if columns.task == "regression":
        cell.residuals = cell.residuals or regression.empty()
        regression.add(cell.residuals, joined.truth, joined.value, joined.sign)
        return
    cell.confusion = cell.confusion or confusion.empty()
    judged = (joined.label >= 0) & (joined.predicted >= 0)
    confusion.add(
        cell.confusion, joined.label[judged], joined.predicted[judged], columns.classes, joined.sign
    )
    if cell.judged is not None:
        _judge(cell.judged, columns, positive, joined)
    if columns.task == "binary":
        cell.scores = cell.scores or score_labels.empty(bins)
        scored, truth = scored_rows(columns, positive, joined)
        score_labels.add(cell.scores, scored, truth, joined.sign)
    elif columns.task == "multiclass":
        _add_scores(cell, columns, joined, bins)


def decide(cell: LabelCell, columns: Columns, positive: str, block: Block, sign: int = 1) -> None:
    """Count the rows that labels are to correct the guesses of, or take them out with -1."""
    score, answer = decisions(columns, positive, block.predicted, block.score, block.scores)
    known = np.isfinite(score)
    cell.judged = cell.judged or Judged()
    score_labels.add(cell.judged.all, score[known], answer[known], sign)


def _judge(judged: Judged, columns: Columns, positive: str, joined: Joined) -> None:
    scores = joined.scores
    if scores is not None:
        scores = widened(scores, len(columns.scores), len(joined.label))
    score, answer = decisions(columns, positive, joined.predicted, joined.score, scores)
    known = np.isfinite(score) & (joined.label >= 0)
    right = joined.label == joined.predicted
    corrected.judge(judged, score[known], answer[known], right[known], joined.sign)


def _add_scores(cell: LabelCell, columns: Columns, joined: Joined, bins: int) -> None:
    """What a model of several classes said of the class it named, and of the true one."""
    labelled, scores = joined.label >= 0, None
    if joined.scores is not None:
        scores = widened(joined.scores, len(columns.scores), len(joined.label))
        cell.losses = cell.losses or probabilities.empty()
        true = score_places(columns)[joined.label[labelled]]
        probabilities.add(cell.losses, scores[:, labelled], true, joined.sign)
    promised = confidence(columns, joined.predicted, joined.score, scores)
    sure = labelled & (joined.predicted >= 0) & np.isfinite(promised)
    if sure.any():
        cell.scores = cell.scores or score_labels.empty(bins)
        right = (joined.label == joined.predicted)[sure]
        score_labels.add(cell.scores, promised[sure], right, joined.sign)


def add_delays(cell: LabelCell, joined: Joined) -> None:
    """Count how late the first labels among `joined` were, or take them out again."""
    first = joined.delay_ms[np.isfinite(joined.delay_ms)]
    if len(first):
        cell.delays = cell.delays or log_histogram.empty()
        count = log_histogram.update if joined.sign > 0 else log_histogram.take_out
        count(cell.delays, first)


def delays(cell: LabelCell) -> dict[str, Figure]:
    """How long after the prediction the labels of the window were, ms: nearest rank, 1.6 % off."""
    if cell.delays is None or not log_histogram.count(cell.delays):
        return {name: Figure(None, unknown=confusion.NO_LABELS) for name in DELAYS}
    return {name: log_histogram.quantile(cell.delays, q) for name, q in DELAYS.items()}


def maturity(past: LogHistogram | None, age_ms: int) -> Figure:
    """Share of a window's labels that should have come by this age, from those of past windows.

    `past` holds the delays of windows that take no label any more.
    """
    n = log_histogram.count(past) if past is not None else 0
    if past is None or n < PAST_LABELS_MIN:
        return Figure(None, n, unknown=f"{n} labels of {PAST_LABELS_MIN} of past windows")
    return Figure(log_histogram.share_up_to(past, age_ms), n)


def scored_rows(
    columns: Columns, positive: str, joined: Joined
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and truths of the rows that have both."""
    has_score = np.isfinite(joined.score) & (joined.label >= 0)
    return joined.score[has_score], joined.label[has_score] == columns.class_code(positive)


def merge(cells: Sequence[LabelCell]) -> LabelCell:
    """The rows of all `cells`, in their order."""
    whole = LabelCell()
    for cell in cells:
        whole.predicted += cell.predicted
        whole.labelled += cell.labelled
        if cell.confusion is not None:
            whole.confusion = whole.confusion or confusion.empty()
            confusion.merge(whole.confusion, cell.confusion)
        if cell.residuals is not None:
            whole.residuals = whole.residuals or regression.empty()
            regression.merge(whole.residuals, cell.residuals)
        if cell.scores is not None:
            whole.scores = whole.scores or score_labels.empty(cell.scores.bins)
            score_labels.merge(whole.scores, cell.scores)
        if cell.delays is not None:
            whole.delays = whole.delays or log_histogram.empty()
            log_histogram.merge(whole.delays, cell.delays)
        if cell.losses is not None:
            whole.losses = whole.losses or probabilities.empty()
            means.merge(whole.losses, cell.losses)
        if cell.ranked is not None:
            whole.ranked = whole.ranked or ranking.empty()
            ranking.merge(whole.ranked, cell.ranked)
        if cell.judged is not None:
            whole.judged = whole.judged or Judged()
            corrected.join(whole.judged, cell.judged)
    return whole


def figures(
    cell: LabelCell, columns: Columns, positive: str, exact: Joined | None
) -> dict[str, Figure]:
    """Every label figure of the model's task; `exact` holds the rows where they are kept."""
    if columns.task == "regression":
        return regression.figures(cell.residuals or regression.empty())
    if columns.task == "ranking":
        return ranking.figures(cell.ranked or ranking.empty())
    matrix = cell.confusion or confusion.empty()
    if columns.task != "binary":
        losses = probabilities.figures(cell.losses or probabilities.empty())
        return confusion.multiclass(matrix) | losses | _calibration(cell.scores)
    found = confusion.binary(matrix, positive)
    if exact is not None:
        scores, truth = scored_rows(columns, positive, exact)
        return found | {
            "auc": ranked.auc(scores, truth),
            "average_precision": ranked.average_precision(scores, truth),
            "log_loss": ranked.log_loss(scores, truth),
            "brier": ranked.brier(scores, truth),
            "calibration_bias": ranked.calibration_bias(scores, truth),
            "calibration_error": ranked.calibration_error(scores, truth),
        }
    state = cell.scores or score_labels.empty()
    found |= {
        "auc": score_labels.auc(state),
        "average_precision": score_labels.average_precision(state),
        "log_loss": score_labels.log_loss(state),
        "brier": score_labels.brier(state),
    }
    return found | _calibration(state)


def class_figures(
    cell: LabelCell, columns: Columns, named: Sequence[str], *, whole: bool
) -> dict[str, Figure]:
    """Figures of single classes of several: of those `named`, of a whole model its first 20 too."""
    if columns.task != "multiclass":
        return {}
    shown = columns.classes[:CLASSES_SHOWN] if whole else []
    return confusion.by_class(cell.confusion or confusion.empty(), named, shown)


def _calibration(state: ScoreLabels | None) -> dict[str, Figure]:
    if state is None:
        unscored = Figure(None, unknown="no labels with a score")
        return {"calibration_bias": unscored, "calibration_error": unscored}
    return {
        "calibration_bias": score_labels.calibration_bias(state),
        "calibration_error": score_labels.calibration_error(state),
    }
