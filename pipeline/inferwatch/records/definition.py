"""What a model is watched by: windows, reference and checks, as the fold reads them.

Monitor files are parsed into this (`config`), it travels inside `monitor` records, and its digests
are part of the ids of windows and alerts. Durations are integer milliseconds.
"""

import hashlib
from typing import Any, Literal

import msgspec

Task = Literal["binary", "multiclass", "regression", "ranking", "unknown"]
Direction = Literal["above", "below", "drop", "rise"]
PREVIOUS = "previous"
"""As `versus` of a check: the version that served before, whichever that is."""


class NumericProfile(msgspec.Struct, frozen=True, kw_only=True, tag="numeric", tag_field="kind"):
    """One numeric column of the reference.

    `edges` are the fine bins (ascending, open at both ends, bin i is (e[i-1], e[i]]), `counts`
    their rows with missing last; `psi_edges` picks the ten quantile groups out of them. `low` and
    `high` are the 0.1 % and 99.9 % quantiles, to which online detectors scale.
    """

    edges: list[float]
    counts: list[int]
    psi_edges: list[float]
    mean: float
    sd: float
    least: float
    most: float
    low: float
    high: float


class CategoryProfile(msgspec.Struct, frozen=True, kw_only=True, tag="words", tag_field="kind"):
    """One categorical column of the reference: rows per word, and rows without one."""

    words: list[str]
    counts: list[int]
    missing: int = 0


class EmbeddingProfile(msgspec.Struct, frozen=True, kw_only=True):
    """The embeddings of the reference, vectors of `dim` numbers, by how far they lie along fixed
    directions.

    `directions` are small whole numbers, int8, `dim` of one direction behind those of the one
    before; divided by its length each is a unit vector. `along` describes the rows in each of them.
    """

    dim: int
    directions: bytes
    along: list[NumericProfile]


class Profile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The reference that rows and windows are compared with.

    `quality` holds the metrics of the reference rows: key "" for all, "column=value" for a segment.
    `labelled` counts those with a score and a label: of the negative and of the positive class by
    bin of the score on the grid of logits, of several classes wrong and right answers by theirs.
    `values_digest` names the file with the sorted values, which exact windows need, `sample_digest`
    the one with whole rows, which inspectors need.
    """

    name: str
    rows: int
    from_ms: int
    to_ms: int
    numeric: dict[str, NumericProfile] = {}
    categories: dict[str, CategoryProfile] = {}
    score: NumericProfile | None = None
    prediction: CategoryProfile | NumericProfile | None = None
    embedding: EmbeddingProfile | None = None
    quality: dict[str, dict[str, float]] = {}
    labelled: list[list[int]] = []
    values_digest: str | None = None
    sample_digest: str | None = None

    def column(self, feature: str) -> NumericProfile | CategoryProfile | None:
        """What it says of a feature; of one that came as numbers and as words that of the kind
        which fewer rows lack.
        """
        numbers, words = self.numeric.get(feature), self.categories.get(feature)
        if numbers is None or words is None:
            return numbers or words
        lacking = numbers.counts[-1] * (sum(words.counts) + words.missing)
        return words if words.missing * sum(numbers.counts) < lacking else numbers


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """The clock of a time zone: from which time on it is ahead of UTC by how much, both in ms.

    Its rules travel with the definition, for they change and the fold reads no files.
    """

    timezone: str
    utc_offsets: list[tuple[int, int]]


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What only the owner of the model knows: without it AUC means nothing.

    `clock` is that by which hours are counted, UTC where it is left out. Windows of a segment with
    fewer than `segments_min_rows` rows are not published, where it is given. `score_bins` is the
    grid of scores by label, 256 bins where it is left out.
    """

    task: Task = "unknown"
    positive: str = "1"
    label_delay_ms: int = 86_400_000
    label_wait_ms: int = 86_400_000
    label_horizon_ms: int = 172_800_000
    segments: list[str] = []
    segments_max: int = 50
    pending_max_bytes: int = 64 << 20
    restate_every_ms: int = 300_000
    clock: Clock | msgspec.UnsetType = msgspec.UNSET
    segments_min_rows: int | msgspec.UnsetType = msgspec.UNSET
    score_bins: int | msgspec.UnsetType = msgspec.UNSET

    def utc_offsets(self) -> list[tuple[int, int]]:
        """Those of the clock, none for UTC."""
        return self.clock.utc_offsets if isinstance(self.clock, Clock) else []

    def floor_rows(self) -> int:
        """`segments_min_rows`, 1 where every segment is published."""
        return 1 if self.segments_min_rows is msgspec.UNSET else self.segments_min_rows

    def bins(self) -> int:
        """`score_bins`, 256 where none are named."""
        return 256 if self.score_bins is msgspec.UNSET else self.score_bins


class Reference(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the reference comes from: a profile, or the model's own first rows.

    A learnt reference is frozen, per version, once it holds `min_rows` rows that reach over
    `min_span_ms` of event time. With `last_ms` it then becomes, again and again, that much of the
    version's own past; 0 for one that stays.
    """

    profile: Profile | None = None
    last_ms: int = 0
    min_rows: int = 5_000
    min_span_ms: int = 0


class Window(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A window of event time (`size_ms`, every `step_ms`) or of every `rows` rows in log order."""

    name: str
    size_ms: int = 0
    step_ms: int = 0
    rows: int = 0
    grace_ms: int = 30_000
    exact: bool = False


class Limit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One level of a check.

    `above` and `below` compare the figure itself; `drop` and `rise` its distance from the
    reference, as a share of it (`relative`) or in the figure's own units. `clear` is where the
    level ends again, in the same measure; equal to `value` where it is not given. A `calibrated`
    one is found from the version's own past windows (`core.calibration`), never below `value`.
    """

    direction: Direction
    value: float
    relative: bool = False
    clear: float
    calibrated: bool = False


class Need(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a window must hold before a check may speak: rows, labels, coverage in 0…1."""

    rows: int = 1
    labels: int = 0
    coverage: float = 0.0


class Check(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rule. `method` is "value" for a plain metric; `times` is n of the last m windows.

    With `versus` a version's figure is compared with that of another version, not the reference.
    """

    alert: str
    metric: str
    method: str = "value"
    window: str = ""
    segment_by: list[str] = []
    need: Need = Need()
    warn: Limit | None = None
    fail: Limit | None = None
    times: tuple[int, int] = (1, 1)
    for_ms: int = 0
    keep_firing_for_ms: int = 0
    mode: Literal["alert", "observe"] = "alert"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    params: dict[str, float] = {}
    default: bool = False
    versus: str = ""

    def statistic_digest(self) -> str:
        """Names what the check computes: a change starts its state anew."""
        versus = [self.versus] if self.versus else []  # those from before there was one stay
        return digest(
            [self.metric, self.method, self.window, self.segment_by, self.params, *versus]
        )


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides what the fold does with one model's records."""

    model: ModelFacts = ModelFacts()
    reference: Reference = Reference()
    windows: list[Window] = []
    checks: list[Check] = []

    def digest(self) -> str:
        """32 hex digits that change whenever anything in the definition does."""
        return digest(self)


def digest(value: Any) -> str:
    """32 hex digits of the canonical bytes of a struct, list or mapping."""
    raw = msgspec.json.encode(value, order="deterministic")
    return hashlib.blake2b(raw, digest_size=16).hexdigest()
