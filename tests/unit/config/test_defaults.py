"""The default set: it warns, never pages, and is what a file could say."""

import msgspec

from inferwatch.config import checks, document
from inferwatch.config.defaults import default_checks, default_definition
from inferwatch.core import soundness
from inferwatch.records.definition import Check, Limit


def test_none_of_it_pages():
    """Every alert is a warning; one is only observed."""
    assert all(check.fail is None and check.warn is not None for check in default_checks())
    assert all(check.default for check in default_checks())
    assert [check.alert for check in default_checks() if check.mode == "observe"] == [
        "FeatureShift"
    ]


def test_names_are_unique_and_windows_are_there():
    """It is a definition that the fold accepts."""
    definition = default_definition()
    assert soundness.problem(definition) == ""
    assert len({check.alert for check in definition.checks}) == len(definition.checks)


def limit(found: Limit) -> str:
    """A limit as a file writes it."""
    if found.calibrated:
        return "calibrated"
    value = f"{found.value * 100:g}%" if found.relative else f"{found.value:g}"
    return f"{{{found.direction}: {value}}}"


def written(check: Check) -> str:
    """The check as a file would have it."""
    lines = [f"alert: {check.alert}", f'metric: "{check.metric}"', f"method: {check.method}"]
    lines += [f"warn: {limit(check.warn)}", f"mode: {check.mode}"]
    if check.window:
        need = check.need
        when = f"rows: {need.rows}"
        if need.labels:
            when += f", labels: {need.labels}, coverage: {need.coverage}"
        lines += [f"window: {check.window}", f"when: {{{when}}}"]
        lines.append(f"times: {check.times[0]} of {check.times[1]}")
    if check.for_ms:
        lines.append(f"for: {check.for_ms}ms")
    return "\n".join(lines) + "\n"


def test_a_file_could_say_the_same():
    """Nothing in it is beyond the language of monitor files."""
    definition = default_definition()
    windows = {window.name: window for window in definition.windows}
    for check in definition.checks:
        parsed = checks.parse(document.parse(written(check), "f"), definition.model, windows)
        assert msgspec.structs.replace(parsed, default=True) == check


def test_each_call_gives_a_set_of_its_own():
    """What a caller changes in its copy changes nobody else's."""
    default_checks().clear()
    assert len(default_checks()) == 12
    assert default_definition() == default_definition()
    assert default_definition().checks is not default_definition().checks
