"""Checks that nothing was ever judged by, and why: a silence that proves nothing."""

from inferwatch.config.document import meant
from inferwatch.core import alerts
from inferwatch.core.drift import reads_rows
from inferwatch.core.metrics import on_labels
from inferwatch.core.model import ModelState
from inferwatch.core.rules import feature_of
from inferwatch.records.definition import Check


def reasons(state: ModelState, version: str | None = None) -> dict[str, str]:
    """By alert, in the order of the file. A check on silence waits for no window, so it is none.

    Of one version that the state keeps; without it of all that there were, and where some of them
    are retired only features that no row had are told. Of a model at work `dump_detectors` comes
    first.
    """
    found = {
        check.alert: _why(state, check, version)
        for check in state.definition.checks
        if check.method != "absent"
    }
    return {alert: why for alert, why in found.items() if why}


def _why(state: ModelState, check: Check, version: str | None) -> str:
    """ "" for a check that some window, or some row, was judged by."""
    if check.metric.startswith("feature."):
        name = feature_of(check.metric)
        known = [*state.columns.numeric, *state.columns.categories]
        if name not in ("*", *known):
            return f"no feature '{name}'; {meant(name, known)}".rstrip("; ")
    if version is None and state.retired:  # what their checks saw went with them
        return ""
    if reads_rows(check.method, check.metric):
        made = any(alerts.is_of(key, check.alert, version) for key in state.detectors)
        return "" if made else "no number that it reads, or no reference yet"
    mine = [one for key, one in state.instances.items() if alerts.is_of(key, check.alert, version)]
    if any(not one.blind for one in mine):
        return ""
    if mine:
        return mine[-1].blind
    if on_labels(check.metric):
        return "no window has the labels it asks for, or has waited for them long enough"
    return "no window has closed yet, or none with its feature or segment"
