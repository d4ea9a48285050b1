"""Historical topics and tables through the same fold as live traffic, for backtests and proofs."""
