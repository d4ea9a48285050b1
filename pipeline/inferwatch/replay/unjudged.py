"""Checks that a replay has never judged, and why: a silence that proves nothing."""

from inferwatch.config.document import meant
from inferwatch.core import alerts
from inferwatch.core.drift import reads_rows
from inferwatch.core.metrics import on_labels
from inferwatch.core.model import Model
from inferwatch.core.rules import feature_of
from inferwatch.records.definition import Check


def reasons(model: Model) -> dict[str, str]:
    """By alert, in the order of the file. A check on silence waits for no window, so it is none.

    Of a model with retired versions only features that no row had are told.
    """
    found = {
        check.alert: _why(model, check)
        for check in model.definition.checks
        if check.method != "absent"
    }
    return {alert: why for alert, why in found.items() if why}


def _why(model: Model, check: Check) -> str:
    """ "" for a check that some window, or some row, was judged by."""
    if check.metric.startswith("feature."):
        name = feature_of(check.metric)
        known = [*model.state.columns.numeric, *model.state.columns.categories]
        if name not in ("*", *known):
            return f"no feature '{name}'; {meant(name, known)}".rstrip("; ")
    if model.state.retired:  # what their checks saw went with them
        return ""
    if reads_rows(check.method, check.metric):
        made = any(alerts.alert_of(key) == check.alert for key in model.detectors)
        return "" if made else "no number that it reads, or no reference yet"
    mine = [one for one in model.state.instances.values() if one.alert == check.alert]
    if any(not one.blind for one in mine):
        return ""
    if mine:
        return mine[0].blind
    if on_labels(check.metric):
        return "no window has the labels it asks for, or has waited for them long enough"
    return "no window, feature or segment to look at"
