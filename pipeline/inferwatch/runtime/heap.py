"""glibc's heap, told to keep what it has: else it gives its top back and faults it in with every
batch, at some microseconds a page.

The image sets the same by environment, which acts from the first allocation on. Its first part is
asked to lie in huge pages as well: a fold goes through megabytes, and on a virtual machine each
small page is looked up in two tables. That was worth some 4 % of a worker's CPU. Threads have no
heaps of their own, or what a fetch brings would lie in small pages.
"""

import ctypes
import os
from collections.abc import Mapping
from typing import Any

OPTIONS = {  # the variable, mallopt's number of it, and the value: bytes, or a count
    "MALLOC_TRIM_THRESHOLD_": (-1, 1 << 30),
    "MALLOC_TOP_PAD_": (-2, 64 << 20),
    "MALLOC_MMAP_THRESHOLD_": (-3, 1 << 30),
    "MALLOC_ARENA_MAX": (-8, 1),
}
ROOM_BYTES = 256 << 20
PAGE_BYTES = 2 << 20
MADV_HUGEPAGE = 14


def keep(environment: Mapping[str, str] = os.environ) -> str:
    """Set what the environment does not; says in a word or two how the heap is now.

    To be called first of all: what has been allocated stays in small pages, and a thread that has a
    heap of its own keeps it. Where the allocator is not glibc's, nothing is changed.
    """
    missing = [option for name, option in OPTIONS.items() if name not in environment]
    try:
        libc = ctypes.CDLL(None)
        mallopt, madvise = libc.mallopt, libc.madvise
    except (AttributeError, OSError):
        return "the allocator's"
    if not all(mallopt(number, value) for number, value in missing):
        return "glibc's"
    said = "kept" if missing else "kept (environment)"
    return f"{said}, in huge pages" if _in_huge_pages(libc, madvise) else said


def _in_huge_pages(libc: ctypes.CDLL, madvise: Any) -> bool:
    """Stretch the heap over 256 MB more, none of which is memory before it is used, and advise the
    system to give them in pages of 2 MB; it may have none.
    """
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    room = libc.malloc(ROOM_BYTES)
    if room is None:
        return False
    libc.free(room)
    first = -(-room // PAGE_BYTES) * PAGE_BYTES
    return bool(madvise(first, ROOM_BYTES - PAGE_BYTES, MADV_HUGEPAGE) == 0)
