"""Rules scored by known incidents: what they found, how late, and what they cried for nothing.

An event is scored, not a point in time: an incident is found or not, however long either lasts.
A firing counts where it begins, for that is when somebody is told. So a rule that always fires
finds nothing, though its firings overlap every incident.

Sources: existence, without size and place, of Tatbul et al., "Precision and Recall for Time
Series", NeurIPS 2018, for recall; windows about anomalies, of which the first detection counts, of
Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms: the Numenta Anomaly Benchmark",
ICMLA 2015, without its weights.
"""

import fnmatch
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal

import msgspec

from inferwatch.config.document import meant
from inferwatch.config.incidents import Incident
from inferwatch.replay.recorded import Firing, Recorded, grouped

WEEK_MS = 604_800_000
FOREVER_MS = 1 << 62


class Case(msgspec.Struct, frozen=True):
    """One incident of one model: from `from_ms` until `end_ms` firings may begin in it."""

    model: str
    incident: Incident
    end_ms: int

    def concerns(self, one: Firing) -> bool:
        """Whether the firing is of its model and version, and of its segment or of all rows."""
        named = self.incident
        return (
            one.model == self.model
            and named.version in ("", one.version)
            and (named.segment in ("", one.segment) or not one.segment)
        )

    def holds(self, one: Firing) -> bool:
        """Whether some of what the firing was judged by lies in it."""
        seen_ms = max(one.at_ms, one.began_ms + 1)
        return self.incident.from_ms < seen_ms and one.began_ms < self.end_ms

    def begins_during(self, one: Firing) -> bool:
        """Whether it begins while the firing lasts, which began before it."""
        lasts = one.end_ms is None or one.end_ms > self.incident.from_ms
        return one.at_ms <= self.incident.from_ms and lasts and not self.holds(one)


class Judged(msgspec.Struct, frozen=True):
    """A firing and what it was: `right` begins in an incident, `early` before one into which it
    lasts, `false` touches none.
    """

    firing: Firing
    outcome: Literal["right", "early", "false"]


class Score(msgspec.Struct, kw_only=True):
    """What one rule of one model did; both are "" for all rules that tell people, together.

    `incidents = found + already + missed`: found is one in which a firing begins, already one at
    whose beginning the rule had been firing. `firings = right + early + false`: right begins in an
    incident, early before one into which it lasts, false touches none. Delays are from the
    beginning of an incident to when its first firing was told. `quiet_ms` is the watched time
    outside incidents, over which `false_per_week` is counted. None where there is nothing to count.
    """

    alert: str
    model: str
    observed: bool = False
    incidents: int
    found: int
    already: int
    missed: int
    recall: float | None
    delay_median_ms: int | None
    delay_worst_ms: int | None
    firings: int
    right: int
    early: int
    false: int
    precision: float | None
    quiet_ms: int
    false_per_week: float | None
    unjudged: str = ""


class Found(msgspec.Struct):
    """Which rule found an incident, and how long after its beginning."""

    alert: str
    delay_ms: int


class Outcome(msgspec.Struct, kw_only=True):
    """What became of one incident of one model; the earliest rule first."""

    place: str
    name: str
    model: str
    from_ms: int
    to_ms: int | None
    found: list[Found]
    already: list[str]


class Report(msgspec.Struct):
    """`left_out` says, by place in the file, why incidents were not scored."""

    rules: list[Score]
    together: Score
    incidents: list[Outcome]
    firings: list[Judged]
    left_out: dict[str, str]


def score(run: Recorded, incidents: Sequence[Incident], grace_ms: int = 0) -> Report:
    """Score every rule of every model. Cost: of each model incidents × firings.

    :param grace_ms: how long after the end of an incident a firing may still be of it.
    """
    cases, left_out = _cases(run, incidents, grace_ms)
    near = grouped(cases, lambda case: case.model)
    judged = [Judged(one, _outcome_of(one, near.get(one.model, []))) for one in run.firings]
    by_rule = grouped(judged, lambda one: one.firing.rule())
    rules = [
        _of_rule(run, model, alert, by_rule.get((model, alert), []), near.get(model, []))
        for model, alerts in run.rules.items()
        for alert in alerts
    ]
    told = [one for one in judged if not one.firing.observed]
    quiet_ms = sum(_quiet_ms(run, model, near.get(model, [])) for model in run.rules)
    together = _score("", "", told, cases, quiet_ms)
    fired = grouped(run.firings, Firing.rule)
    outcomes = [
        _outcome(
            case, {alert: fired.get((case.model, alert), []) for alert in run.rules[case.model]}
        )
        for case in cases
    ]
    return Report(rules, together, outcomes, judged, left_out)


def _cases(
    run: Recorded, incidents: Sequence[Incident], grace_ms: int
) -> tuple[list[Case], dict[str, str]]:
    cases: list[Case] = []
    left_out = {}
    for one in incidents:
        end_ms = FOREVER_MS if one.to_ms is None else one.to_ms + grace_ms
        models = [name for name in run.rules if fnmatch.fnmatchcase(name, one.model)]
        served = [name for name in models if one.version in ("", *run.versions.get(name, ()))]
        seen = [name for name in served if _overlaps(run.watched.get(name), one)]
        cases += [Case(name, one, end_ms) for name in seen]
        if not models:
            near = meant(one.model, run.rules)
            left_out[one.place] = _said(f"'{one.model}' is no model of {run.folder}", near)
        elif not served:
            versions = sorted({each for name in models for each in run.versions.get(name, ())})
            why = f"no window of {run.folder} is of version '{one.version}'"
            left_out[one.place] = _said(why, meant(one.version, versions))
        elif not seen:
            left_out[one.place] = f"lies outside of what {run.folder} watched"
    return cases, left_out


def _said(why: str, near: str) -> str:
    """With the name that is like it, where there is one."""
    return f"{why} ({near.strip()})" if near else why


def unknown_segments(run: Recorded, incidents: Sequence[Incident]) -> dict[str, str]:
    """By place, why no firing of a segment can be of an incident that names one."""
    found = {}
    for one in incidents:
        models = [name for name in run.rules if fnmatch.fnmatchcase(name, one.model)]
        segments = {each for name in models for each in run.segments.get(name, ())}
        if one.segment and one.segment not in segments:
            why = f"no window of {run.folder} is of segment '{one.segment}'"
            found[one.place] = _said(why, meant(one.segment, sorted(segments)))
    return found


def unasked(run: Recorded, incidents: Sequence[Incident]) -> dict[str, str]:
    """By place, the alerts that incidents ask for and none of their models has."""

    def has(model: str, one: Incident) -> bool:
        mine = run.rules[model] if fnmatch.fnmatchcase(model, one.model) else []
        return any(fnmatch.fnmatchcase(alert, one.alert) for alert in mine)

    return {
        one.place: one.alert
        for one in incidents
        if one.alert != "*" and not any(has(model, one) for model in run.rules)
    }


def _overlaps(watched: tuple[int, int] | None, one: Incident) -> bool:
    if watched is None:
        return False
    return one.from_ms <= watched[1] and (one.to_ms is None or watched[0] < one.to_ms)


def _of_rule(
    run: Recorded, model: str, alert: str, judged: Sequence[Judged], cases: Sequence[Case]
) -> Score:
    asked = [case for case in cases if fnmatch.fnmatchcase(alert, case.incident.alert)]
    found = _score(alert, model, judged, asked, _quiet_ms(run, model, cases))
    found.observed = any(one.firing.observed for one in judged)
    found.unjudged = run.unjudged.get(model, {}).get(alert, "")
    return found


def _score(
    alert: str, model: str, judged: Sequence[Judged], asked: Sequence[Case], quiet_ms: int
) -> Score:
    """`asked` are the cases that should be found."""
    fired = grouped((one.firing for one in judged), lambda one: one.model)
    delays_ms, already = [], 0
    for case in asked:
        delay_ms = _delay_ms(case, fired.get(case.model, []))
        if delay_ms is not None:
            delays_ms.append(delay_ms)
        else:
            already += _already(case, fired.get(case.model, []))
    outcomes = [one.outcome for one in judged]
    right, false = outcomes.count("right"), outcomes.count("false")
    return Score(
        alert=alert,
        model=model,
        incidents=len(asked),
        found=len(delays_ms),
        already=already,
        missed=len(asked) - len(delays_ms) - already,
        recall=len(delays_ms) / len(asked) if asked else None,
        delay_median_ms=round(median(delays_ms)) if delays_ms else None,
        delay_worst_ms=max(delays_ms, default=None),
        firings=len(judged),
        right=right,
        early=outcomes.count("early"),
        false=false,
        precision=right / len(judged) if judged else None,
        quiet_ms=quiet_ms,
        false_per_week=false * WEEK_MS / quiet_ms if quiet_ms else None,
    )


def _outcome_of(one: Firing, cases: Sequence[Case]) -> Literal["right", "early", "false"]:
    near = [case for case in cases if case.concerns(one)]
    if any(case.holds(one) for case in near):
        return "right"
    return "early" if any(case.begins_during(one) for case in near) else "false"


def _delay_ms(case: Case, firings: Sequence[Firing]) -> int | None:
    """From the incident's beginning to when the first firing in it was told."""
    told_ms = [one.told_ms for one in firings if case.concerns(one) and case.holds(one)]
    return min(told_ms) - case.incident.from_ms if told_ms else None


def _already(case: Case, firings: Sequence[Firing]) -> bool:
    return any(case.concerns(one) and case.begins_during(one) for one in firings)


def _quiet_ms(run: Recorded, model: str, cases: Sequence[Case]) -> int:
    """Watched time of a model outside its `cases`; one of a version or segment leaves the time of
    the others quiet.
    """
    reached_ms, last_ms = run.watched.get(model, (0, 0))
    quiet_ms = 0
    whole = [case for case in cases if not case.incident.version and not case.incident.segment]
    for case in sorted(whole, key=lambda case: case.incident.from_ms):
        quiet_ms += max(0, min(case.incident.from_ms, last_ms) - reached_ms)
        reached_ms = max(reached_ms, case.end_ms)
    return quiet_ms + max(0, last_ms - reached_ms)


def _outcome(case: Case, fired: Mapping[str, Sequence[Firing]]) -> Outcome:
    """`fired` are the firings of the model by alert."""
    found, already = [], []
    for alert, firings in fired.items():
        delay_ms = _delay_ms(case, firings)
        if delay_ms is not None:
            found.append(Found(alert, delay_ms))
        elif _already(case, firings):
            already.append(alert)
    return Outcome(
        place=case.incident.place,
        name=case.incident.name,
        model=case.model,
        from_ms=case.incident.from_ms,
        to_ms=case.incident.to_ms,
        found=sorted(found, key=lambda one: (one.delay_ms, one.alert)),
        already=already,
    )
