"""How kernels are compiled: cached on disk, divisions by zero as in numpy, strict order of sums.

No `fastmath`: it reassociates, and then the last bits differ between machines, where equal ids must
mean equal bytes. Numbers read from float32 arrays are made `float(...)` before arithmetic, because
Python without the compiler would go on in float32.

Compiled code lies beside the source, or under `NUMBA_CACHE_DIR`, or in the user's cache folder;
`inferwatch warmup` fills it.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def jit(function: F) -> F:
    """`function`, compiled for each set of argument types at its first call."""
    try:
        return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:  # no folder to write to: each process compiles for itself
        return cast(F, numba.njit(nogil=True, error_model="numpy")(function))
