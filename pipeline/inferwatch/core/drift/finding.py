"""What an online detector says about one row."""

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """The level changed at `row` (zero-based in the values given), from `before` to `after`.

    `rise` is what the detector says of the direction, where it says any: `after` is of few rows.
    """

    row: int
    before: float
    after: float
    rise: bool | None = None

    @property
    def direction(self) -> str:
        """ "up" or "down"."""
        rise = self.after >= self.before if self.rise is None else self.rise
        return "up" if rise else "down"
