"""Closed windows that wait for an inspector: asked about, answered, given up.

A window waits five minutes of record time, and at most 32 wait in a model; what gets no answer by
then is judged as unknown, with the reason. An answer that nothing waits for changes nothing.
"""

from collections.abc import Callable, Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.core import past
from inferwatch.core.figures import LEARNING
from inferwatch.core.inspectors import COLUMNS_MAX, FEATURES, FIGURES, Request, request_id
from inferwatch.core.metrics import ERRORS, LATENESS, class_of
from inferwatch.core.model import Model, Position
from inferwatch.core.output import Output, request_output
from inferwatch.core.rules import View
from inferwatch.core.sketches import row_sample
from inferwatch.core.windows import ALL, Closed, Pane, Track, Waiting
from inferwatch.records.events import Inspection

WAIT_MS = 300_000
WAITING_MAX = 32
NO_ANSWER = "no inspector answered within 5 minutes"
CROWDED_OUT = f"more than {WAITING_MAX} windows wait for inspectors"
NO_SAMPLE = "the reference kept no rows for inspectors"
LEFT_OUT = (*LATENESS, "availability", "throughput", "uptime")
NOTHING = np.empty((0, 0), np.float32)


class _Subject(msgspec.Struct):
    """What a window is asked about, as `Waiting` keeps it; `unknown` says why nobody is asked."""

    sample: NDArray[np.float32]
    names: list[str] = []
    unknown: str = ""


def ask(model: Model, view: View, pane: Pane, closed: Closed, at: Position) -> list[Output]:
    """Requests about a window that has just closed, one a metric and method; cost 0.1 ms each."""
    outputs = []
    asked = [(metric, method) for metric, method in view.plan.inspectors if metric != ERRORS]
    metrics = dict.fromkeys(metric for metric, _ in asked)
    subjects = {metric: _SUBJECTS[metric](model, view, pane) for metric in metrics}
    for metric, method in asked:
        subject = subjects[metric]
        waiting = Waiting(
            window=view.plan.window.name,
            version=view.version,
            method=method,
            closed=msgspec.structs.replace(closed, base={ALL: closed.base[ALL]}),
            asked_ms=at.time_ms,
            sample=subject.sample,
            metric=metric,
            names=subject.names,
        )
        why = subject.unknown or _too_few(view, metric, method)
        outputs += put(model, waiting, why)
    return outputs


def put(model: Model, waiting: Waiting, why: str = "") -> list[Output]:
    """Let a window wait, and ask about it; or, where there is a `why`, answer it with that."""
    model.state.waiting.append(waiting)
    request = [] if why else [_request(model, waiting)]
    if why:
        _give_up(model, waiting, why)
    unanswered = [waiting for waiting in model.state.waiting if waiting.found is None]
    for crowded_out in unanswered[:-WAITING_MAX]:
        _give_up(model, crowded_out, CROWDED_OUT)
    return request


def _of_rows(model: Model, view: View, pane: Pane) -> _Subject:
    kept = pane.cells[ALL].sample
    sample = NOTHING if kept is None else row_sample.cut(kept)
    if view.learning:
        return _Subject(sample, unknown=LEARNING)
    reference = model.reference_sample(view.version)
    if reference is None:
        return _Subject(sample, unknown=NO_SAMPLE)
    return _Subject(sample, unknown=too_wide(len(reference)))


def too_wide(columns: int) -> str:
    """Why rows of so many numeric features are not read, "" where they are."""
    wide = f"{columns:,} numeric features; inspectors read at most {COLUMNS_MAX:,}"
    return wide if columns > COLUMNS_MAX else ""


def _of_figures(model: Model, view: View, _: Pane) -> _Subject:
    before = model.track(view.plan, view.version).past
    if before is None or past.settled(before) < past.WINDOWS_MIN:
        return _Subject(NOTHING, unknown=LEARNING)
    names, sample = past.beside(before, _known(view))
    n = sample.shape[1] - 1
    short = f"{n} past windows of {past.WINDOWS_MIN} have its figures"
    return _Subject(sample, names, short if n < past.WINDOWS_MIN else "")


_SUBJECTS: dict[str, Callable[[Model, View, Pane], _Subject]] = {
    FEATURES: _of_rows,
    FIGURES: _of_figures,
}


def remember(model: Model, view: View) -> None:
    """Keep a window's figures for later ones, where a check reads them and it has rows enough."""
    if not view.plan.keeps_figures or _too_few(view, FIGURES):
        return
    track = model.track(view.plan, view.version)
    track.past = track.past or past.Past()
    past.add(track.past, _known(view))


def _known(view: View) -> dict[str, float]:
    """A window's figures as it closes, each thing said once; not those of when labels came, nor of
    single classes, nor the uptime, which grows with every window.
    """
    found = {
        name: figure.value
        for name, figure in view.metrics.items()
        if name not in LEFT_OUT and not class_of(name)
    }
    return {name: value for name, value in found.items() if value is not None}


def _too_few(view: View, metric: str, method: str = "") -> str:
    """Why a window has too few rows for any of the checks, "" where it has enough."""
    checks = [check for check in view.plan.checks if check.metric == metric]
    needed = min(check.need.rows for check in checks if method in ("", check.method))
    return f"{view.rows} rows of {needed}" if view.rows < needed else ""


def _give_up(model: Model, waiting: Waiting, why: str) -> None:
    _answer(
        waiting,
        Inspection(
            model=model.name,
            window=_window_id(waiting),
            method=waiting.method,
            metric=waiting.metric,
            unknown=why,
        ),
    )


def _answer(waiting: Waiting, found: Inspection) -> None:
    waiting.found = found
    waiting.sample = NOTHING


def _window_id(waiting: Waiting) -> str:
    return waiting.closed.base[ALL].id


def _request(model: Model, waiting: Waiting) -> Output:
    """The same bytes whenever it is asked again."""
    names, rows, reference = _columns(model, waiting)
    request = Request(
        model=model.name,
        window=_window_id(waiting),
        method=waiting.method,
        metric=waiting.metric,
        features=names,
        rows=_bytes(rows),
        reference=_bytes(reference),
    )
    return request_output(request)


_Columns = Iterable[NDArray[np.floating]]


def _columns(model: Model, waiting: Waiting) -> tuple[list[str], _Columns, _Columns]:
    """Names, and by them the columns of the window and of what it is held against."""
    if waiting.metric != FEATURES:
        return waiting.names, waiting.sample[:, : waiting.own], waiting.sample[:, waiting.own :]
    reference = model.reference_sample(waiting.version) or {}
    names = sorted(reference)
    known = {name: at for at, name in enumerate(model.state.columns.numeric)}
    missing = np.full(waiting.sample.shape[1], np.nan, np.float32)
    columns = [known.get(name, len(waiting.sample)) for name in names]
    rows = [waiting.sample[at] if at < len(waiting.sample) else missing for at in columns]
    return names, rows, [reference[name] for name in names]


def _bytes(columns: _Columns) -> bytes:
    return b"".join(column.astype("<f4").tobytes() for column in columns)


def requests(model: Model) -> list[Output]:
    """What was asked and is not answered yet."""
    return [_request(model, waiting) for waiting in model.state.waiting if waiting.found is None]


def waits(model: Model, asked: str) -> bool:
    """Whether an answer to the request of that id would be taken."""
    return any(
        waiting.found is None
        and request_id(_window_id(waiting), waiting.method, waiting.metric) == asked
        for waiting in model.state.waiting
    )


def take(model: Model, found: Inspection) -> bool:
    """Take an answer in; False where nothing waits for it."""
    for waiting in model.state.waiting:
        mine = (_window_id(waiting), waiting.metric, waiting.method)
        if mine == (found.window, found.metric, found.method) and waiting.found is None:
            _answer(waiting, found)
            return True
    return False


def due(model: Model, at: Position, *, errors: bool = False) -> list[Waiting]:
    """Windows whose answer about `errors`, or about anything else, has come or will not, in order:
    none before one of its kind that still waits. They wait no more.
    """
    if not model.state.waiting:
        return []
    found: list[Waiting] = []
    left: list[Waiting] = []
    for waiting in model.state.waiting:
        if (waiting.metric == ERRORS) != errors:
            left.append(waiting)
            continue
        if waiting.found is None and at.time_ms >= waiting.asked_ms + WAIT_MS:
            _give_up(model, waiting, NO_ANSWER)
        behind = any(_kind(earlier) == _kind(waiting) for earlier in left)
        (left if behind or waiting.found is None else found).append(waiting)
    model.state.waiting = left
    return found


def keep_slice(track: Track, waiting: Waiting) -> None:
    """Let alerts on the window's labels, which come later, tell where its rows were new."""
    closed = track.closed.get(waiting.closed.start)
    if closed is not None and waiting.found is not None and waiting.found.slice is not None:
        closed.slice = waiting.found.slice


def _kind(waiting: Waiting) -> tuple[str, str, str, str]:
    return waiting.window, waiting.version, waiting.metric, waiting.method


def deadlines(model: Model) -> list[int]:
    """Record times at which a window has waited long enough."""
    return [waiting.asked_ms + WAIT_MS for waiting in model.state.waiting]
