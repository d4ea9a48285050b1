"""Summaries that merge: moments, counts on fixed bins, log-spaced counts, scores by label."""
