"""The models of one partition: every record routed, every row accounted for.

Worker and replay drive this class; it has no clock and no I/O. Always, in rows:
in = ok + rejected + duplicate.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from inferwatch.core import emitters, engine, inspections, placement, runs, snapshot, soundness
from inferwatch.core.model import Model, ModelState, Position
from inferwatch.core.output import (
    FORWARDED,
    Output,
    dead_outputs,
    forward_output,
    forwarded_from,
)
from inferwatch.core.reference import Values
from inferwatch.core.runs import Batch, Calm, Shape
from inferwatch.errors import ConfigError, Reason
from inferwatch.records.definition import Definition
from inferwatch.records.events import Gap, Inspection, MonitorChange, Skip, Tick
from inferwatch.records.raw import SKIPPED, Decoded, RawRecord, Reject
from inferwatch.records.rows import Rows

__all__ = ["MODELS_MAX", "Counts", "Output", "Partition"]
MODELS_MAX = 500
Placed = tuple[RawRecord, Decoded, Batch]
_silent = np.errstate(all="ignore")
"""What overflows is unknown in its figures; that numpy tells the terminal besides is no output."""


class Counts(msgspec.Struct):
    """Rows since the start, by what became of them. `duplicate` by how it was known."""

    in_: int = 0
    ok: int = 0
    rejected: dict[Reason, int] = {}
    duplicate: dict[str, int] = {}

    def conserved(self) -> bool:
        """Whether nothing went missing."""
        gone = sum(self.rejected.values()) + sum(self.duplicate.values())
        return self.in_ == self.ok + gone


class Partition:
    """Folds the records of partition `number` in offset order.

    :param values: reference columns by digest, for windows that compare exactly.
    :param partitions: of the topic; a record whose key belongs to another one is sent on to it. 0
        where records come from no topic.
    :param models_max: of a partition, 0 for no cap: the first in the log are taken, the records of
        any other are dead letters.
    """

    def __init__(
        self,
        number: int,
        values: Mapping[str, Values] | None = None,
        partitions: int = 0,
        models_max: int = 0,
    ) -> None:
        self.number = number
        self.partitions, self.models_max = partitions, models_max
        self.offset = -1
        self.models: dict[str, Model] = {}
        self.counts = Counts()
        self._values = dict(values or {})
        self._changed: dict[str, int] = {}
        self._wake_ms: dict[str, int | None] = {}
        self._moved: dict[str, None] = {}  # since the last tick: `_wake_ms` is not theirs any more
        self._skipped: set[int] = set()
        self.repeats: set[int] = set()
        self._like: dict[str, Shape] = {}  # of the batch that a model folded by itself last
        self._calm: dict[str, Calm] = {}

    def undefined(self, decoded: Decoded) -> str | None:
        """The model that must be defined before this record may be folded."""
        if self._home(decoded) != self.number:
            return None
        name = getattr(decoded.record, "model", None)
        known = name is None or name in self.models or not self._takes(name)
        return None if known else name

    def _takes(self, name: str) -> bool:
        """Whether the model is here, or finds a place.

        A restored partition decides as one that folds the log from its beginning: models that came
        before a record are in a state, or their first records are folded again before it.
        """
        return not self.models_max or name in self.models or len(self.models) < self.models_max

    def _admitted(self, decoded: Decoded) -> Decoded:
        """A record of one model too many is a reject, whole."""
        name = getattr(decoded.record, "model", None)
        if name is None or self._home(decoded) != self.number or self._takes(name):
            return decoded
        detail = f"partition {self.number} takes {self.models_max} models"
        reject = Reject(
            reason=Reason.TOO_MANY_MODELS, detail=detail, stage="fold", rows=decoded.rows_in
        )
        return Decoded(None, (reject,), decoded.rows_in)

    def _home(self, decoded: Decoded) -> int:
        """The partition that the record's model belongs to."""
        model = getattr(decoded.record, "model", None)
        if model is None or not self.partitions:
            return self.number
        return placement.partition_of(model, self.partitions)

    def define(self, name: str, definition: Definition, offset: int) -> None:
        """A model's first definition; it acts from the record at `offset` on.

        :raises ConfigError: nobody can fold by it, or an exact window's columns are not here.
        """
        wrong = soundness.problem(definition)
        if wrong:
            raise ConfigError(
                f"the definition of {name}: {wrong}",
                fix="bring it into these bounds; monitor files are checked as they are read",
            )
        state = ModelState(name=name, definition=definition, offset=offset - 1)
        self.models[name] = Model(state, self._values)

    def restore(self, pieces: Mapping[str, bytes]) -> Model:
        """Take over a model from a checkpoint. Raises what `snapshot.load` raises."""
        model = snapshot.load(pieces, self._values)
        self.models[model.name] = model
        self._moved[model.name] = None
        return model

    def changed(self) -> list[str]:
        """Models folded since they were last saved."""
        return list(self._changed)

    def saved(self, names: Iterable[str]) -> None:
        """The state of these models, as of now, is safe."""
        for name in names:
            self._changed.pop(name, None)

    def safe_offset(self) -> int:
        """Offset up to which every record is in a state that was saved."""
        return min([self.offset, *(first - 1 for first in self._changed.values())])

    def skip(self, offset: int) -> None:
        """Do not fold the record at `offset`."""
        self._skipped.add(offset)

    def pass_over(self, gap: Gap) -> None:
        """Go on behind records that are lost; windows that are open may lack rows of them."""
        for name in self.models:
            self._lose(name, "gap", gap.from_offset, gap.to_offset - 1)
        self.offset = gap.to_offset - 1

    def _lose(self, name: str, why: str, first: int, last: int) -> None:
        model = self.models.get(name)
        if model is not None and model.offset < last:
            model.lose(why, last - first + 1, last)
            self._changed.setdefault(name, first)

    def is_skipped(self, offset: int) -> bool:
        """Whether nobody may even read the record at `offset`."""
        return offset in self._skipped

    def fold(self, raw: RawRecord, decoded: Decoded) -> list[Output]:
        """Outputs of one record. A record that its model has folded before gives none."""
        return self.fold_all([(raw, decoded)])

    def _fold(self, raw: RawRecord, decoded: Decoded) -> list[Output]:
        """Outputs of one record by itself."""
        self.offset = max(self.offset, raw.offset)
        if raw.offset in self._skipped:
            decoded = SKIPPED
            self._lose((raw.key or b"").decode(errors="replace"), "skipped", raw.offset, raw.offset)
        else:
            decoded = self._admitted(_validated(decoded))
        self.counts.in_ += decoded.rows_in
        outputs = dead_outputs(raw, decoded.rejects)
        rejected = 0
        for reject in decoded.rejects:
            rejected += reject.rows
            _count(self.counts.rejected, reject.reason, reject.rows)
        rest = decoded.rows_in - rejected
        if decoded.record is None:
            return outputs
        at = Position(raw.partition, raw.offset, raw.time_ms)
        if isinstance(decoded.record, Tick):
            self.counts.ok += rest
            return outputs + self._tick(decoded.record, at)
        if isinstance(decoded.record, Skip):
            self._skipped.add(decoded.record.offset)
            self.counts.ok += rest
            return outputs
        if isinstance(decoded.record, Gap):
            self.counts.ok += rest
            return outputs
        if self._home(decoded) != self.number:
            self._repeat("misplaced", rest, raw.offset)
            return [*outputs, forward_output(raw, self._home(decoded))]
        model = self.models[decoded.record.model]
        before = emitters.repeated(model.state.sources, decoded.record)
        known = self._step(model.name, decoded.record, at, raw)
        if isinstance(known, str):
            self._repeat(known, rest, raw.offset)
            return outputs
        if before:
            _count(self.counts.duplicate, "id", before)
        self.counts.ok += rest - before
        return outputs + known

    @_silent
    def fold_all(self, records: Sequence[tuple[RawRecord, Decoded]]) -> list[Output]:
        """Outputs of consecutive records: of each model those that `fold` of one after the other
        gives. `repeats` are then the offsets of those without a new row.
        """
        self.repeats.clear()
        outputs: list[Output] = []
        waiting: dict[str, list[Placed]] = {}
        for raw, decoded in records:
            name = self._plain(raw, decoded)
            if name is not None:
                at = Position(raw.partition, raw.offset, raw.time_ms)
                waiting.setdefault(name, []).append((raw, decoded, (decoded.record, at)))
                continue
            outputs += self._fold_waiting(waiting)
            outputs += self._fold(raw, decoded)
        return outputs + self._fold_waiting(waiting)

    def _plain(self, raw: RawRecord, decoded: Decoded) -> str | None:
        """The model of a batch that may go together with others; None for any other record."""
        rows = decoded.record
        if not isinstance(rows, Rows) or decoded.rejects or FORWARDED in raw.headers:
            return None
        here = rows.model in self.models and self._home(decoded) == self.number
        old = here and raw.offset <= self.models[rows.model].offset
        return rows.model if here and not old and raw.offset not in self._skipped else None

    def _fold_waiting(self, waiting: dict[str, list[Placed]]) -> list[Output]:
        """Fold the batches of each model, as many together as go."""
        outputs: list[Output] = []
        for name, placed in waiting.items():
            while placed:
                together = self._together(self.models[name], placed)
                if together > 1:
                    outputs += self._fold_run(self.models[name], placed[:together])
                else:
                    raw, decoded, _ = placed[0]
                    outputs += self._fold(raw, decoded)
                placed = placed[max(1, together) :]
        waiting.clear()
        return outputs

    def _together(self, model: Model, placed: Sequence[Placed]) -> int:
        """How many of a model's batches, from the first on, go together."""
        like = self._like.get(model.name)
        if like is None or len(placed) < 2:
            return 0
        calm = self._calm.get(model.name) or runs.calm(model, like)
        if calm is None:
            return 0
        self._calm[model.name] = calm
        return runs.length(model, calm, [batch for _, _, batch in placed])

    def _fold_run(self, model: Model, placed: Sequence[Placed]) -> list[Output]:
        """Fold batches that go together; those that were sent before are left out."""
        state, batches = model.state, []
        for _, _, (rows, at) in placed:
            self.offset = max(self.offset, at.offset)
            self.counts.in_ += rows.n
            before = emitters.repeated(state.sources, rows)
            fresh = emitters.fresh(state.emitters, state.sources, rows)
            if fresh is None:
                self._repeat("id", rows.n, at.offset)
                continue
            if before:
                _count(self.counts.duplicate, "id", before)
            self.counts.ok += rows.n - before
            batches.append((fresh, at))
        _, _, (_, at) = placed[0]
        self._changed.setdefault(model.name, at.offset)
        self._moved[model.name] = None
        state.offset = placed[-1][0].offset
        outputs = engine.fold_batches(model, batches) if batches else []
        if outputs:
            self._calm.pop(model.name, None)
        return outputs

    def _repeat(self, how: str, rows: int, offset: int) -> None:
        """The record at `offset` has no new row."""
        _count(self.counts.duplicate, how, rows)
        self.repeats.add(offset)

    def _step(
        self, name: str, record: object, at: Position, raw: RawRecord | None = None
    ) -> list[Output] | str:
        """Outputs, or why the record is a repeat."""
        model = self.models[name]
        if at.offset <= model.offset:
            return "offset"
        self._calm.pop(name, None)
        outputs: list[Output] | None = None
        origin = raw.headers.get(FORWARDED) if raw is not None else None
        if origin is None or emitters.accept(model.state.sources, *forwarded_from(origin)):
            outputs = engine.step(model, record, at)
        model.state.offset = at.offset
        self._changed.setdefault(name, at.offset)
        self._moved[name] = None
        if outputs is not None and isinstance(record, Rows):
            self._like[name] = runs.shape(model, record)
        if outputs is None:
            return "inspection" if isinstance(record, Inspection) else "id"
        return outputs

    @_silent
    def answer(self, found: Inspection, at: Position) -> list[Output]:
        """Fold an answer that no log holds, behind the record at `at` that asked for it."""
        model = self.models[found.model]
        self._moved[model.name] = None
        self._calm.pop(model.name, None)
        return engine.step(model, found, at) or []

    def asked(self) -> list[Output]:
        """The requests of all models that wait for their answers, as the fold gave them."""
        return [
            request for model in self.models.values() for request in inspections.requests(model)
        ]

    def waits(self, request: Output) -> bool:
        """Whether the request has not been answered yet, nor has expired."""
        model = self.models.get(request.key.decode())
        return model is not None and inspections.waits(model, request.id)

    def _tick(self, tick: Tick, at: Position) -> list[Output]:
        """Wake the models whose next deadline has passed; idle ones cost nothing."""
        outputs: list[Output] = []
        self._wake_ms |= {name: engine.wake_ms(self.models[name]) for name in self._moved}
        self._moved.clear()
        for name, wake_ms in list(self._wake_ms.items()):
            if wake_ms is None or at.time_ms < wake_ms:
                continue
            found = self._step(name, tick, at)
            if not isinstance(found, str):
                outputs += found
        return outputs


def _validated(decoded: Decoded) -> Decoded:
    """A definition out of the log that nobody can fold by is a reject."""
    if not isinstance(decoded.record, MonitorChange):
        return decoded
    wrong = soundness.problem(decoded.record.definition)
    if not wrong:
        return decoded
    reject = Reject(reason=Reason.SCHEMA_INVALID, detail=wrong, stage="validate")
    return Decoded(None, (*decoded.rejects, reject), decoded.rows_in)


def _count(counts: dict[Any, int], key: Any, rows: int) -> None:
    counts[key] = counts.get(key, 0) + rows
