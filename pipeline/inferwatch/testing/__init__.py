"""Tools to test what you build on inferwatch; our own tests use the same."""
