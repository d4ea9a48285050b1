"""How kernels are compiled: cached on disk, divisions by zero as in numpy, strict order of sums.

No `fastmath`: it reassociates, and then the last bits differ between machines, where equal ids must
mean equal bytes. Numbers read from float32 arrays are made `float(...)` before arithmetic, because
Python without the compiler would go on in float32.

Compiled code lies beside the source, or under `NUMBA_CACHE_DIR`, or in the user's cache folder;
`inferwatch warmup` fills it. A `NUMBA_CACHE_DIR` that cannot be written, as in an image, is read:
numba itself would pass it over and compile at every start.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import numba
import numba.core.caching

F = TypeVar("F", bound=Callable[..., object])
settings: Any = numba.config
caching: Any = numba.core.caching


# numba carries no types, so that its classes are of any kind to mypy
class _ReadableFolder(caching.CompileResultCacheImpl._locator_classes[0]):  # type: ignore[misc]
    """`NUMBA_CACHE_DIR`, whether or not it can be written."""

    def ensure_cache_path(self) -> None:
        """numba tries to write here; nothing will be written."""


class _ReadableCode(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = [_ReadableFolder]


class _ReadOnlyCache(caching.FunctionCache):  # type: ignore[misc]
    """Compiled code that is loaded and never saved."""

    _impl_class = _ReadableCode

    def save_overload(self, sig: object, data: object) -> None:
        """What the folder lacks is compiled by each process for itself."""


def jit(function: F) -> F:
    """`function`, compiled for each set of argument types at its first call."""
    return _compiled(function, "never")


def inline(function: F) -> F:
    """`jit` for a part of kernels: its code becomes theirs.

    A call that is left a call costs some 10 ns where arrays are passed, and the compiler knows
    nothing of what is behind it.
    """
    return _compiled(function, "always")


def _compiled(function: F, inlined: Literal["never", "always"]) -> F:
    here = partial(numba.njit, nogil=True, error_model="numpy", inline=inlined)
    if _read_only(settings.CACHE_DIR) and not settings.DISABLE_JIT:
        compiled: Any = here(function)
        compiled._cache = _ReadOnlyCache(function)
        return cast(F, compiled)
    try:
        return cast(F, here(function, cache=True))
    except RuntimeError:  # no folder to write to: each process compiles for itself
        return cast(F, here(function))


def _read_only(folder: str) -> bool:
    return bool(folder) and Path(folder).is_dir() and not os.access(folder, os.W_OK)
