"""The small records of `events.v1`: JSON documents about a model, and the tick.

All but `Tick`, `Skip` and `Gap` are keyed by their model. They exist so that the fold need not ask
anyone: what it cannot compute from its arguments is one of these in the log.
"""

from typing import Annotated, Literal

import msgspec

from inferwatch.records.definition import Definition
from inferwatch.records.raw import Instance

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.01)]
"""0…1. What clocks and kernels round goes a little beyond, and is read as 1."""


class Resource(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Gauges of one serving process at one moment.

    `cpu` is used over available (0…n cores as a share of what the process may use), `memory` is
    used over the limit, `gpu` and `gpu_memory` likewise. `throttled` is the share of CPU periods
    since the sample before in which a quota stopped the process. Each is 0…1, where up to 1.01
    counts as 1, or absent where the machine does not have it. `started_ms` is when the process
    began, `hardware` what it runs on, in words.
    """

    model: str
    version: str
    instance: Instance
    time_ms: int
    cpu: Share | None = None
    memory: Share | None = None
    memory_bytes: int | None = None
    gpu: Share | None = None
    gpu_memory: Share | None = None
    threads: int | None = None
    throttled: Share | None = None
    started_ms: int | None = None
    hardware: Instance = ""


class Deploy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version went live, or an older one came back (`kind` rollback)."""

    model: str
    version: str
    time_ms: int
    kind: Literal["deploy", "rollback"] = "deploy"
    note: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An operator's word on an alert, kept in the log so that a replay hears it too."""

    model: str
    fingerprint: str
    verdict: Literal["ack", "silence", "unsilence", "useful", "noise"]
    time_ms: int
    until_ms: int | None = None
    author: str = ""
    comment: str = ""


class ReferenceChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An operator's word on what a model's rows are compared with, from here in the log on.

    `accept`: what was learnt so far is the reference now. `reset`: forget it and learn anew from
    the next row on. Without `version` it is said of every version that the model has by then.
    """

    model: str
    action: Literal["accept", "reset"]
    time_ms: int
    version: str | None = None
    author: str = ""
    comment: str = ""


class MonitorChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The definition that a model is watched by from here on.

    `from_offset` is set on a model's first definition: it acts from that record, which stands
    before this one in the log.
    """

    model: str
    definition: Definition
    from_offset: int | None = None


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule in words picks: `share` of a window's rows, `reference_share` of the others."""

    rule: str
    share: float
    reference_share: float


class ErrorSlice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a window has errors that windows before had not: what a rule in words picks.

    `rows` of a part of the sample are inside, a `share` of it, with their error rate in the window
    and `before`; `elsewhere` are the rates of the other rows. Where answers are numbers, an error
    is one `above` that size.
    """

    rule: str
    rows: int
    share: float
    error_rate: float
    before: float
    elsewhere: float
    elsewhere_before: float
    above: float | None = None


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two features, and their rank correlation `before`, in the reference, and `now`."""

    features: tuple[str, str]
    before: float
    now: float


class Inspection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an inspector found in a closed window: the answer to a request of the fold.

    `window` is the id of the window's first record. `value` comes of `n` sampled rows against
    `reference_n` of the reference; `unknown` says why there is none. [`low`, `high`] is its 95 %
    interval, `p_value` the chance of a value as large without a change. `features` are the shares
    in the answer of those that matter most, where the method knows them; `library` is what
    computed it. Where `metric` is `figures`, the window's own were held against those of
    `reference_n` past windows: `value` is the share that is less unusual, and `figures` says how
    far those that deviate most are from their median, in standard deviations. `pairs` are the
    features whose correlation changed most, up to three, where `method` is `correlation`. `slice`
    says in words where the window has rows that the reference has not, where there is such a place.
    Where `metric` is `errors`, the labelled rows were held against `reference_n` of windows before:
    `errors` says where the window has more errors than these, if anywhere, and `value` by how much
    more the error rate rose there than elsewhere.
    """

    model: str
    window: str
    method: str
    value: float | None = None
    n: int = 0
    reference_n: int = 0
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    features: dict[str, float] = {}
    unknown: str = ""
    library: str = ""
    metric: str = "features"
    figures: dict[str, float] = {}
    pairs: list[Pair] = []
    slice: Slice | None = None
    errors: ErrorSlice | None = None


class Skip(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The record at `offset` of this partition ended three workers; nobody folds it any more."""

    offset: int
    why: str = ""


class Gap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Offsets `[from_offset, to_offset)` of this partition that the workers passed over: the log or
    their state had lost them, and an operator said `--accept-state-loss`.

    Windows that reach into it are not whole and say so in `lost`, and what a replay makes of it is
    not what was live.
    """

    from_offset: int
    to_offset: int
    why: str = ""


class Tick(msgspec.Struct, frozen=True):
    """Time passed. The body is empty: the tick's own record time is all it says.

    `closing` marks the last one of a table, which ends windows but proves no silence.
    """

    closing: bool = False


Event = Resource | Deploy | Verdict | ReferenceChange | MonitorChange | Inspection | Skip | Gap
