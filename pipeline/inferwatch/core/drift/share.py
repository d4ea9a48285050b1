"""Share of the features that drifted, among those that could be judged."""

from collections.abc import Mapping

from inferwatch.core.figure import Figure


def drift_share(flags: Mapping[str, bool | None]) -> Figure:
    """`flags` by feature; None is a feature that could not be judged."""
    judged = [flag for flag in flags.values() if flag is not None]
    if not judged:
        return Figure(None, unknown="no feature could be judged")
    return Figure(sum(judged) / len(judged), len(judged))
