"""glibc's heap, told to keep what it has: else it gives its top back and faults it in with every
batch, at some microseconds a page.

The image sets the same by environment, which acts from the first allocation on.
"""

import ctypes
import os
from collections.abc import Mapping

OPTIONS = {  # the variable, mallopt's number of it, and the value in bytes
    "MALLOC_TRIM_THRESHOLD_": (-1, 1 << 30),
    "MALLOC_TOP_PAD_": (-2, 64 << 20),
    "MALLOC_MMAP_THRESHOLD_": (-3, 1 << 30),
}


def keep(environment: Mapping[str, str] = os.environ) -> str:
    """Set what the environment does not; says in a word or two how the heap is now.

    Where the allocator is not glibc's, nothing is changed.
    """
    missing = [option for name, option in OPTIONS.items() if name not in environment]
    if not missing:
        return "kept (environment)"
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return "the allocator's"
    return "kept" if all(mallopt(number, value) for number, value in missing) else "glibc's"
