"""`inferwatch models`"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from inferwatch.cli import changed, compared, states, windows
from inferwatch.cli.compared import Compared
from inferwatch.cli.connect import add_connection, connection
from inferwatch.cli.table import table
from inferwatch.cli.windows import latest, span_ms
from inferwatch.cli.written import utc
from inferwatch.config import wording
from inferwatch.connection import Connection
from inferwatch.core.embeddings import MISSING as EMBEDDINGS_SENT
from inferwatch.core.model import ModelState
from inferwatch.errors import Exit, UsageError
from inferwatch.notify.text import printable
from inferwatch.records.outputs import SchemaRecord, WindowRecord, percent
from inferwatch.replay import unjudged

Stand = tuple[int, dict[str, str], dict[str, Compared]]
"""Of a version how many checks it has, why some were never judged, how it compares."""


class Model(msgspec.Struct):
    """What the newest windows say about one version of a model.

    `labels` and `coverage` are of `labels_window`, the newest that had labels, or, where none had,
    the newest that reads them; that is seldom the newest of all, which is `window`. `checks` is how
    many it has, and `unjudged` says of those never judged why, `versus` by alert how the version
    compares with another, where the model was asked for by name and its newest checkpoint has the
    version.
    """

    model: str
    version: str
    window: str
    ended_ms: int
    rows_per_s: float | None
    learning: bool
    held: bool
    labels: int
    coverage: float | None
    labels_window: str
    labels_ended_ms: int | None
    unknown: dict[str, str]
    checks: int | None = None
    unjudged: dict[str, str] | None = None
    versus: dict[str, Compared] | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of models."""
    parser.add_argument(
        "model",
        nargs="?",
        default="",
        metavar="MODEL",
        help="team/model: only this one, and which of its checks were never judged, and why",
    )
    parser.add_argument(
        "--format",
        choices=["table", "json"],
        default="table",
        help="json: one model and version a line",
    )
    add_connection(parser)


def run(arguments: argparse.Namespace) -> int:
    """Read the newest windows and print one line a model and version; of a named one the checks.

    :raises UsageError: there is no model of that name, or nothing to say of it yet.
    """
    there, name = connection(arguments), arguments.model
    every = list(windows.records(there, name))
    records = [record for record in every if isinstance(record, WindowRecord)]
    found = models(records)
    state = _state(there, name) if name else None
    stands = _stands(state) if state else {}
    if name and not found and not stands:
        raise UsageError(windows.none_of(there, name))
    if arguments.format == "json":
        for model in found:
            if model.version in stands:
                model.checks, model.unjudged, model.versus = stands[model.version]
            print(msgspec.json.encode(model, order="sorted").decode())
    else:
        print(_lines(found) or f"no window has closed yet; {windows.FIRST}")
        for version, (checks, reasons, versus) in stands.items():
            print(_said(version, checks, reasons))
            if versus:
                print(table(None, [compared.row(*one) for one in versus.items()]))
        sent = any(EMBEDDINGS_SENT in record.metrics for record in records)
        unseen = wording.embeddings_unseen(state.definition) if state and sent else ""
        changes = [record for record in every if isinstance(record, SchemaRecord)]
        for told in (unseen, changed.lines(changes) if name else ""):
            if told:
                print(f"\n{told}")
    return Exit.DONE


def _state(there: Connection, name: str) -> ModelState | None:
    """The model's newest checkpoint; None where none can be read."""
    try:
        return states.read(there, name)
    except ValueError as error:
        print(f"the checkpoint of {name}: {error}", file=sys.stderr)
        return None


def _stands(state: ModelState) -> dict[str, Stand]:
    """How each version of the model stands."""
    alive = [version for version in state.seen if version not in state.retired]
    checks = len(state.definition.checks)
    return {
        version: (checks, unjudged.reasons(state, version), compared.of(state, version))
        for version in alive
    }


def _lines(found: Sequence[Model]) -> str:
    heads = ["MODEL", "VERSION", "ROWS/S", "REFERENCE", "LABELS", "LAST WINDOW", "ENDED"]
    return table(heads, [_row(model) for model in found]) if found else ""


def _said(version: str, checks: int, reasons: Mapping[str, str]) -> str:
    """ "version 1: 12 checks, 2 never judged:", and a line of each with its reason."""
    of = f"\nversion {printable(version)}: {checks} check" + "s" * (checks != 1)
    if not reasons:
        return f"{of}, each was judged"
    listed = table(None, [["", alert, why] for alert, why in reasons.items()])
    return f"{of}, {len(reasons)} never judged:\n{listed}"


def models(records: Iterable[WindowRecord]) -> list[Model]:
    """One entry a model and version, from its newest window over all rows.

    Of windows that end together the shortest speaks, of its revisions the last.
    """
    found = list(records)
    reading = latest(record for record in found if record.coverage is not None)
    labelled = latest(record for record in found if record.labels)
    judged = {(record.model, record.version): record for record in (*reading, *labelled)}
    return [_model(record, judged.get((record.model, record.version))) for record in latest(found)]


def _model(record: WindowRecord, judged: WindowRecord | None) -> Model:
    start, end = span_ms(record)
    return Model(
        model=record.model,
        version=record.version,
        window=record.window.name,
        ended_ms=end,
        rows_per_s=record.rows / (end - start) * 1000 if end > start else None,
        learning="drift" in record.unknown,
        held=record.reference is not None and record.reference.held_ms is not None,
        labels=judged.labels if judged else 0,
        coverage=judged.coverage if judged else None,
        labels_window=judged.window.name if judged else "",
        labels_ended_ms=span_ms(judged)[1] if judged else None,
        unknown=record.unknown,
    )


def _row(model: Model) -> list[str]:
    rate = "" if model.rows_per_s is None else _rate(model.rows_per_s)
    reference = "learning" if model.learning else "stands still" if model.held else "known"
    return [
        model.model,
        model.version,
        rate,
        reference,
        _labels(model),
        model.window,
        utc(model.ended_ms),
    ]


def _labels(model: Model) -> str:
    """ "50, coverage 99 % (hour to 2026-01-31 14:00 UTC)"."""
    if model.labels_ended_ms is None:
        return "no window that reads them has closed"
    if not model.labels:
        return f"none yet ({model.labels_window})"
    of = f"{model.labels_window} to {utc(model.labels_ended_ms)}"
    return f"{model.labels:,}, coverage {percent(model.coverage or 0.0)} ({of})"


def _rate(rows_per_s: float) -> str:
    return f"{rows_per_s:,.0f}" if rows_per_s >= 100 else f"{rows_per_s:.3g}"
