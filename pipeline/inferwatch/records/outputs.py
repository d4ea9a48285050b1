"""The records that inferwatch publishes: windows, alerts, dead letters' envelope.

Canonical JSON (sorted keys, no NaN, floats at 12 significant digits), so that equal ids mean equal
bytes. `schemas/*.json` are generated from these structs.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from inferwatch.records import keys

FOLD_VERSION = 1
OUTPUT_MAX_BYTES = 262_144

Condition = Literal["learning", "unknown", "ok", "pending", "firing", "no_data"]
Severity = Literal["info", "warning", "critical"]
SchemaChange = Literal["new", "gone", "retyped"]
Change = Literal["new", "gone", "retyped", "back"]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A window: event time `[start, end)` in ms, or, for `rows` > 0, the row number `start`."""

    name: str
    start: int
    end: int
    rows: int = 0


class FeatureFigures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one feature looked like in a window; drift figures only where a reference is known.

    `rows` had a usable value, `missing` none, `non_finite` ±Inf. `unseen`, `empty` and `distinct`
    are of words: rows with a word that the reference lacks, with one of spaces only, and how many
    words there are (above 1,000 an estimate, 2.3 % off). `out_of_range` are rows beyond the
    reference's range.
    """

    rows: int
    missing: int = 0
    non_finite: int = 0
    mean: float | None = None
    sd: float | None = None
    least: float | None = None
    most: float | None = None
    unseen: int = 0
    empty: int = 0
    distinct: int = 0
    out_of_range: int | None = None
    psi: float | None = None
    ks: float | None = None
    chi_square: float | None = None
    p_value: float | None = None
    jensenshannon: float | None = None
    hellinger: float | None = None
    wasserstein: float | None = None
    total_variation: float | None = None
    l_infinity: float | None = None


class ComparedWith(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the rows of a window's version are compared with, as of the window's end.

    `rows` from `from_ms` to `to_ms` are those of the reference; while `learning`, those so far, and
    `min_rows` over `min_span_ms` are asked for. A `rolling` one that should have moved and stands
    still since `held_ms` had `held_rows` of `min_rows` rows in the span before. `author`, `comment`
    and `changed_ms` are of the operator who accepted or reset it last.
    """

    kind: Literal["learning", "learnt", "rolling", "accepted", "profile"]
    name: str = ""
    rows: int = 0
    from_ms: int | None = None
    to_ms: int | None = None
    min_rows: int = 0
    min_span_ms: int = 0
    author: str = ""
    comment: str = ""
    changed_ms: int | None = None
    held_ms: int | None = None
    held_rows: int = 0


class WindowRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One closed window of one model, version and segment.

    `metrics` holds figures that are known, `unknown` the reason for each that is not. Label metrics
    are published again under a higher `revision` as labels come. Only the record of all rows, with
    "" as `segment`, says what they are compared with, and which features are new, gone or retyped
    against that (50 of them; the metric `schema_changes` counts all). `limits` are those that
    checks found by themselves, by "alert feature". `lost` counts what the window may lack, in the
    record of all rows: rows that senders `dropped`, records `skipped` because they ended workers,
    and offsets of the partition in a `gap`, whichever model's they were. `withheld` counts, by
    column, the segments that had too few rows to be published, there too. `instances` names the
    serving process that a highest sample, the uptime or the last restart is of. `calibrated` says
    of estimates whether the reference's labels have shown what scores are worth, or they were taken
    as given; None without estimates.
    """

    id: str
    model: str
    version: str
    window: Span
    segment: str = ""
    revision: int = 0
    rows: int = 0
    from_ms: int | None = None
    to_ms: int | None = None
    late: int = 0
    lost: dict[str, int] = {}
    labels: int = 0
    coverage: float | None = None
    sampled: float = 1.0
    reference: ComparedWith | None = None
    limits: dict[str, float] = {}
    metrics: dict[str, float] = {}
    intervals: dict[str, tuple[float, float]] = {}
    unknown: dict[str, str] = {}
    features: dict[str, FeatureFigures] = {}
    schema_changes: dict[str, SchemaChange] = {}
    withheld: dict[str, int] = {}
    instances: dict[str, str] = {}
    calibrated: bool | None = None
    truncated: int = 0
    first_offset: int = -1
    last_offset: int = -1
    partition: int = -1


class ColumnChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one column: a feature, or `embedding`.

    `before` and `now` are the kinds of its values, `numeric`, `category` and `embedding(768)`, none
    where it is not sent. `change` is `back` where it is again as the reference has it. So it has
    been since the window of rows that began at `since_ms` with the record at `first_offset`.
    """

    column: str
    change: Change
    before: list[str] = []
    now: list[str] = []
    since_ms: int
    first_offset: int = -1


class SchemaRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Columns of one version that came, went or changed their kind, told once.

    `window` has shown it, with rows from `from_ms` to `to_ms` whose records are at `first_offset`
    to `last_offset`. What is `before` is what was told last, in the beginning the columns of
    `reference`; where `versus` names a version, those of that one when this one began: its own
    reference then has what is `now`. `counts` has all changes by kind, `changes` those that fit
    256 KiB, the first by name, and `truncated` the number of others.
    """

    id: str
    model: str
    version: str
    versus: str = ""
    window: Span
    from_ms: int
    to_ms: int
    reference: ComparedWith
    counts: dict[str, int]
    changes: list[ColumnChange]
    truncated: int = 0
    first_offset: int = -1
    last_offset: int = -1
    partition: int = -1


class Versus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Another version that an alert's is compared with.

    The version's figure less that of the other lies in [`low`, `high`], with 95 % over all the
    looks at it together. `windows` are those that both served, 0 where the other is compared by the
    week before. `deployed_ms` and `note` are of the other's newest deploy record.
    """

    version: str
    low: float
    high: float
    windows: int = 0
    deployed_ms: int | None = None
    note: str = ""


class AlertRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One transition of one alert. `seq` counts the transitions of a fingerprint from 1.

    Labels are identity and never hold numbers; what was measured is in the other fields. Readers
    drop records with an `id` they know and let the highest `seq` of a fingerprint rule.
    """

    id: str
    fingerprint: str
    seq: int
    alert: str
    model: str
    version: str
    feature: str = ""
    segment: str = ""
    severity: Severity
    condition: Condition
    previous: Condition
    reason: str
    mode: Literal["alert", "observe"] = "alert"
    flags: list[str] = []
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    metric: str
    method: str = "value"
    value: float | None = None
    limit: float | None = None
    reference: float | None = None
    reference_span: str = ""
    window: Span | None = None
    rows: int = 0
    labelled: int = 0
    coverage: float | None = None
    at_ms: int
    began_ms: int | None = None
    first_bad: str = ""
    causes: list[str] = []
    context: list[str] = []
    versus: Versus | None = None


def live(headers: Mapping[str, bytes]) -> bool:
    """Whether a published record is of a live run: a backtest names itself in its `run` header."""
    return headers.get("run", b"live") == b"live"


def word(headers: Mapping[str, bytes]) -> str:
    """Which record of an output topic it is, by its headers: `window`, `schema`, `alert`."""
    return headers.get("ce_type", b"").decode(errors="replace").split(".")[-2:][0]


def significant(value: Any) -> Any:
    """`value` with every float cut to 12 significant digits; a NaN or infinity is a bug here.

    :raises ValueError: a float is not finite.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a published figure is not finite")
        return float(f"{value:.12g}")
    if isinstance(value, dict):
        return {key: significant(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [significant(item) for item in value]
    return value


def percent(share: float) -> str:
    """A share as every published text writes it, rounded down: 99.6 % is not 100 %."""
    hundredths = share * 100 + 1e-9
    whole = math.floor(hundredths) if abs(hundredths) < 1e15 else hundredths
    return f"{whole:.15g} %"


def canonical(record: msgspec.Struct) -> bytes:
    """The one way that a record is written: sorted keys, 12 digits, no NaN."""
    return msgspec.json.encode(significant(msgspec.to_builtins(record)), order="sorted")


def identity(*parts: str | int) -> str:
    """24 hex digits that name what `parts` name."""
    text = keys.join(*map(str, parts))
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def alert_fingerprint(alert: str, model: str, version: str, feature: str, segment: str) -> str:
    """Identity of an alert across its transitions; severity is outside it."""
    return identity(alert, model, version, feature, segment)
