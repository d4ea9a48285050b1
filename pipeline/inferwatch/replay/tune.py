"""One check under several limits at once: copies of it, folded beside it, each an alert of its own.

The fold judges them, so `times`, `for`, `clear` and labels that come late mean what they mean live.
"""

import fnmatch
from collections.abc import Sequence

import msgspec
from ruamel.yaml.comments import CommentedMap

from inferwatch.config import limits
from inferwatch.config.document import Node
from inferwatch.config.incidents import Incident
from inferwatch.core import soundness
from inferwatch.errors import ConfigError, UsageError
from inferwatch.records.definition import Check, Definition, Limit, Profile
from inferwatch.replay import scoring
from inferwatch.replay.recorded import Recorded
from inferwatch.replay.scoring import Report, Score


class Tried(msgspec.Struct):
    """What the check did under one limit, "" for its own."""

    limit: str
    score: Score


def tuned(definition: Definition, alert: str, tried: Sequence[str]) -> Definition:
    """The definition, and behind its checks a copy of the one named `alert` for each limit.

    A copy has one level: `fail` where the check has one, else `warn`. Its `clear` keeps its share
    of the limit, or, beside a limit of 0, its distance from it. Without such a check the definition
    is the same.

    :raises UsageError: the check has no limit, one of those is none for it, or a copy would be
        called as another check is.
    """
    names = {check.alert for check in definition.checks}
    copies = [
        _copy(check, text, definition.reference.profile)
        for check in definition.checks
        if check.alert == alert
        for text in tried
    ]
    for copy in copies:
        if copy.alert in names:
            raise UsageError(f"--limits: there is an alert '{copy.alert}' already; rename it")
    found = msgspec.structs.replace(definition, checks=[*definition.checks, *copies])
    wrong = soundness.problem(found)
    if wrong:
        raise UsageError(f"--limits: {wrong}")
    return found


def _copy(check: Check, text: str, profile: Profile | None) -> Check:
    own = check.fail or check.warn
    if own is None:
        raise UsageError(f"{check.alert} has no limit to try others in the place of")
    found = _limit(check, own, text, profile)
    kept = {"fail": found, "warn": None} if check.fail else {"fail": None, "warn": found}
    return msgspec.structs.replace(check, alert=_name(check.alert, text), **kept)


def _name(alert: str, text: str) -> str:
    return f"{alert} {text}" if text else alert


def _limit(check: Check, own: Limit, text: str, profile: Profile | None) -> Limit:
    """What a monitor file with `text` as its limit would say, refused where that is."""
    written: dict[str, str] = {own.direction: text}
    try:
        found = _read(check, written, profile)
        if own.clear == own.value:
            return found
        clear = found.value * own.clear / own.value if own.value else found.value + own.clear
        written["clear"] = f"{clear * 100!r}%" if found.relative else repr(clear)
        return _read(check, written, profile)
    except ConfigError as error:
        fix = f" ({error.fix})" if error.fix else ""
        raise UsageError(f"--limits {text}: {error.problem}{fix}") from None


def _read(check: Check, written: dict[str, str], profile: Profile | None) -> Limit:
    node = Node(CommentedMap(written), "", 0, "")
    return limits.read(node, check.metric, check.method, profile, versus=bool(check.versus))


def score(run: Recorded, alert: str, incidents: Sequence[Incident], grace_ms: int) -> Report:
    """What `scoring.score` says where an incident that asks for the check asks for its copies."""
    asked = [
        msgspec.structs.replace(one, alert="*" if fnmatch.fnmatchcase(alert, one.alert) else "")
        for one in incidents
    ]
    return scoring.score(run, asked, grace_ms)


def rows(report: Report, alert: str, tried: Sequence[str]) -> list[Tried]:
    """The check's own limit, then those tried, by model."""
    scores = {(one.model, one.alert): one for one in report.rules}
    found = [
        (text, scores.get((model, _name(alert, text))))
        for model in dict.fromkeys(one.model for one in report.rules)
        for text in ("", *tried)
    ]
    return [Tried(text, one) for text, one in found if one is not None]
