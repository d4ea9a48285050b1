"""From files that people write to the definitions that the fold reads."""
