"""Has the input changed? By window against a reference, and online, row by row."""
