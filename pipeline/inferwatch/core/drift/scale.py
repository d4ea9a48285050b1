"""What a row detector is told about its stream, from the reference."""

import msgspec


class Scale(msgspec.Struct, frozen=True):
    """Range and level of the reference's values: detectors work on values scaled by them."""

    low: float
    high: float
    mean: float
    sd: float


ERRORS = Scale(0.0, 1.0, 0.5, 0.5)  # 0 for right, 1 for wrong, before a model has its own level
