"""Closed windows that wait for an inspector: asked about, answered, given up.

A window waits five minutes of record time, and at most 32 wait in a model; what gets no answer by
then is judged as unknown, with the reason. An answer that nothing waits for changes nothing.
"""

import msgspec
import numpy as np

from inferwatch.core.figures import LEARNING
from inferwatch.core.inspectors import Request
from inferwatch.core.model import Model, Position
from inferwatch.core.output import Output, request_output
from inferwatch.core.rules import View
from inferwatch.core.sketches import row_sample
from inferwatch.core.windows import ALL, Closed, Pane, Waiting
from inferwatch.records.events import Inspection

WAIT_MS = 300_000
WAITING_MAX = 32
NO_ANSWER = "no inspector answered within 5 minutes"
CROWDED_OUT = f"more than {WAITING_MAX} windows wait for inspectors"
NO_SAMPLE = "the reference kept no rows for inspectors"


def ask(model: Model, view: View, pane: Pane, closed: Closed, at: Position) -> list[Output]:
    """Requests about a window that has just closed, one a method; cost 0.1 ms each."""
    outputs = []
    kept = pane.cells[ALL].sample
    sample = np.empty((0, 0), np.float32) if kept is None else row_sample.cut(kept)
    for method in view.plan.inspectors:
        waiting = Waiting(
            window=view.plan.window.name,
            version=view.version,
            method=method,
            closed=msgspec.structs.replace(closed, base={ALL: closed.base[ALL]}),
            asked_ms=at.time_ms,
            sample=sample,
        )
        model.state.waiting.append(waiting)
        why = _unknown(model, view, method)
        if why:
            _give_up(model, waiting, why)
        else:
            outputs.append(_request(model, waiting))
    unanswered = [waiting for waiting in model.state.waiting if waiting.found is None]
    for waiting in unanswered[:-WAITING_MAX]:
        _give_up(model, waiting, CROWDED_OUT)
    return outputs


def _unknown(model: Model, view: View, method: str) -> str:
    """Why there is nothing to ask, "" where there is."""
    if view.learning:
        return LEARNING
    if model.reference_sample(view.version) is None:
        return NO_SAMPLE
    needed = min(check.need.rows for check in view.plan.checks if check.method == method)
    return f"{view.rows} rows of {needed}" if view.rows < needed else ""


def _give_up(model: Model, waiting: Waiting, why: str) -> None:
    _answer(
        waiting,
        Inspection(
            model=model.name, window=_window_id(waiting), method=waiting.method, unknown=why
        ),
    )


def _answer(waiting: Waiting, found: Inspection) -> None:
    waiting.found = found
    waiting.sample = np.empty((0, 0), np.float32)


def _window_id(waiting: Waiting) -> str:
    return waiting.closed.base[ALL].id


def _request(model: Model, waiting: Waiting) -> Output:
    """The same bytes whenever it is asked again."""
    reference = model.reference_sample(waiting.version) or {}
    names = sorted(reference)
    known = {name: at for at, name in enumerate(model.state.columns.numeric)}
    missing = np.full(waiting.sample.shape[1], np.nan, np.float32)
    columns = [known.get(name, len(waiting.sample)) for name in names]
    rows = [waiting.sample[at] if at < len(waiting.sample) else missing for at in columns]
    request = Request(
        model=model.name,
        window=_window_id(waiting),
        method=waiting.method,
        features=names,
        rows=b"".join(row.astype("<f4").tobytes() for row in rows),
        reference=b"".join(reference[name].astype("<f4").tobytes() for name in names),
    )
    return request_output(request)


def requests(model: Model) -> list[Output]:
    """What was asked and is not answered yet."""
    return [_request(model, waiting) for waiting in model.state.waiting if waiting.found is None]


def waits(model: Model, request_id: str) -> bool:
    """Whether an answer to the request would be taken."""
    return any(
        f"{_window_id(waiting)}-{waiting.method}" == request_id and waiting.found is None
        for waiting in model.state.waiting
    )


def take(model: Model, found: Inspection) -> bool:
    """Take an answer in; False where nothing waits for it."""
    for waiting in model.state.waiting:
        mine = (_window_id(waiting), waiting.method) == (found.window, found.method)
        if mine and waiting.found is None:
            _answer(waiting, found)
            return True
    return False


def due(model: Model, at: Position) -> list[Waiting]:
    """Windows whose answer has come or will not, in order: none before one of its kind that still
    waits. They wait no more.
    """
    if not model.state.waiting:
        return []
    found: list[Waiting] = []
    left: list[Waiting] = []
    for waiting in model.state.waiting:
        if waiting.found is None and at.time_ms >= waiting.asked_ms + WAIT_MS:
            _give_up(model, waiting, NO_ANSWER)
        behind = any(_kind(earlier) == _kind(waiting) for earlier in left)
        (left if behind or waiting.found is None else found).append(waiting)
    model.state.waiting = left
    return found


def _kind(waiting: Waiting) -> tuple[str, str, str]:
    return waiting.window, waiting.version, waiting.method


def deadlines(model: Model) -> list[int]:
    """Record times at which a window has waited long enough."""
    return [waiting.asked_ms + WAIT_MS for waiting in model.state.waiting]
