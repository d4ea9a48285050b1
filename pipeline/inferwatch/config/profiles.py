"""Profile files: the reference rows of a model, described once and kept.

`NAME.json` is the profile itself, ≤ 256 KiB, which travels in the `monitor` record;
`NAME.values.npz` beside it holds the sorted columns that exact windows compare with,
`NAME.sample.npz` up to 1,000 whole rows, which inspectors compare with.
"""

import hashlib
import math
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.config import embeddings
from inferwatch.config.document import meant
from inferwatch.core import quality, queries, stability, vocabulary
from inferwatch.core.columns import (
    Columns,
    answers,
    class_scores,
    guess_task,
    recode,
    score_of,
    segment_words,
)
from inferwatch.core.drift import together
from inferwatch.core.drift.columns import Drift, of_numbers, of_words
from inferwatch.core.joined import Joined
from inferwatch.core.metrics import CLASSES_SHOWN, LABEL_METRICS, class_of, ranking
from inferwatch.core.pending import widened
from inferwatch.core.quality import LabelCell
from inferwatch.core.reference import (
    Values,
    category_profile,
    column_key,
    numeric_profile,
    prediction_profile,
)
from inferwatch.core.sample import hashes
from inferwatch.core.sketches import binned, row_sample
from inferwatch.errors import ConfigError
from inferwatch.records.definition import CategoryProfile, ModelFacts, NumericProfile, Profile
from inferwatch.records.outputs import OUTPUT_MAX_BYTES
from inferwatch.records.rows import Rows, Truths, Words


def build(
    name: str, facts: ModelFacts, rows: list[Rows], truths: list[Truths]
) -> tuple[Profile, dict[str, NDArray[np.floating]]]:
    """Describe reference rows; gives the profile and its sorted columns.

    A column that some batches lack is missing there; one that came as numbers and as words is
    described by its numbers.

    :raises ConfigError: there is no row.
    """
    if not rows:
        raise ConfigError("a profile needs at least one row", fix="check the source and mapping")
    columns = _unnamed(facts, rows)
    numeric = {
        name: np.concatenate([_numbers(batch, name) for batch in rows])
        for name in dict.fromkeys(name for batch in rows for name in batch.numeric_names)
    }
    words = {
        name: _words([_coded(batch, name) for batch in rows])
        for name in dict.fromkeys(name for batch in rows for name in batch.categories)
        if name not in numeric
    }
    score = np.concatenate(
        [score_of(facts, batch.score_names, batch.scores, batch.n) for batch in rows]
    )
    times = np.concatenate([batch.time_ms for batch in rows])
    parts = [answers(columns, batch.prediction, batch.n) for batch in rows]
    predicted = np.concatenate([codes for codes, _ in parts])
    value = np.concatenate([values for _, values in parts])
    joined = _join(columns, facts, rows, truths, predicted, value, score)
    values: dict[str, NDArray[np.floating]] = {
        column_key(name): np.sort(column[np.isfinite(column)])
        for name, column in sorted(numeric.items())
        if np.isfinite(column).any()
    }
    if np.isfinite(score).any():
        values["score"] = np.sort(score[np.isfinite(score)])
    if np.isfinite(value).any():
        values["prediction"] = np.sort(value[np.isfinite(value)])
    profile = Profile(
        name=name,
        rows=len(times),
        from_ms=int(times.min()),
        to_ms=int(times.max()) + 1,
        numeric={
            name: numeric_profile(column)
            for name, column in numeric.items()
            if np.isfinite(column).any()
        },
        categories=words,
        score=numeric_profile(score) if np.isfinite(score).any() else None,
        prediction=prediction_profile(columns, predicted, value),
        embedding=embeddings.describe(rows),
        quality=_quality(columns, facts, joined),
        labelled=_labelled(columns, facts, joined),
        values_digest=values_digest(values),
    )
    return profile, values


def _unnamed(facts: ModelFacts, rows: list[Rows]) -> Columns:
    """No names yet; the task is guessed as the fold does where `facts` do not say it."""
    found = Columns(task=facts.task)
    for batch in rows:
        if found.task == "unknown":
            found.task = guess_task(batch)
    return found


def doubts(
    profile: Profile,
    facts: ModelFacts,
    rows: list[Rows],
    truths: list[Truths],
    embedding: str | None = None,
) -> Iterator[str]:
    """What `facts` speak of and the rows do not have, a sentence each: figures that are not there
    for it, though nothing is wrong with the rows that are.

    :param embedding: the column that should hold vectors.
    """
    if embedding and profile.embedding is None:
        yield f"no row has a vector in '{embedding}': the profile has no embedding to compare with"
    ids = [one for batch in rows for one in batch.ids] if truths else []
    repeats = len(ids) - len(set(ids))
    if repeats:
        yield (
            f"{repeats:,} of {len(ids):,} rows repeat a prediction id: the last label of an id "
            "is taken for all its rows, so figures on labels are wrong; give each row its own"
        )
    columns = _unnamed(facts, rows)
    for batch in rows:
        answers(columns, batch.prediction, batch.n)
    for truth in truths:
        answers(columns, truth.label, truth.n)
    if facts.task == "binary" and columns.classes and facts.positive not in columns.classes:
        named = ", ".join(f"'{name}'" for name in sorted(columns.classes)[:CLASSES_SHOWN])
        yield (
            f"no answer and no label is of the positive class '{facts.positive}' but {named}: "
            "precision, recall and the like are left out; name it with --positive or in `model:`"
        )
    score = profile.score if facts.task in ("binary", "multiclass") else None
    if score is not None and not 0 <= score.least <= score.most <= 1:
        yield (
            f"scores from {score.least:g} to {score.most:g} are no probabilities: what is beyond "
            "0…1 counts as its nearer end in figures of scores, and nothing is estimated from them"
        )
    for name in facts.segments:
        if all(segment_words(Columns(), batch, name) is None for batch in rows):
            near = meant(
                name, [one for batch in rows for one in (*batch.segments, *batch.categories)]
            )
            yield f"no row has the segment column '{name}'; {near}figures are not cut by it"
    if truths and not profile.quality:
        yield "no label is of any of these rows: there are no figures on labels"
    elif facts.task == "ranking" and "mrr" not in profile.quality.get("", {}):
        yield (
            "no query has a score and a label for each of its rows: there are no figures of "
            "rankings; rows of a query share an entity_id"
        )


def tasks(profile: Profile) -> list[str]:
    """The tasks of whose models the profile may be, by its predictions and figures on labels."""
    fitting = ["binary", "multiclass", "ranking", "regression"]
    if isinstance(profile.prediction, NumericProfile):
        fitting = ["regression"]
    elif profile.prediction is not None:
        fitting = ["binary", "multiclass"]
    for metric in profile.quality.get("", {}):
        if class_of(metric):
            fitting = [task for task in fitting if task == "multiclass"]
        elif metric in LABEL_METRICS:
            fitting = [task for task in fitting if task in LABEL_METRICS[metric].tasks]
    return fitting


def with_sample(profile: Profile, rows: list[Rows]) -> tuple[Profile, Values]:
    """The profile with the digest of a sample of its rows, and the sample, column by column.

    Which rows are in it depends on their ids alone.
    """
    names = sorted(profile.numeric)
    kept, first = row_sample.empty(len(names)), 0
    for batch in rows:
        numbers = np.arange(first, first + batch.n, dtype=np.int64)
        columns = np.array([_numbers(batch, name) for name in names]).reshape(-1, batch.n)
        row_sample.update(kept, hashes(batch.ids), numbers, columns.astype(np.float32))
        first += batch.n
    sample = dict(zip(names, row_sample.cut(kept), strict=True))
    return msgspec.structs.replace(profile, sample_digest=values_digest(sample)), sample


def _numbers(batch: Rows, name: str) -> NDArray[np.float32]:
    """A column of the batch, missing where it was not sent."""
    if name in batch.numeric_names:
        return batch.numeric[batch.numeric_names.index(name)]
    return np.full(batch.n, np.nan, np.float32)


def _coded(batch: Rows, name: str) -> Words:
    return batch.categories.get(name) or Words((), np.full(batch.n, -1, np.int32))


def _words(columns: list[Words]) -> CategoryProfile:
    counts: dict[str, int] = {}
    missing = 0
    for column in columns:
        wordless, seen = vocabulary.counted(column)
        missing += wordless
        for word, rows in seen:
            counts[word] = counts.get(word, 0) + rows
    return category_profile(counts, missing)


def _join(
    columns: Columns,
    facts: ModelFacts,
    rows: list[Rows],
    truths: list[Truths],
    predicted: NDArray[np.int32],
    value: NDArray[np.float64],
    score: NDArray[np.float64],
) -> Joined:
    labels = {
        id_: (code, truth)
        for batch in truths
        for id_, code, truth in zip(
            batch.ids,
            *(part.tolist() for part in answers(columns, batch.label, batch.n)),
            strict=True,
        )
    }
    ids = [id_ for batch in rows for id_ in batch.ids]
    missing = (-1, float("nan"))
    found = [labels.get(id_, missing) for id_ in ids]
    segments = {}
    for name in facts.segments:
        parts = [segment_words(Columns(), batch, name) for batch in rows]
        known = columns.segments.setdefault(name, _heaviest(parts, facts.segments_max))
        coded = [
            np.full(batch.n, -1, np.int32)
            if column is None
            else recode(known, column, facts.segments_max)
            for batch, column in zip(rows, parts, strict=True)
        ]
        segments[name] = np.concatenate(coded)
    n = len(ids)
    whole = Joined(
        version="",
        sign=1,
        time_ms=np.zeros(n, np.int64),
        row=np.arange(n),
        predicted=predicted,
        value=value,
        score=score,
        late=np.zeros(n, np.uint16),
        segments=segments,
        label=np.array([code for code, _ in found], np.int32),
        truth=np.array([truth for _, truth in found]),
        delay_ms=np.full(n, np.nan),
        scores=_class_scores(columns, rows),
    )
    if columns.task == "ranking":
        whole.queries = _queries(rows, whole)
    return whole.take(np.array([id_ in labels for id_ in ids], np.bool_))


def _queries(rows: list[Rows], whole: Joined) -> NDArray[np.float64]:
    """What each query is worth, at its first row; NaN at the others, and where it is too long."""
    named = np.concatenate(
        [
            np.zeros(batch.n, np.uint64)
            if batch.entity is None
            else stability.hashes(batch.entity, batch.version)
            for batch in rows
        ]
    )
    found = np.full((ranking.WORTH, len(named)), np.nan)
    order = np.argsort(named, kind="stable")
    order = order[named[order] != 0]
    for mine in np.split(order, np.flatnonzero(np.diff(named[order])) + 1):
        if 0 < len(mine) <= queries.ROWS_MAX:
            found[:, mine[0]] = ranking.worth(whole.score[mine], whole.truth[mine])
    return found


def _class_scores(columns: Columns, rows: list[Rows]) -> NDArray[np.float32] | None:
    parts = [class_scores(columns, batch) for batch in rows]
    if not columns.scores:
        return None
    width = len(columns.scores)
    padded = [widened(part, width, batch.n) for part, batch in zip(parts, rows, strict=True)]
    return np.concatenate(padded, axis=1)


def _heaviest(columns: list[Words | None], most: int) -> list[str]:
    """The values of most rows, where there are more than `most`; none where all find a place."""
    counted: Counter[str] = Counter()
    for column in columns:
        if column is not None:
            counted.update(dict(vocabulary.counted(column)[1]))
    return [value for value, _ in counted.most_common(most)] if len(counted) > most else []


def _quality(columns: Columns, facts: ModelFacts, joined: Joined) -> dict[str, dict[str, float]]:
    if not len(joined.row):
        return {}
    found = {"": _figures(columns, facts, joined, whole=True)}
    for name, codes in joined.segments.items():
        for code in np.unique(codes[codes >= 0]).tolist():
            key = f"{name}={columns.segments[name][code]}"
            found[key] = _figures(columns, facts, joined.take(codes == code), whole=False)
    return found


def _labelled(columns: Columns, facts: ModelFacts, joined: Joined) -> list[list[int]]:
    """What scores were worth: what estimates without labels are calibrated by."""
    cell = LabelCell()
    quality.add(cell, columns, facts.positive, joined)
    return cell.scores.counts.tolist() if cell.scores and cell.scores.counts.any() else []


def _figures(
    columns: Columns, facts: ModelFacts, joined: Joined, *, whole: bool
) -> dict[str, float]:
    cell = LabelCell()
    quality.add(cell, columns, facts.positive, joined)
    exact = joined if columns.task == "binary" else None
    figures = quality.figures(cell, columns, facts.positive, exact)
    figures |= quality.class_figures(cell, columns, (), whole=whole)
    return {name: figure.value for name, figure in figures.items() if figure.value is not None}


def compare(old: Profile, new: Profile, values: Values) -> dict[str, Drift]:
    """Drift of each column from `old` to `new` by `column_key`, as a window of the rows of `new`
    would have it.

    :param values: the sorted columns of `new`; numbers without theirs are left out.
    """
    numbers = {
        column_key(name): (old.numeric[name], new.numeric[name])
        for name in sorted(old.numeric)
        if name in new.numeric and column_key(name) in values
    }
    if old.score is not None and new.score is not None and "score" in values:
        numbers["score"] = (old.score, new.score)
    before, now = old.prediction, new.prediction
    known = "prediction" in values
    if known and isinstance(before, NumericProfile) and isinstance(now, NumericProfile):
        numbers["prediction"] = (before, now)
    words = {
        column_key(name): (old.categories[name], new.categories[name])
        for name in sorted(old.categories)
        if name in new.categories
    }
    if isinstance(old.prediction, CategoryProfile) and isinstance(new.prediction, CategoryProfile):
        words["prediction"] = (old.prediction, new.prediction)
    counted = [_counted(before, now, values[name]) for name, (before, now) in numbers.items()]
    facts = np.array([(now.least, now.most, now.mean) for _, now in numbers.values()])
    compared = together.compare_numbers(
        together.numbers([before for before, _ in numbers.values()]),
        np.concatenate([np.empty(0, np.int64), *counted]),
        facts.reshape(-1, 3),
    )
    seen = [
        (dict(zip(now.words, now.counts, strict=True)), now.missing) for _, now in words.values()
    ]
    told = together.compare_words(together.words([before for before, _ in words.values()]), seen)
    found = [*of_numbers(compared), *of_words(told)]
    return dict(zip([*numbers, *words], found, strict=True))


def _counted(
    before: NumericProfile, now: NumericProfile, values: NDArray[np.floating]
) -> NDArray[np.int64]:
    """The column's values on the bins of `before`; what is missing as `now` has it."""
    grid = binned.make_grid([np.array(before.edges, np.float32)])
    counts = binned.empty(grid)
    binned.update(counts, grid, binned.narrow(values)[np.newaxis])
    counts[-1] = now.counts[-1]
    return counts


def values_digest(values: Mapping[str, NDArray[np.floating]]) -> str:
    """32 hex digits of the columns themselves, whatever file holds them."""
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(values):
        state.update(name.encode() + b"\0")
        state.update(np.ascontiguousarray(values[name]).tobytes())
    return state.hexdigest()


def values_path(path: Path) -> Path:
    """Where the sorted columns of a profile lie."""
    return path.with_suffix(".values.npz")


def sample_path(path: Path) -> Path:
    """Where the sample of a profile's rows lies."""
    return path.with_suffix(".sample.npz")


def write(path: Path, profile: Profile, values: Values, sample: Values | None = None) -> None:
    """Write the files, in a folder that is made if need be; that of rows if there is a `sample`.

    :raises ConfigError: the profile is too large to travel, or holds what JSON cannot.
    """
    columns = [("score", profile.score), *profile.numeric.items()]
    if isinstance(profile.prediction, NumericProfile):
        columns.append(("prediction", profile.prediction))
    for name, column in columns:
        if column is not None and not (math.isfinite(column.mean) and math.isfinite(column.sd)):
            raise ConfigError(
                f"the values of {name} are too large: their spread is no number",
                file=str(path),
                fix="mend or scale the column, or leave it out",
            )
    text = msgspec.json.format(msgspec.json.encode(profile, order="sorted"), indent=1)
    if len(msgspec.json.encode(profile)) > OUTPUT_MAX_BYTES:
        raise ConfigError(
            "the profile is larger than 256 KiB",
            file=str(path),
            fix="leave out features or rare categories",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text + b"\n")
    _write_columns(values_path(path), values)
    if sample is not None:
        _write_columns(sample_path(path), sample)


def _write_columns(path: Path, columns: Values) -> None:
    # as np.savez_compressed does, which has no place for a column named `file`
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, column in columns.items():
            with archive.open(f"{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, column, allow_pickle=False)


def read(path: Path) -> tuple[Profile, Values]:
    """A profile and its columns; without the second file, no columns.

    :raises ConfigError: a file is unreadable, or the two do not belong together.
    """
    try:
        profile = msgspec.json.decode(path.read_bytes(), type=Profile)
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}",
            file=str(path),
            fix="build it with `inferwatch profile build`",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"is no profile: {error}",
            file=str(path),
            fix="build it with `inferwatch profile build`",
        ) from None
    return profile, _columns(values_path(path), profile.values_digest)


def read_sample(path: Path, profile: Profile) -> Values:
    """The sample of the profile's rows; without its file, no columns.

    :raises ConfigError: it is unreadable, or does not belong to the profile.
    """
    return _columns(sample_path(path), profile.sample_digest)


def _columns(beside: Path, digest: str | None) -> Values:
    if not beside.exists():
        return {}
    try:
        with np.load(beside, allow_pickle=False) as archive:
            values: Values = {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged archive ends in errors of many kinds
        raise ConfigError(
            f"cannot be read: {error}", file=str(beside), fix="build the profile again"
        ) from None
    if values_digest(values) != digest:
        raise ConfigError(
            "does not belong to the profile beside it",
            file=str(beside),
            fix="build the profile again",
        )
    return values
