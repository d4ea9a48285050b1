"""One model's whole state, and what follows from it and is never stored.

The state is one unit with the offset of the last record it has folded: a checkpoint of it, wherever
it was taken, plus the records after that offset give the same answer.
"""

from collections.abc import Mapping

import msgspec
import numpy as np

from inferwatch.core import drift, windows
from inferwatch.core import plan as plans
from inferwatch.core import reference as references
from inferwatch.core.alerts import Instance, alert_of, version_of
from inferwatch.core.columns import OTHER, Columns
from inferwatch.core.directions import Directions
from inferwatch.core.drift.bank import Bank
from inferwatch.core.duel import Side
from inferwatch.core.emitters import Emitter
from inferwatch.core.labels import Join
from inferwatch.core.metrics import on_labels
from inferwatch.core.pending import Pending
from inferwatch.core.plan import WindowPlan
from inferwatch.core.queries import QueryJoin
from inferwatch.core.reference import Learning, Learnt, Values, Vectors, VersionReference, accepted
from inferwatch.core.schema_told import Told
from inferwatch.core.sketches.log_histogram import LogHistogram
from inferwatch.core.stability import Entities
from inferwatch.core.watermark import UNSET, Watermark
from inferwatch.core.windows import Pane, Track, Waiting
from inferwatch.errors import ConfigError
from inferwatch.records import keys
from inferwatch.records.definition import Definition, Profile, Window
from inferwatch.records.events import Deploy, ReferenceChange
from inferwatch.records.outputs import FOLD_VERSION, ComparedWith

FORMAT = 1
DEPLOYS_MAX = 20
VERSIONS_MAX = 500
VERSIONS_EVER_MAX = 10_000
SPAN_ROWS = 1 << 53  # more than a version ever has: the learning span is one window


class Position(msgspec.Struct, frozen=True):
    """Where a record stands: its partition, offset and record time."""

    partition: int
    offset: int
    time_ms: int


class ModelState(msgspec.Struct, kw_only=True):
    """Everything a checkpoint holds. `offset` is the last record folded, -1 for none.

    `rows` counts those of every version ever; `seen` is the watermark of the newest row of those
    that are kept, of which `retired` ones have no alerts. `tracks` by window and version; `recent`
    the pieces of each version's past of which a reference that moves along is made, by their start;
    `first` is each version's learning span as one window of rows; `row_ms` the record time of the
    newest inference row; `bits` says which bit of a prediction's `late` speaks of which window
    definition; `waiting` are closed windows that an inspector was asked about, in the order of
    closing; `duels` what checks that compare versions keep of each, by `alerts.key`; `schemas` what
    was told of each version's columns.
    """

    format: int = FORMAT
    fold_version: int = FOLD_VERSION
    name: str
    definition: Definition
    offset: int = -1
    watermark: Watermark = msgspec.field(default_factory=Watermark)
    columns: Columns = msgspec.field(default_factory=Columns)
    rows: dict[str, int] = {}
    seen: dict[str, int] = {}
    retired: list[str] = []
    row_ms: int = -1
    learnt: dict[str, Learnt] = {}
    recent: dict[str, dict[int, Pane]] = {}
    first: dict[str, Track] = {}
    tracks: dict[str, dict[str, Track]] = {}
    pending: Pending = msgspec.field(default_factory=Pending)
    emitters: dict[str, Emitter] = {}
    sources: dict[str, Emitter] = {}
    instances: dict[str, Instance] = {}
    detectors: dict[str, drift.DetectorState] = {}
    deploys: list[Deploy] = []
    bits: dict[str, int] = {}
    entities: Entities | None = None
    waiting: list[Waiting] = []
    delays: dict[str, LogHistogram] = {}
    duels: dict[str, Side] = {}
    schemas: dict[str, Told] = {}


class Model:
    """A model at work: its state, and the plan, indexes and detectors that follow from it.

    :param values: sorted reference columns by the digest a profile names them with.
    :raises ConfigError: an exact window needs columns that are not among them.
    """

    def __init__(self, state: ModelState, values: Mapping[str, Values]) -> None:
        self.state = state
        self.values = values
        if not state.seen:  # a state from before versions were retired
            state.seen = dict.fromkeys(state.rows, state.watermark.event_ms)
        self.plan = plans.make(state.definition)
        self._check_reference()
        self._give_bits()
        self.join = self._joined()
        self.detectors = {key: drift.load(kept) for key, kept in state.detectors.items()}
        self._references: dict[str, VersionReference] = {}
        self.banks: dict[tuple[str, str], Bank] = {}
        self.due_ms: int | None = None  # of `retirement`, None where it must be worked out
        self.noted = False  # whether `versus` has windows to pair, within one closing of windows

    def _joined(self) -> Join:
        """The join that fits the task."""
        facts, task = self.definition.model, self.state.columns.task
        if (facts.task if task == "unknown" else task) == "ranking":
            return QueryJoin(self.state.pending, facts.label_horizon_ms)
        return Join(self.state.pending)

    @property
    def name(self) -> str:
        """team/model."""
        return self.state.name

    @property
    def offset(self) -> int:
        """Offset of the last record folded."""
        return self.state.offset

    @property
    def definition(self) -> Definition:
        """What the model is watched by now."""
        return self.state.definition

    def redefine(self, definition: Definition) -> None:
        """Watch by `definition` from here on; windows whose definition changed start anew."""
        before = {plan.window.name: plan.digest for plan in self.plan.windows}
        duels = {check.alert: check.statistic_digest() for _, check in self.plan.versus}
        if definition.reference != self.state.definition.reference:
            self.state.recent = {}
            self._tell_anew(*self.state.schemas)
            for learnt in self.state.learnt.values():
                learnt.held = learnt.vectors = None
        self.state.definition, self.due_ms = definition, None
        self._check_reference()
        soonest, self.plan = self.plan.soonest, plans.make(definition)
        if soonest and self.plan.soonest and soonest.window != self.plan.soonest.window:
            for told in self.state.schemas.values():
                told.until = UNSET
        after = {plan.window.name: plan.digest for plan in self.plan.windows}
        kept = [name for name in after if before.get(name) == after[name]]
        # a window that was published does not come again, whatever it is called by then
        self.state.tracks = {
            name: tracks
            if name in kept
            else {
                version: Track(boundary_ms=track.boundary_ms) for version, track in tracks.items()
            }
            for name, tracks in self.state.tracks.items()
            if name in after
        }
        inspectors = {plan.window.name: plan.inspectors for plan in self.plan.windows}
        self.state.waiting = [
            waiting
            for waiting in self.state.waiting
            if waiting.window in kept
            and (waiting.metric, waiting.method) in inspectors[waiting.window]
        ]
        self.state.delays = {
            name: past for name, past in self.state.delays.items() if name in after
        }
        same = {
            check.alert
            for plan, check in self.plan.versus
            if plan.window.name in kept and duels.get(check.alert) == check.statistic_digest()
        }
        self.state.duels = {
            key: side for key, side in self.state.duels.items() if alert_of(key) in same
        }
        self._forget_unread()
        self._give_bits()
        if definition.model.task == "ranking" or isinstance(self.join, QueryJoin):
            self.join = self._joined()
        self._references.clear()
        self.banks.clear()

    def _forget_unread(self) -> None:
        """Windows that wait for the labels of a check that is gone, or judges other segments now,
        wait no more; figures that nothing reads any more are forgotten.
        """
        for plan in self.plan.windows:
            checks = {check.alert: check for check in plan.checks if on_labels(check.metric)}
            for track in self.state.tracks.get(plan.window.name, {}).values():
                for key in list(track.queue):
                    alert, segment = keys.split(key)
                    if alert not in checks or not plans.applies(checks[alert], segment):
                        del track.queue[key]
                track.past = track.past if plan.keeps_figures else None
                if not plan.reads_errors:
                    track.kept, track.before = {}, None
                _forget_figures(plan, track)

    def _give_bits(self) -> None:
        """Windows keep their bit for as long as they are defined; new ones get the lowest free."""
        names = [plan.window.name for plan in self.plan.windows]
        bits = {name: bit for name, bit in self.state.bits.items() if name in names}
        free = [bit for bit in range(16) if bit not in bits.values()]
        new = [name for name in names if name not in bits]
        self.state.bits = bits | dict(zip(new, free, strict=False))

    def bit(self, plan: WindowPlan) -> np.uint16:
        """Which bit of a prediction's `late` speaks of this window definition."""
        return np.uint16(self.state.bits[plan.window.name])

    def _check_reference(self) -> None:
        """Exact windows compare with the profile's own columns, which do not travel in the log."""
        profile = self.definition.reference.profile
        exact = any(window.exact for window in self.definition.windows)
        if profile is None or not exact or profile.values_digest in self.values:
            return
        raise ConfigError(
            f"an exact window of {self.name} needs the columns of profile '{profile.name}' "
            f"({profile.values_digest}), which are not here",
            key="reference.profile",
            fix="name the profile file whose .values.npz has them",
        )

    def version(self, name: str) -> str:
        """The version as it is kept: when there are many, all new ones share `__other__`."""
        state = self.state
        free = len(state.seen) < VERSIONS_MAX and len(state.rows) < VERSIONS_EVER_MAX
        return name if name in state.rows or free else OTHER

    def track(self, plan: WindowPlan, version: str) -> Track:
        """State of one window definition for one version."""
        return self.state.tracks.setdefault(plan.window.name, {}).setdefault(version, Track())

    def first_plan(self) -> WindowPlan:
        """The learning span as a window of rows, however many: its figures are the baseline."""
        return WindowPlan(Window(name="reference", rows=SPAN_ROWS), 0, True, 0.8, False, (), "")

    def learning(self, version: str) -> Learning | None:
        """The reference being learnt, None once there is one."""
        if self.definition.reference.profile is not None:
            return None
        learnt = self.state.learnt.get(version)
        if learnt is None:
            learnt = self.state.learnt[version] = Learnt(learning=Learning())
        return learnt.learning

    def freeze(self, version: str, change: ReferenceChange | None = None) -> None:
        """What was learnt is the reference from here on; `change` where an operator said so."""
        learnt = self.state.learnt[version]
        if learnt.learning is None:
            return
        found = references.freeze(
            learnt.learning,
            self.state.columns,
            keep_values=any(plan.window.exact for plan in self.plan.windows),
            keep_sample=any(plan.sampled for plan in self.plan.windows),
        )
        found.change = change or learnt.change
        self._refer(version, found)

    def forget(self, version: str, change: ReferenceChange) -> None:
        """Learn the reference of `version` anew; what open windows counted on its bins is void."""
        self._refer(version, Learnt(learning=Learning(), change=change))
        self.state.first.pop(version, None)
        self.state.waiting = [one for one in self.state.waiting if one.version != version]
        for tracks in self.state.tracks.values():
            track = tracks.get(version, Track())
            track.calibrations, track.past = {}, None
            for pane in track.panes.values():
                for cell in pane.cells.values():
                    cell.bins = cell.score_bins = cell.value_bins = None
                    if cell.embedding is not None:
                        cell.embedding.lie = cell.embedding.bins = None

    def turn(self, version: str, profile: Profile) -> None:
        """The reference has moved along, on the same bins: what is counted and scaled stays."""
        learnt = self.state.learnt[version]
        learnt.profile, learnt.values, learnt.held = profile, {}, None
        self._references.pop(version, None)

    def lose(self, why: str, records: int, offset: int) -> None:
        """Records up to `offset` that may have been this model's are folded by nobody."""
        for tracks in self.state.tracks.values():
            for track in tracks.values():
                windows.lose(track, why, records)
        self.state.offset = offset

    def retire(self, version: str) -> None:
        """Forget all of `version` but how many rows it had, and which numbers its alerts gave."""
        state = self.state
        for tracks in state.tracks.values():
            tracks.pop(version, None)
        of_versions = (state.learnt, state.first, state.recent, state.seen, state.schemas)
        for kept in (*of_versions, self._references):
            kept.pop(version, None)
        state.retired = [one for one in state.retired if one != version]
        state.waiting = [one for one in state.waiting if one.version != version]
        for key in [key for key in self.detectors if version_of(key) == version]:
            del self.detectors[key]
        for key in [key for key in state.duels if version_of(key) == version]:
            del state.duels[key]
        self.banks = {key: bank for key, bank in self.banks.items() if key[1] != version}

    def _tell_anew(self, *versions: str) -> None:
        """Columns are held against another reference from here on."""
        for version in versions:
            told = self.state.schemas.get(version)
            if told is not None:
                self.state.schemas[version] = Told(until=told.until)

    def _refer(self, version: str, learnt: Learnt) -> None:
        self._tell_anew(version)
        self.state.learnt[version] = learnt
        self.state.recent.pop(version, None)
        self._references.pop(version, None)
        self.banks.clear()

    def reference(self, version: str) -> VersionReference:
        """What `version` is compared with, ready for counting."""
        bound = self._references.get(version)
        if bound is None:
            profile, learnt = self.definition.reference.profile, self.state.learnt.get(version)
            values: Values = {}
            if profile is not None:
                values = self.values.get(profile.values_digest or "", {})
            elif learnt is not None:
                profile, values = learnt.profile, learnt.values
            bound = references.bind(profile, values, self.state.columns)
            self._references[version] = bound
        return bound

    def directions(self, version: str, dim: int) -> Directions | None:
        """Along which embeddings of `dim` numbers are looked at: those of the reference, or those
        that one which is learnt will have; None where the reference has others or none.
        """
        learning = self.learning(version)
        if learning is not None:
            return references.directions_of(learning, dim)
        if self.lacks_embeddings(version):
            vectors = self.state.learnt[version].vectors
            return references.directions_of(vectors or Vectors(0, b""), dim)
        bound = self.reference(version).embedding
        return None if bound is None else bound.directions

    def lacks_embeddings(self, version: str) -> bool:
        """Whether the version's reference has none and moves along, and so may get them."""
        asked, learnt = self.definition.reference, self.state.learnt.get(version)
        if not asked.last_ms or asked.profile is not None or learnt is None:
            return False
        profile = learnt.profile
        return profile is not None and profile.embedding is None and not accepted(learnt)

    def compared_with(self, version: str) -> ComparedWith:
        """The same, as a window's record says it."""
        return references.describe(self.definition.reference, self.state.learnt.get(version))

    def reference_sample(self, version: str) -> Values | None:
        """Rows of the reference, column by column, none where their file is not here; None for a
        reference that kept no rows.
        """
        profile = self.definition.reference.profile
        if profile is None:
            learnt = self.state.learnt.get(version)
            return learnt.sample or None if learnt else None
        digest = profile.sample_digest
        return None if digest is None else self.values.get(digest, {})

    def dump_detectors(self) -> None:
        """Bring `state.detectors` up to date, for a checkpoint."""
        self.state.detectors = {key: live.dump() for key, live in self.detectors.items()}


def _forget_figures(plan: WindowPlan, track: Track) -> None:
    """Drop the past figures of segments that no check reads."""
    for kept, by_hour in ((track.series, False), (track.hours, True)):
        for key in list(kept):
            segment, metric = keys.split(key)
            if metric not in plans.past_kept(plan, segment, by_hour=by_hour):
                del kept[key]
