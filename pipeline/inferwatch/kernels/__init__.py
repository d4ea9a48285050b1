"""The hot loops: plain Python over arrays and numbers, compiled by numba. One file a method.

Only what compiles lives here: no objects, no strings, arrays in and out, state in arrays that the
caller owns and snapshots as bytes. With `NUMBA_DISABLE_JIT=1` the same code runs as Python and
gives the same bits.
"""
