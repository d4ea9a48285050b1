"""A batch in the model's own columns: features in a fixed order, classes and segments as codes.

Senders may order, add and drop columns as they like; everything behind this file sees one order.
Names get their position by first appearance in the log, so a replay gives the same positions.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import sample, stability
from inferwatch.core.directions import Along
from inferwatch.core.places import Places
from inferwatch.core.sample import Hashes
from inferwatch.core.timeouts import timed_out
from inferwatch.kernels import distinct
from inferwatch.records.definition import ModelFacts, Task
from inferwatch.records.ids import Ids
from inferwatch.records.rows import Calls, Codes, Floats, Rows, Words

FEATURES_MAX = 5_000
CLASSES_MAX = 1_000
SCORES_MAX = 100
OTHER = "__other__"


class Columns(msgspec.Struct):
    """Names the model has used so far; a position never changes.

    But for those of `segments`: where `places` has a column, a value that lost its place makes way
    in the list when nothing names it any more. `scores` are the classes to which a multiclass model
    gives probabilities, `hardware` what instances run on, where that is a segment. `capped` counts
    what found no place: columns of a batch by `features`, rows under `__other__` by `classes`,
    `segments` and `versions`, rows with a probability for too many classes by `scores`.
    """

    numeric: list[str] = []
    categories: list[str] = []
    classes: list[str] = []
    segments: dict[str, list[str]] = {}
    task: Task = "unknown"
    scores: list[str] = []
    capped: dict[str, int] = {}
    places: dict[str, Places] = {}
    hardware: dict[str, str] = {}

    def class_code(self, name: str) -> int:
        """Code of a class, -2 for one that no row had."""
        return self.classes.index(name) if name in self.classes else -2


class Block(msgspec.Struct):
    """n rows of one version, aligned.

    `time_ms` is clamped. `numeric` is float32[F, n], a feature that the batch lacks is NaN.
    `predicted` holds class codes (-1 missing), `value` a regression's prediction (NaN missing),
    `score` the probability of the positive class, or the highest of several. `scores` float32[k, n]
    are a multiclass model's, in the order of `Columns.scores`, NaN missing; None without them.
    `segments` holds codes into `Columns.segments`. `row` numbers the version's rows, `offset`
    int64[n] is that of each row's record. `query` int64[2, n] is for the join of a ranking: hash of
    the query and number of its first row. `along` says how embeddings lie, None without them.
    """

    version: str
    ids: Ids
    hashes: Hashes
    time_ms: NDArray[np.int64]
    before_ms: NDArray[np.int64]
    row: NDArray[np.int64]
    numeric: NDArray[np.float32]
    categories: dict[str, Words]
    predicted: Codes
    value: Floats
    score: Floats
    latency_ms: Floats
    failed: NDArray[np.bool_]
    segments: dict[str, Codes]
    offset: NDArray[np.int64]
    llm: Calls | None = None
    entities: Hashes | None = None
    scores: NDArray[np.float32] | None = None
    query: NDArray[np.int64] | None = None
    timed_out: NDArray[np.bool_] | None = None
    along: Along | None = None

    def take(self, keep: NDArray[np.bool_] | slice) -> "Block":
        """The rows that `keep` picks."""
        return Block(
            version=self.version,
            ids=self.ids.take(keep),
            hashes=self.hashes[keep],
            time_ms=self.time_ms[keep],
            before_ms=self.before_ms[keep],
            row=self.row[keep],
            numeric=self.numeric[:, keep],
            categories={
                name: Words(column.words, column.codes[keep])
                for name, column in self.categories.items()
            },
            predicted=self.predicted[keep],
            value=self.value[keep],
            score=self.score[keep],
            latency_ms=self.latency_ms[keep],
            failed=self.failed[keep],
            segments={name: codes[keep] for name, codes in self.segments.items()},
            offset=self.offset[keep],
            llm=None if self.llm is None else self.llm.take(keep),
            entities=None if self.entities is None else self.entities[keep],
            scores=None if self.scores is None else self.scores[:, keep],
            query=None if self.query is None else self.query[:, keep],
            timed_out=None if self.timed_out is None else self.timed_out[keep],
            along=None if self.along is None else self.along.take(keep),
        )


def align(
    columns: Columns,
    facts: ModelFacts,
    rows: Rows,
    time_ms: NDArray[np.int64],
    before_ms: NDArray[np.int64],
    first_row: int,
    offset: NDArray[np.int64],
) -> Block:
    """Put `rows` into the model's order; new names are added to `columns`."""
    declare(columns, facts)
    if columns.task == "unknown":
        columns.task = guess_task(rows)
    predicted, value = answers(columns, rows.prediction, rows.n)
    return Block(
        version=rows.version,
        ids=rows.ids,
        hashes=sample.hashes(rows.ids),
        time_ms=time_ms,
        before_ms=before_ms,
        row=np.arange(first_row, first_row + rows.n, dtype=np.int64),
        numeric=_numeric(columns, rows),
        categories=_categories(columns, rows),
        predicted=predicted,
        value=value,
        score=score_of(facts, rows.score_names, rows.scores, rows.n),
        latency_ms=np.full(rows.n, np.nan) if rows.latency_ms is None else rows.latency_ms,
        failed=np.zeros(rows.n, bool) if rows.error is None else rows.error.codes >= 0,
        segments={name: _segment(columns, facts, rows, name) for name in facts.segments},
        offset=offset,
        llm=rows.llm,
        entities=None if rows.entity is None else stability.hashes(rows.entity, rows.version),
        scores=class_scores(columns, rows),
        timed_out=timed_out(rows.error),
    )


def declare(columns: Columns, facts: ModelFacts) -> None:
    """Take the task from the monitor file, where it says; labels may come before any row."""
    if columns.task == "unknown":
        columns.task = facts.task


def guess_task(rows: Rows) -> Task:
    """The task of a model without a monitor file, from the shape of its first answers."""
    if rows.prediction is None:
        return "binary" if len(rows.score_names) == 1 else "unknown"
    if isinstance(rows.prediction, Words):
        return "multiclass"
    return "binary" if len(rows.score_names) else "regression"


def _numeric(columns: Columns, rows: Rows) -> NDArray[np.float32]:
    if list(rows.numeric_names) == columns.numeric:
        return rows.numeric
    known = {name: position for position, name in enumerate(columns.numeric)}
    for name in rows.numeric_names:
        if name not in known and len(known) < FEATURES_MAX:
            known[name] = len(known)
            columns.numeric.append(name)
    block = np.full((len(known), rows.n), np.nan, np.float32)
    for source, name in enumerate(rows.numeric_names):
        if name in known:
            block[known[name]] = rows.numeric[source]
        else:
            count_capped(columns, "features", 1)
    return block


def _categories(columns: Columns, rows: Rows) -> dict[str, Words]:
    for name in rows.categories:
        if name not in columns.categories:
            if len(columns.categories) < FEATURES_MAX:
                columns.categories.append(name)
            else:
                count_capped(columns, "features", 1)
    absent = Words((), np.full(rows.n, -1, np.int32))
    return {name: rows.categories.get(name, absent) for name in columns.categories}


def count_capped(columns: Columns, kind: str, count: int) -> None:
    """So much found no place under a cap."""
    if count:
        columns.capped[kind] = columns.capped.get(kind, 0) + count


def class_name(value: float) -> str:
    """A class that arrived as a number: 1.0 and 1 are the class "1"."""
    return str(int(value)) if value == int(value) else repr(value)


def answers(columns: Columns, answer: Words | Floats | None, n: int) -> tuple[Codes, Floats]:
    """Class codes and values of predictions or labels, by the model's task; -1 and NaN missing.

    Numbers are kept as both while the task is not known.
    """
    values = np.full(n, np.nan)
    if answer is None:
        return np.full(n, -1, np.int32), values
    if columns.task in ("regression", "ranking"):
        if not isinstance(answer, Words):
            values = np.where(np.isfinite(answer), answer, np.nan)
        return np.full(n, -1, np.int32), values
    if isinstance(answer, Words):
        return _coded(columns, "classes", columns.classes, answer, CLASSES_MAX), values
    if columns.task == "unknown":
        values = np.where(np.isfinite(answer), answer, np.nan)
    return _coded(columns, "classes", columns.classes, _words(answer), CLASSES_MAX), values


def _words(answer: Floats) -> Words:
    """Classes that came as numbers, in ascending order; -1 for what is not finite."""
    found, positions = distinct.small(answer.copy())  # of one kind: aligned, to be written
    if not len(positions):
        finite = np.isfinite(answer)
        positions = np.full(len(answer), -1, np.int32)
        found, positions[finite] = np.unique(answer[finite], return_inverse=True)
    return Words(tuple(map(class_name, found.tolist())), positions)


def recode(known: list[str], column: Words, most: int) -> Codes:
    """Codes of `column` as positions in `known`, which grows by first appearance up to `most`."""
    if not len(column.codes):
        return np.empty(0, np.int32)
    positions = {word: position for position, word in enumerate(known)}
    if all(word in positions for word in column.words):
        return np.array([*map(positions.__getitem__, column.words), -1], np.int32)[column.codes]
    table = np.full(len(column.words) + 1, -1, np.int32)
    used, first = np.unique(column.codes, return_index=True)
    for code in used[np.argsort(first)].tolist():
        if code < 0:
            continue
        word = column.words[code]
        if word not in positions:
            word = word if len(known) < most else OTHER
            if word not in positions:
                positions[word] = len(known)
                known.append(word)
        table[code] = positions[word]
    return table[column.codes]


def score_of(facts: ModelFacts, names: tuple[str, ...], scores: Floats, n: int) -> Floats:
    """The one score that is watched: of the positive class, or the highest of several."""
    if not names:
        return np.full(n, np.nan)
    if len(names) == 1:
        score = scores[0]
    elif facts.positive in names:
        score = scores[names.index(facts.positive)]
    else:
        score = np.fmax.reduce(scores, axis=0)  # NaN where a class has none
    return np.where(np.isfinite(score), score, np.nan)


def class_scores(columns: Columns, rows: Rows) -> NDArray[np.float32] | None:
    """The probabilities of a multiclass model's classes.

    A row with fewer than two scores has none by class, nor has one with a score of a class without
    a place, whatever the other rows of its batch have.
    """
    if columns.task != "multiclass" or len(rows.score_names) < 2:
        return None
    finite = np.isfinite(rows.scores)
    given = finite & (np.count_nonzero(finite, axis=0) > 1)
    given &= _fit(columns, rows.score_names, given)
    known = {name: place for place, name in enumerate(columns.scores)}
    here = [place for place, name in enumerate(rows.score_names) if name in known]
    found = np.full((len(known), rows.n), np.nan, np.float32)
    scores = np.where(given[here], np.clip(rows.scores[here], 0.0, 1.0), np.nan)
    found[[known[rows.score_names[place]] for place in here]] = scores
    return found if known else None


def _fit(columns: Columns, names: tuple[str, ...], given: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows whose scores all have a place, by `given` bool[k, n]; new classes take theirs row by row
    as long as there are enough for all of a row.
    """
    known = set(columns.scores)
    new = [place for place, name in enumerate(names) if name not in known]
    if not new:
        return np.ones(given.shape[1], bool)
    fit = np.asarray(given.sum(axis=0) <= SCORES_MAX)
    rows = np.flatnonzero(fit)
    sets, first, of_row = np.unique(
        given[new][:, rows].T, axis=0, return_index=True, return_inverse=True
    )
    taken = np.ones(len(sets), bool)
    for at in np.argsort(first).tolist():
        named = [names[new[place]] for place in np.flatnonzero(sets[at])]
        missing = [name for name in named if name not in columns.scores]
        taken[at] = len(columns.scores) + len(missing) <= SCORES_MAX
        columns.scores += missing if taken[at] else []
    fit[rows] = taken[of_row.reshape(-1)]
    count_capped(columns, "scores", int(np.count_nonzero(~fit)))
    return fit


def score_places(columns: Columns) -> NDArray[np.intp]:
    """Where the scores of each class stand, by class code and -1; -1 for a class without."""
    places = {name: place for place, name in enumerate(columns.scores)}
    return np.array([*(places.get(name, -1) for name in columns.classes), -1], np.intp)


def confidence(
    columns: Columns, predicted: Codes, score: Floats, scores: NDArray[np.float32] | None
) -> Floats:
    """The score of the class that each row names, NaN without; that of a row with one score.

    :param scores: float32[k, n] in the order of `Columns.scores`, None without them.
    """
    if scores is None:
        return score
    named = score_places(columns)[predicted]
    own = np.where(named >= 0, scores[named, np.arange(len(named))], np.nan)
    return np.where(np.isfinite(scores).any(axis=0), own, score)


def decisions(
    columns: Columns,
    positive: str,
    predicted: Codes,
    score: Floats,
    scores: NDArray[np.float32] | None,
) -> tuple[Floats, NDArray[np.bool_]]:
    """Score of each row, NaN without an answer, and whether that was the positive class; of several
    classes the answer's own score, and all answers as positive.
    """
    answered = predicted >= 0
    if columns.task == "multiclass":
        score = confidence(columns, predicted, score, scores)
        return np.where(answered, score, np.nan), answered
    return np.where(answered, score, np.nan), predicted == columns.class_code(positive)


def segment_words(columns: Columns, rows: Rows, name: str) -> Words | None:
    """The column of `rows` that a segment column is: of that name, a feature's, or the sender's.

    `__other__` stands for values without a place: a row that says so itself has no value.
    """
    column = rows.segments.get(name) or rows.categories.get(name)
    if column is None:
        return _of_sender(columns, rows, name)
    if OTHER not in column.words:
        return column
    ours = column.codes == column.words.index(OTHER)
    return Words(column.words, np.where(ours, np.int32(-1), column.codes))


def _segment(columns: Columns, facts: ModelFacts, rows: Rows, name: str) -> Codes:
    column = segment_words(columns, rows, name)
    if column is None:
        return np.full(rows.n, -1, np.int32)
    known, most = columns.segments.setdefault(name, []), facts.segments_max
    if name in columns.places:
        return placed(columns, name, column)
    codes = recode(known, column, most)
    if len(known) >= most and OTHER in known:
        taken = {value: code for code, value in enumerate(known) if value != OTHER}
        columns.places[name] = Places(taken=taken)
    return codes


def placed(columns: Columns, name: str, column: Words) -> Codes:
    """Codes of the values that have a place, that of `__other__` for all others; -1 missing."""
    taken, other = columns.places[name].taken, columns.segments[name].index(OTHER)
    codes = [taken.get(word, other) for word in column.words]
    return np.array([*codes, -1], np.int32)[column.codes]


def _of_sender(columns: Columns, rows: Rows, name: str) -> Words | None:
    """`instance` and `hardware` of a batch, where its rows have no columns of these names."""
    if name not in ("instance", "hardware"):
        return None
    word = rows.instance if name == "instance" else columns.hardware.get(rows.instance, "")
    return Words((word,), np.zeros(rows.n, np.int32)) if word else None


def _coded(columns: Columns, kind: str, known: list[str], column: Words, most: int) -> Codes:
    """`recode`, with a count of the rows that share `__other__`."""
    codes = recode(known, column, most)
    if len(known) > most:
        count_capped(columns, kind, int((codes == known.index(OTHER)).sum()))
    return codes
