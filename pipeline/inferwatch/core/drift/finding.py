"""What an online detector says about one row."""

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """The level changed at `row` (zero-based in the values given), from `before` to `after`."""

    row: int
    before: float
    after: float

    @property
    def direction(self) -> str:
        """ "up" or "down"."""
        return "up" if self.after >= self.before else "down"
