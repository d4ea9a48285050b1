"""Online detectors by name, for any stream of numbers: `make("adwin", delta=0.01)`.

One file a method. `update_many` takes the next values and gives the zero-based indices, counted
over all that the detector was ever fed, at which it found something; how the values were cut into
calls never shows. Truths and integers are numbers too; values that are not finite are counted and
passed over. A snapshot cut anywhere
and restored into a detector of the same parameters goes on as if nothing had happened.

`inferwatch.testing.check_detector` holds a detector of your own to all of that.
"""

import difflib
import inspect
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import ClassVar, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.errors import ConfigError

Values = NDArray[np.floating]
DEFAULTS = {"auto-drift": ("adwin", "the default for a stream of errors")}
"""Other names of detectors, and what they stand for."""
GROUP = "inferwatch.detectors"
"""Entry points under which packages offer detectors of their own."""


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """What `inferwatch methods` tells of a detector, beside its parameters.

    `kind` is "drift" or "anomaly"; `cost_ns` is CPU time a value in calls of 500, `state_bytes` the
    size of a snapshot, `rows_min` how many values it wants before it finds anything; `source` the
    paper or text that defines it. `by_place` says that a value's place matters, so that one that is
    missing must come as NaN; `by_row` that it takes rows of several columns, float[n, F], too.
    `values` is what it reads: any numbers, losses in [0, 1], or errors, 1 wrong and 0 right.
    """

    name: str
    kind: str
    purpose: str
    source: str
    rows_min: int
    cost_ns: float
    state_bytes: int
    by_place: bool = False
    by_row: bool = False
    values: Literal["numbers", "losses", "errors"] = "numbers"


class Detector(Protocol):
    """What every method offers. Its constructor takes keyword parameters with defaults only.

    Where a method has a score, it also offers `score_many(values) -> float64[n]`, which scores the
    next values as `update_many` would see them and feeds them.
    """

    METHOD: ClassVar[Method]

    def update_many(self, values: Values) -> list[int]:
        """Feed the next values; indices of those at which something was found."""

    def snapshot(self) -> bytes:
        """The whole state: parameters, counters, checksum; no pickle."""

    def restore(self, sealed: bytes) -> None:
        """Go on from a snapshot.

        :raises ValueError: it is damaged, of another method, or of other parameters.
        """


def methods() -> dict[str, type[Detector]]:
    """Every detector by name: ours, and those that installed packages offer.

    A package offers one under the entry-point group `inferwatch.detectors`. Kernels are imported
    here, for numba takes time.

    :raises ConfigError: a package offers a name that is taken, or a class that cannot be loaded.
    """
    from inferwatch.detectors.adwin import Adwin
    from inferwatch.detectors.auto import Auto
    from inferwatch.detectors.cusum import CUSUM
    from inferwatch.detectors.ddm import DDM
    from inferwatch.detectors.eddm import EDDM
    from inferwatch.detectors.ewma import EWMA
    from inferwatch.detectors.ewma_residual import EWMAResidual
    from inferwatch.detectors.hddm_a import HDDMA
    from inferwatch.detectors.hddm_w import HDDMW
    from inferwatch.detectors.hst import HST
    from inferwatch.detectors.iqr import IQR
    from inferwatch.detectors.kswin import KSWIN
    from inferwatch.detectors.mad import MAD
    from inferwatch.detectors.page_hinkley import PageHinkley
    from inferwatch.detectors.seasonal import Seasonal
    from inferwatch.detectors.zscore import ZScore

    ours: list[type[Detector]] = [
        Adwin,
        Auto,
        CUSUM,
        DDM,
        EDDM,
        EWMA,
        EWMAResidual,
        HDDMA,
        HDDMW,
        HST,
        IQR,
        KSWIN,
        MAD,
        PageHinkley,
        Seasonal,
        ZScore,
    ]
    found = {one.METHOD.name: one for one in ours}
    for point in _offered():
        if point.name in found:
            fix = f"uninstall the package of {point.value}, or rename it there"
            raise ConfigError(f"the name {point.name} is taken", key=GROUP, fix=fix)
        try:
            found[point.name] = point.load()
        except (ImportError, AttributeError) as error:
            fix = f"mend or uninstall the package of {point.value}"
            raise ConfigError(f"{point.name}: {error}", key=GROUP, fix=fix) from None
    return found


@cache
def _offered() -> tuple[EntryPoint, ...]:
    """Looked up once a process, for it reads the metadata of every installed package."""
    return tuple(entry_points(group=GROUP))


def warm() -> None:
    """Compile the kernels of every detector, for float64 values, which is what checks feed.

    Cost: as much as that of the fold's own kernels (`kernels.warm`), nearly nothing the second
    time.
    """
    values = np.repeat([0.0, 1.0], 1_000)
    for name, made in methods().items():
        make(name).update_many(values[:, np.newaxis] if made.METHOD.by_row else values)


def make(name: str, **params: float | str) -> Detector:
    """A fresh detector; "auto-drift", the default for a stream of errors, is "adwin".

    :raises ConfigError: no such method, no such parameter, or a value out of its range.
    """
    known, (name, _) = methods(), DEFAULTS.get(name, (name, ""))
    if name not in known:
        raise ConfigError(
            f"no method {name}", key="method", fix=f"one of {', '.join(sorted(known))}"
        )
    takes = list(inspect.signature(known[name]).parameters)
    unknown = next((param for param in params if param not in takes), None)
    fix = f"it takes {', '.join(takes) or 'none'}"
    if unknown is not None:
        near = difflib.get_close_matches(unknown, takes, n=1)
        fix = f"did you mean {near[0]}? {fix}" if near else fix
        raise ConfigError(f"{name} has no parameter {unknown}", key="param", fix=fix)
    try:
        return known[name](**params)
    except TypeError as error:
        raise ConfigError(f"{name}: {error}", key="param", fix=fix) from None
