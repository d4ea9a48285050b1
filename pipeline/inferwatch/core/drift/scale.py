"""What a row detector is told about its stream, from the reference."""

import msgspec


class Scale(msgspec.Struct, frozen=True):
    """Range and level of the reference's values: detectors work on values scaled by them.

    `logarithms`: values are taken by their natural logarithm, and so are these. `learns`: nothing
    is known of the stream's own level, so that detectors that can learn it do.
    """

    low: float
    high: float
    mean: float
    sd: float
    logarithms: bool = False
    learns: bool = False


ERRORS = Scale(0.0, 1.0, 0.5, 0.5, learns=True)
"""0 for right, 1 for wrong, before a model has its own level."""
LATENCIES = Scale(-20.0, 30.0, 0.0, 1.0, logarithms=True, learns=True)
"""Logarithms of milliseconds; the reference has no latencies."""
