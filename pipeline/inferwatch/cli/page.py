"""A score as one HTML page that needs nothing from elsewhere: tables, and when each rule fired."""

from collections.abc import Iterator, Sequence
from html import escape

from inferwatch.cli.written import moment
from inferwatch.replay.recorded import Firing, Recorded, grouped
from inferwatch.replay.scoring import Judged, Outcome, Report

LEFT, WIDTH, ROW, INDENT = 360, 1_000, 22, 12
LETTERS_MAX = 52  # that fit beside the bars
LINES_MAX = 30
"""Of one rule; what fires beyond them, by then a storm, shares one more."""
STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; max-width: 1400px; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0 }
th, td { text-align: left; padding: .2em .8em; border-bottom: 1px solid #ddd }
svg { width: 100%; min-width: 1000px; font-size: 12px }
.axis { stroke: #bbb } .subject { fill: #555 }
.key span { padding: 0 .5em; margin: 0 .4em 0 1em }
"""
KEY = {
    "incident": ("#f7e7b2", "an incident"),
    "right": ("#2b7a4b", "fires: it began in one"),
    "early": ("#b8860b", "it began before one"),
    "false": ("#b3261e", "it touches none"),
}

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
Line = tuple[str, Sequence[Judged], int]
"""Its words, the firings on it, and how far it is indented."""


def page(run: Recorded, report: Report, tables: Sequence[Table]) -> str:
    """The page; `tables` are heads and cells, shown above a chart of each model."""
    firings = grouped(report.firings, lambda one: one.firing.model)
    incidents = grouped(report.incidents, lambda one: one.model)
    charts = [
        f"<h2>{escape(model)}</h2>\n"
        + _chart(span, run.rules[model], firings.get(model, []), incidents.get(model, []))
        for model, span in sorted(run.watched.items())
        if model in run.rules
    ]
    key = "".join(
        f'<span style="background: {color}"></span>{words}' for color, words in KEY.values()
    )
    fills = "".join(f".{kind} {{ fill: {color} }}\n" for kind, (color, _) in KEY.items())
    title = escape(f"Score of {run.folder}")
    return "\n".join(
        [
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"/><title>{title}</title>',
            f"<style>{STYLE}{fills}</style></head><body><h1>{title}</h1>",
            *(_table(heads, cells) for heads, cells in tables),
            f'<p class="key">{key}</p>',
            "<p>Bars are in the time of rows, delays in that of the log: what waits for labels "
            "is told later than its bar begins.</p>",
            *charts,
            "</body></html>\n",
        ]
    )


def _table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    rows = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in cells
    )
    return f"<table><tr>{head}</tr>\n{rows}</table>"


def _chart(
    span: tuple[int, int],
    alerts: Sequence[str],
    firings: Sequence[Judged],
    incidents: Sequence[Outcome],
) -> str:
    """Lines of rules; time goes from left to right over what was watched."""
    first_ms, last_ms = span
    lines = list(_lines(alerts, firings))
    height = ROW * len(lines)

    def bar(start_ms: int, end_ms: int | None, y: int, tall: int, kind: str, title: str) -> str:
        until_ms = last_ms if end_ms is None else end_ms
        # a window ends, and what it tells begins, behind the last row
        x, right = (_x(min(max(one, first_ms), last_ms), span) for one in (start_ms, until_ms))
        return (
            f'<rect class="{kind}" x="{x:.1f}" y="{y}" width="{max(3.0, right - x):.1f}" '
            f'height="{tall}"><title>{escape(title)}</title></rect>'
        )

    drawn = [
        bar(one.from_ms, one.to_ms, 0, height, "incident", one.name or one.place)
        for one in incidents
    ]
    for at, (words, mine, indent) in enumerate(lines):
        drawn.append(_label(words, ROW * at, indent))
        for one in mine:
            found = one.firing
            names = (found.alert, f"v{found.version}", found.feature, found.segment)
            title = " ".join([*filter(None, names), moment(found.at_ms)])
            y = ROW * at + 5
            drawn.append(bar(found.at_ms, found.end_ms, y, ROW - 10, one.outcome, title))
    drawn += [
        f'<text x="{LEFT + WIDTH * at / 4:.0f}" y="{height + 16}" text-anchor="middle">'
        f"{moment(first_ms + (last_ms - first_ms) * at // 4)}</text>"
        for at in range(5)
    ]
    box = f"0 0 {LEFT + WIDTH + 60} {height + 24}"
    return f'<svg viewBox="{box}" role="img">{"".join(drawn)}</svg>'


def _lines(alerts: Sequence[str], firings: Sequence[Judged]) -> Iterator[Line]:
    """A line a rule; under one that speaks of features, segments or several versions a line for
    each that fired, the first to fire first.
    """
    several = len({one.firing.version for one in firings}) > 1
    fired = grouped(firings, lambda one: one.firing.alert)
    for alert in alerts:
        subjects = grouped(fired.get(alert, []), lambda one: _subject(one.firing, several))
        yield alert, subjects.pop("", []), 0
        named = list(subjects.items())
        for words, mine in named[:LINES_MAX]:
            yield words, mine, INDENT
        rest = [one for _, mine in named[LINES_MAX:] for one in mine]
        if rest:
            yield f"{len(named) - LINES_MAX:,} more", rest, INDENT


def _subject(one: Firing, several: bool) -> str:
    """What of its rule fired: a feature, a segment, of several versions which."""
    return " ".join(filter(None, (one.feature, one.segment, f"v{one.version}" * several)))


def _label(words: str, y: int, indent: int) -> str:
    """The words left of a line, and the axis above it."""
    short = words if len(words) <= LETTERS_MAX else words[: LETTERS_MAX - 1] + "…"
    kind = ' class="subject"' if indent else ""
    said = f"{escape(short)}<title>{escape(words)}</title>"
    return (
        f'<text x="{indent}" y="{y + 15}"{kind}>{said}</text>'
        f'<line class="axis" x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}"/>'
    )


def _x(time_ms: int, span: tuple[int, int]) -> float:
    first_ms, last_ms = span
    return LEFT + WIDTH * (time_ms - first_ms) / max(1, last_ms - first_ms)
