"""Where the errors are: rows among which the error rate rose more than elsewhere, as a rule.

A beam search of subgroups (W. Klösgen, "Explora", 1996): of all cuts of single columns on one half
of either side, then of the best of these with any other, the rule is the one whose error rate rose
most beyond that of the other rows, in standard errors (A. Agresti, B. Caffo, "Simple and effective
confidence intervals for proportions", Am. Stat. 54, 2000). The other halves, which the search has
not seen, give the rates that are told, and say whether there is a rule at all: by R. A. Fisher's
exact test, that the rate inside is what it was, and by the standard errors, that it rose as it did
elsewhere, must each have a chance of one in a thousand at most. So a place where the model was
always weak is none, nor is any where errors rose everywhere alike; rows that moved into a weak
place raise the rate of a box around it. Sees a tail, an interval or a corner of two columns. Cost:
0.15 s for 2,000 rows of 20 columns, 4 s for 400 of 1,300.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from inferwatch.inspect import boxes
from inferwatch.inspect.boxes import Rule
from inferwatch.inspect.finding import Finding
from inferwatch.inspect.scaling import Matrix
from inferwatch.records.events import ErrorSlice

ROWS_MIN = 200
SIDE_MIN = 20
"""Rows that a box and what is outside have, of the window and of those before, to be looked at."""
CUTS = 15
BEAM = 30
CHANCE = 0.001
WORTH = 1.3
"""How many more standard errors a second cut must bring to be part of the rule."""
FAR_OFF = 0.9
Counts = NDArray[np.float64]
"""float64[4, C]: rows inside each box and the wrong ones among them, then those outside."""


def error_slice(
    names: Sequence[str],
    before: tuple[Matrix, Matrix],
    found: tuple[Matrix, Matrix],
    seed: int,
    *,
    numbers: bool = False,
) -> Finding:
    """The slice of a window's rows, `found`, that holds its extra errors; `before` are rows of
    windows before. Either is float[n, F] of `names` and float[n], the error of each row: 0 or 1, or
    the size of one in `numbers`, which counts where it is larger than nine tenths of those before.

    The value is by how much more the error rate rose inside than elsewhere, 0…1; 0 without such a
    place. Unknown, with the reason, under 200 rows of either.
    """
    m, n = len(before[0]), len(found[0])
    why = "" if len(names) else "no columns"
    why = why or (f"{n} labelled rows of {ROWS_MIN}" if n < ROWS_MIN else "")
    why = why or (f"{m} labelled rows of windows before of {ROWS_MIN}" if m < ROWS_MIN else "")
    if why:
        return Finding(value=None, n=n, reference_n=m, unknown=why)
    limit = float(np.quantile(before[1], FAR_OFF, method="higher")) if numbers else None
    (learnt_before, held_before), (learnt, held) = (
        boxes.halves(_with_errors(*side, limit), seed) for side in (before, found)
    )
    rule = _search(learnt_before, learnt)
    if not rule:
        return Finding(value=0.0, n=n, reference_n=m)
    then, now = (_counted(_inside(rows, [rule]), rows[:, -1]) for rows in (held_before, held))
    chance = max(_exact_chance(then, now), _normal_chance(float(_sureness(then, now)[0])))
    if chance > CHANCE:
        return Finding(value=0.0, n=n, reference_n=m, p_value=chance)
    rows, wrong, others, wrong_others = now[:, 0].tolist()
    rows_before, wrong_before, others_before, wrong_others_before = then[:, 0].tolist()
    there = ErrorSlice(
        rule=boxes.words(names, rule, [before[0], found[0]]),
        rows=int(rows),
        share=rows / len(held),
        error_rate=wrong / rows,
        before=wrong_before / rows_before,
        elsewhere=wrong_others / others,
        elsewhere_before=wrong_others_before / others_before,
        above=limit,
    )
    rise, elsewhere = there.error_rate - there.before, there.elsewhere - there.elsewhere_before
    value = max(0.0, rise - max(0.0, elsewhere))
    return Finding(value=value, n=n, reference_n=m, p_value=chance, errors=there)


def _with_errors(rows: Matrix, errors: Matrix, limit: float | None) -> Matrix:
    """Rows without holes, and as a last column whether each is wrong."""
    wrong = errors > (0.5 if limit is None else limit)
    return np.column_stack([boxes.without_holes(rows), wrong])


def _search(before: Matrix, found: Matrix) -> Rule:
    """The rule of at most two cuts whose error rate rose most surely; {} where it rose in none."""
    rules = [*_cuts(np.concatenate([before, found])[:, :-1])]
    sides = [(_inside(rows, rules), rows[:, -1]) for rows in (before, found)]
    scores = _scores(*(_counted(inside, wrong) for inside, wrong in sides))
    beam = [at for at in np.argsort(-scores, kind="stable")[:BEAM].tolist() if scores[at] > 0]
    best, rule = (scores[beam[0]], rules[beam[0]]) if beam else (0.0, Rule())
    for first in beam:
        both = [_counted(inside * inside[first], wrong) for inside, wrong in sides]
        scores = _scores(*both)
        second = int(np.argmax(scores))
        if scores[second] > WORTH * best:
            best, rule = scores[second], _within_both(rules[first], rules[second])
    return rule


def _cuts(rows: Matrix) -> Iterator[Rule]:
    """Both sides of up to 15 cuts of each column, at even distances among its rows."""
    for at, column in enumerate(rows.T):
        values = np.unique(column)
        places = np.arange(len(values) - 1)
        if len(places) > CUTS:
            shares = np.arange(1, CUTS + 1) / (CUTS + 1)
            places = np.unique(np.searchsorted(values, np.quantile(column, shares)))
        for place in places[places < len(values) - 1].tolist():
            edge = boxes.roundest(values, place)
            yield {at: (-np.inf, edge)}
            yield {at: (edge, np.inf)}


def _within_both(first: Rule, second: Rule) -> Rule:
    found = dict(first)
    for at, (low, high) in second.items():
        own = found.get(at, (-np.inf, np.inf))
        found[at] = (max(low, own[0]), min(high, own[1]))
    return found


def _inside(rows: Matrix, rules: Sequence[Rule]) -> Matrix:
    """Which rows are in which box, float64[C, n] of 0 and 1."""
    found = np.empty((len(rules), len(rows)))
    for at, rule in enumerate(rules):
        found[at] = boxes.within(rows, rule)
    return found


def _counted(inside: Matrix, wrong: Matrix) -> Counts:
    rows, errors = inside.sum(axis=1), inside @ wrong
    return np.stack([rows, errors, len(wrong) - rows, wrong.sum() - errors])


def _scores(before: Counts, now: Counts) -> Matrix:
    """The sureness of each box; -Inf of one with too few rows in it or outside."""
    enough = np.minimum(before[::2], now[::2]).min(axis=0) >= SIDE_MIN
    return np.where(enough, _sureness(before, now), -np.inf)


def _sureness(before: Counts, now: Counts) -> Matrix:
    """Standard errors by which the error rate of each box rose beyond that of the other rows, or
    at all where theirs fell; two rows, one of them wrong, are added to each of the four counts.
    """
    rows = np.concatenate([now[::2], before[::2]]) + 2
    rates = (np.concatenate([now[1::2], before[1::2]]) + 1) / rows
    rise, elsewhere = rates[:2] - rates[2:]
    spread = np.sqrt((rates * (1 - rates) / rows).sum(axis=0))
    surely: Matrix = (rise - np.maximum(elsewhere, 0)) / spread
    return surely


def _normal_chance(z: float) -> float:
    from scipy.special import ndtr

    return float(ndtr(-z))


def _exact_chance(before: Counts, now: Counts) -> float:
    """Chance of so many errors inside, were the error rate there what it was before."""
    from scipy.stats import hypergeom

    rows, errors = now[0, 0] + before[0, 0], now[1, 0] + before[1, 0]
    return float(hypergeom.sf(now[1, 0] - 1, rows, errors, now[0, 0]))
