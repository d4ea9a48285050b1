"""Classes with scores take up to 100 places; a row that finds none for one of its own has none."""

from random import Random

import numpy as np
import pytest

from inferwatch.core.columns import SCORES_MAX, Columns, class_scores
from inferwatch.records.decode import decode
from inferwatch.testing.builders import raw_inference


def drawn(seed, n=60, classes=130):
    """Rows as classes with their scores: most of few classes, some of more than have a place."""
    draw = Random(seed)
    shares = [draw.choice([0.0, 0.01, 0.05, 0.2, 1.0]) for _ in range(n)]
    return [
        {f"c{at}": draw.random() for at in range(classes) if draw.random() < share}
        for share in shares
    ]


def plainly(rows):
    """Places and the scores that are kept, by the rule, row by row."""
    places, kept = [], []
    for scores in rows:
        missing = [name for name in scores if name not in places]
        fits = len(scores) > 1 and len(places) + len(missing) <= SCORES_MAX
        places += missing if fits else []
        kept.append({name: np.float32(score) for name, score in scores.items()} if fits else {})
    return places, kept


def folded(rows, size):
    """The same by batches of so many rows: columns, and the scores that each row keeps."""
    columns, kept = Columns(task="multiclass"), []
    for at in range(0, len(rows), size):
        part = rows[at : at + size]
        names = sorted({name for one in part for name in one}, key=lambda name: int(name[1:]))
        by_class = {name: [one.get(name, np.nan) for one in part] for name in names}
        batch = decode(raw_inference(n=len(part), score=by_class or None)).record
        block = class_scores(columns, batch)
        if block is None:
            block = np.full((len(columns.scores), len(part)), np.nan, np.float32)
        kept += [
            {columns.scores[place]: row[place] for place in np.flatnonzero(np.isfinite(row))}
            for row in block.T
        ]
    return columns, kept


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [1, 7, 60])
def test_a_row_keeps_its_scores_where_all_its_classes_have_a_place(seed, size):
    """Whatever its batch holds besides; the others are counted."""
    rows = drawn(seed)
    columns, kept = folded(rows, size)
    places, expected = plainly(rows)
    assert (columns.scores, kept) == (places, expected)
    lost = sum(len(scores) > 1 and not one for scores, one in zip(rows, expected, strict=True))
    assert columns.capped.get("scores", 0) == lost


def test_one_row_of_too_many_classes_takes_no_place_and_spoils_no_other():
    """101 classes once, in the midst of rows of three."""
    three = {"c0": 0.5, "c1": 0.3, "c2": 0.2}
    wide = {f"c{at}": 0.01 for at in range(SCORES_MAX + 1)}
    columns, kept = folded([three, wide, three], 3)
    assert columns.scores == ["c0", "c1", "c2"] and columns.capped == {"scores": 1}
    assert list(map(len, kept)) == [3, 0, 3]
