"""Faust lives here and only here: the worker and the notifier, and what keeps them honest."""
