"""docs/*.md say what the code does: what they show runs, what they list is what there is."""

import ast
import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from inferwatch.cli.main import COMMANDS, main, parser
from inferwatch.config import checks, document, incidents, limits, mapping, monitors
from inferwatch.config.defaults import default_definition
from inferwatch.core.anomaly import SERIES_METHODS
from inferwatch.core.drift import EMBEDDING_METHODS, ROW_METHODS, WINDOW_METHODS
from inferwatch.core.metrics import CLASS_FIGURES, LABEL_METRICS
from inferwatch.core.output import ERROR_HEADERS, dead_output
from inferwatch.errors import ConfigError, Exit, Reason
from inferwatch.notify import channel_file
from inferwatch.records.definition import Check
from inferwatch.records.raw import RawRecord, Reject
from inferwatch.replay import table
from inferwatch.replay.driver import Summary
from inferwatch.replay.scoring import Score
from inferwatch.runtime import letters, topics
from inferwatch.sdk import Drop, Monitor
from inferwatch.sdk import monitor as monitor_module

ROOT = Path(__file__).parent.parent
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("docs/*.md"))}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADER = 'apiVersion: inferwatch/v1\nmatch: {model: "team/model"}\n'


def blocks(language: str) -> list[Any]:
    """Fenced blocks of a language on all pages, each under its page's name."""
    return [
        pytest.param(text, id=f"{page}-{number}")
        for page, whole in PAGES.items()
        for number, (name, text) in enumerate(FENCED.findall(whole))
        if name == language
    ]


def section(page: str, title: str) -> str:
    """The text below a heading, up to the next one of the same depth or above."""
    depth = title.split(" ")[0]
    _, _, after = PAGES[page].partition(f"\n{title}\n")
    assert after, f"{page} has no heading '{title}'"
    return re.split(rf"^#{{1,{len(depth)}}} ", after, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """Cells of the lines of all tables in `text`, heads and rulers left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = [at - 1 for at, line in enumerate(lines) if line.startswith("|--")]
    kept = [line for at, line in enumerate(lines) if at not in heads and line[:3] != "|--"]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in kept]


def words(cell: str) -> list[str]:
    """What a cell names in code font."""
    return re.findall(r"`([^`]+)`", cell)


def firsts(text: str) -> list[str]:
    """Names in the first column of the tables in `text`."""
    return [name for cells in rows(text) for name in words(cells[0])]


def test_a_block_or_a_page_with_a_mistake_would_be_seen():
    """The readers above find what they are for: blocks, sections and tables of each page."""
    assert {language for page in PAGES.values() for language, _ in FENCED.findall(page)} >= {
        *("", "python", "yaml")
    }
    assert rows("| a | b |\n|--|--|\n| `x` `y` | 1 \\| 2 |\n") == [["`x` `y`", "1 \\| 2"]]
    assert firsts("| a |\n|--|\n| `x` `y` |\n") == ["x", "y"]


@pytest.mark.parametrize(
    "line",
    [
        line
        for text in PAGES.values()
        for language, block in FENCED.findall(text)
        for line in block.splitlines()
        if not language and line.startswith("inferwatch ")
    ],
)
def test_a_shown_command_line_is_understood(line):
    """Every command and option shown is one that the parser knows."""
    given = shlex.split(line, comments=True)[1:]
    parsed = parser([given[0]]).parse_args(given)
    assert parsed.command in COMMANDS


@pytest.mark.parametrize("text", blocks("yaml"))
def test_a_shown_file_loads(text, tmp_path):
    """Monitor files, parts of them, mapping, incident and channels files are accepted as they
    stand.
    """
    path = tmp_path / "shown.yaml"
    keys = set(document.parse(text, "shown").entries())
    if keys == {"notify"}:
        for name in re.findall(r"secret_file: (\S+)", text):
            (tmp_path / name).write_text("whsec_" + "A" * 32)
        path.write_text(text)
        assert channel_file.load(path)
    elif keys == {"incidents"}:
        path.write_text(text)
        assert incidents.read(path)
    elif "prediction_id" in keys:
        path.write_text(text)
        assert mapping.read(path).model
    else:
        path.write_text(text if "apiVersion" in keys else HEADER + text)
        assert monitors.load([path])


@pytest.mark.parametrize("code", blocks("python"))
def test_shown_code_compiles_and_imports_what_there_is(code):
    """No block names a module or a name that is gone."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module or "")
            for name in node.names:
                assert hasattr(module, name.name) or importlib.import_module(
                    f"{node.module}.{name.name}"
                )
        elif isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)


class Wire:
    """Stands where the transport stands, and sends when it is woken."""

    def __init__(self) -> None:
        self.emitters: list[Any] = []

    def attach(self, emitter: Any) -> None:
        self.emitters.append(emitter)

    def wake(self) -> None:
        for emitter in self.emitters:
            emitter.buffer.seal()
            while emitter.send_next(lambda key, value, headers, report: report(None)):
                pass


def test_the_sdks_page_runs_from_top_to_bottom(monkeypatch):
    """Its blocks are one program, in which no row is dropped."""
    wire = Wire()
    monkeypatch.setattr(monitor_module, "transport", lambda connection: wire)
    monkeypatch.setenv("INFERWATCH_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("INFERWATCH_HASH_KEY", "key")
    monkeypatch.delenv("INFERWATCH_DISABLED", raising=False)
    names: dict[str, Any] = {}
    for language, code in FENCED.findall(PAGES["sdk.md"]):
        if language == "python":
            exec(code, names)  # the page's own lines
    made = [value for value in names.values() if isinstance(value, Monitor)]
    assert len(made) == 2
    assert all(not monitor.counters.dropped for monitor in made)
    assert names["monitor"].counters.delivered == 13


def test_anchors_lead_to_headings():
    """A link to a section names a heading that is there."""
    found = {
        name: {
            re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
            for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        }
        for name, text in PAGES.items()
    }
    for name, text in PAGES.items():
        for page, anchor in re.findall(r"\]\(([\w.]*)#([^)]+)\)", text):
            assert anchor in found[page or name], f"{name}: {page}#{anchor}"


def test_every_row_of_a_table_stands_below_its_head():
    """A blank line in between makes a paragraph of bars of it."""
    for name, text in PAGES.items():
        lines = FENCED.sub("", text).splitlines()
        for above, line, below in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
            if line.startswith("|") and not above.startswith("|"):
                assert below.startswith("|--"), f"{name}: no head above '{line[:60]}'"


# ── sdk.md ───────────────────────────────────────────────────────────────────────────────────────


def test_every_reason_of_a_drop_is_listed():
    """The table of reasons is the SDK's closed list."""
    assert firsts(section("sdk.md", "## Counters")) == [reason.value for reason in Drop]


def test_every_variable_that_the_sdk_reads_is_listed():
    """The table of the environment names what the SDK's sources name."""
    sources = [*(ROOT / "pipeline/inferwatch/sdk").glob("*.py")]
    sources.append(ROOT / "pipeline/inferwatch/connection.py")
    read = {
        name
        for path in sources
        for name in re.findall(r"INFERWATCH_[A-Z_]+[A-Z]", path.read_text())
    }
    read.add("INFERWATCH_HASH_KEY_FILE")
    assert set(firsts(section("sdk.md", "## Environment"))) == read


def test_the_defaults_of_a_monitor_are_those_named():
    """Buffer bounds and batch sizes in the text are the code's."""
    from inspect import signature

    from inferwatch.sdk import buffer, emitter, sampling, transport

    given = signature(Monitor).parameters
    assert given["buffer_rows"].default == 100_000
    assert given["buffer_bytes"].default == 64 << 20
    assert (buffer.BATCH_ROWS_MAX, emitter.BATCH_BYTES_MAX) == (500, 192 << 10)
    assert transport.SETTINGS["message.timeout.ms"] == 30_000
    assert transport.SETTINGS["queue.buffering.max.kbytes"] == 16 << 10
    assert transport.EXIT_TIMEOUT_S == 2.0
    assert sampling.EVERY_S == 10.0
    for said in ("100,000", "64 MiB", "500 rows", "192 KiB", "30 s", "16 MiB", "two seconds"):
        assert said in PAGES["sdk.md"]


# ── monitors.md ──────────────────────────────────────────────────────────────────────────────────


def test_every_key_of_a_monitor_file_is_listed():
    """Top level, `model`, `checks`: the tables name each key, and no other."""
    top = PAGES["monitors.md"].split("\n## ")[0]
    assert firsts(top) == list(monitors.KEYS)
    assert firsts(section("monitors.md", "## `model`")) == monitors.MODEL_KEYS
    whole = section("monitors.md", "## `checks`").split("\n### ")[0]
    assert firsts(whole) == checks.KEYS


def test_the_defaults_of_the_model_block_are_those_listed():
    """A file without `model` behaves as the table says."""
    defaults = {
        cells[0].strip("`"): cells[1] for cells in rows(section("monitors.md", "## `model`"))
    }
    facts = monitors._facts(None)
    assert defaults["label_delay"] == "`1d`" and facts.label_delay_ms == 86_400_000
    assert defaults["segments_max"] == f"`{facts.segments_max}`"
    assert defaults["segments_min_rows"] == f"`{facts.floor_rows()}`"
    assert defaults["score_bins"] == f"`{facts.bins()}`"
    assert defaults["pending_max"] == "`64MiB`" and facts.pending_max_bytes == 64 << 20
    assert defaults["restate_every"] == "`5m`" and facts.restate_every_ms == 300_000
    assert defaults["positive"] == f"`{facts.positive}`"


def test_every_method_is_listed():
    """The table of methods has each, and the metrics that it takes."""
    listed = rows(section("monitors.md", "### Methods and metrics"))
    methods = [name for cells in listed if len(cells) == 3 for name in words(cells[0])]
    assert sorted(methods) == sorted(checks.METHODS)
    assert set(methods) > {*WINDOW_METHODS, *EMBEDDING_METHODS, *ROW_METHODS, *SERIES_METHODS}


def test_every_metric_is_listed():
    """Both tables of metrics together are all that a check may name."""
    listed = rows(section("monitors.md", "### Methods and metrics"))
    named = [name for cells in listed if len(cells) == 2 for name in words(cells[0])]
    of_one = ("feature.", "class.")
    assert sorted(name for name in named if not name.startswith(of_one)) == sorted(checks.PLAIN)
    classes = [name.removeprefix("class.NAME.") for name in named if name.startswith("class.")]
    assert sorted(classes) == sorted(CLASS_FIGURES)
    parts = [name.removeprefix("feature.NAME.") for name in named if name.startswith("feature.")]
    assert sorted(parts) == sorted(checks.PARTS)


def test_the_tasks_of_metrics_on_labels_are_those_listed():
    """Each label metric stands in the line of its tasks."""
    listed = rows(section("monitors.md", "### Methods and metrics"))
    found = {
        name: tuple(task.strip() for task in cells[1].split(","))
        for cells in listed
        if len(cells) == 2 and words(cells[0])[0] in LABEL_METRICS
        for name in words(cells[0])
    }
    assert found == {name: metric.tasks for name, metric in LABEL_METRICS.items()}


def test_shares_are_those_listed():
    """The sentence that names what is no share names all of it."""
    _, _, after = PAGES["monitors.md"].partition("all of these but ")
    excluded = words(after.split(".\n")[0])
    plain = {name for name in checks.PLAIN if name not in limits.RATIOS}
    for name in plain:
        assert name in excluded or f"{name.split('.')[0]}.*" in excluded
    assert not any(name in limits.RATIOS for name in excluded)


def needs(check: Check) -> str:
    """ "200 labels, 80% coverage" of a check."""
    need = check.need
    found = [f"{need.rows:,} rows"] if need.rows > 1 else []
    found += [f"{need.labels:,} labels"] if need.labels else []
    found += [f"{need.coverage:.0%} coverage"] if need.coverage else []
    return ", ".join(found)


def warns(check: Check) -> str:
    """ "above 0.25" of a check."""
    assert check.warn is not None and check.fail is None
    if check.method == "absent":
        return f"after {check.for_ms // 60_000}m"
    if check.method in ROW_METHODS:
        return "a change"
    if check.warn.calibrated:
        return "calibrated"
    value = f"{check.warn.value:.0%}" if check.warn.relative else f"{check.warn.value:g}"
    return f"{check.warn.direction} {value}"


def test_the_default_set_is_the_one_listed():
    """config/defaults.py, check by check: none pages, and nothing else is there."""
    expected = []
    for check in default_definition().checks:
        more = [f"{check.times[0]} of {check.times[1]}"] if check.times != (1, 1) else []
        more += ["observe"] if check.mode == "observe" else []
        window = f"`{check.window}`" if check.window else ""
        expected.append(
            [
                f"`{check.alert}`",
                f"`{check.metric}`",
                f"`{check.method}`",
                window,
                needs(check),
                warns(check),
                ", ".join(more),
            ]
        )
    assert rows(section("monitors.md", "## The default set")) == expected


def test_the_words_shown_are_those_of_the_file_shown(tmp_path, capsys):
    """What `inferwatch plan` prints of the page's first monitor file."""
    path = tmp_path / "fraud.yaml"
    shown = [text for name, text in FENCED.findall(PAGES["monitors.md"]) if name == "yaml"]
    path.write_text(shown[0])
    assert main(["plan", str(path)]) == Exit.DONE
    said, _, _ = capsys.readouterr().out.partition("\n\n")
    assert f"```\n{said}\n```" in PAGES["monitors.md"]


def test_the_error_shown_is_the_error_given():
    """The sentence about a misspelt key is what the loader says."""
    text = (
        'apiVersion: inferwatch/v1\nmatch: {model: "a/b"}\nchecks:\n'
        "  - alert: X\n    metrc: accuracy\n"
    )
    root = document.parse(text, "monitors.yaml")
    with pytest.raises(ConfigError) as caught:
        checks.parse(root.entries()["checks"].items()[0], monitors._facts(None), {})
    assert f"```\n{caught.value}\n```" in PAGES["monitors.md"]


# ── replay.md ────────────────────────────────────────────────────────────────────────────────────


def test_every_key_of_a_mapping_file_is_listed():
    """The table of the mapping file names each key, in the order of the code."""
    assert sorted(firsts(section("replay.md", "### The mapping file"))) == sorted(mapping.KEYS)


def test_every_field_of_the_summary_is_listed():
    """What `summary.json` holds is what the table says."""
    listed = rows(section("replay.md", "## What is written"))
    names = [name for cells in listed for name in words(cells[0]) if not name.endswith("l")]
    fields = [name for name in names if name != "summary.json"]
    assert fields == list(Summary.__struct_fields__) or set(fields) == set(
        Summary.__struct_fields__
    )


def test_every_key_of_an_incident_file_is_listed():
    """The table of the incident file names each key, in the order of the code but for `to`."""
    assert sorted(firsts(section("replay.md", "### The incident file"))) == sorted(incidents.KEYS)


def test_every_field_of_a_score_is_told():
    """What programs read of a rule stands beside what the terminal shows, or in the text."""
    told = words(section("replay.md", "### What counts"))
    plain = {"alert", "model", "observed", "unjudged"}
    assert set(Score.__struct_fields__) - plain <= set(told)


def test_every_format_of_a_table_is_listed():
    """The endings in the text are those that are read."""
    assert set(words(section("replay.md", "## A table").split(":", 1)[1].split(". ")[0])) == set(
        table.SUFFIXES
    )


@pytest.mark.parametrize("command", ["replay", "score", "compare", "tune"])
def test_every_option_of_a_replay_is_listed(command):
    """The page names what the parser takes."""
    assert options(command) <= set(re.findall(r"--[a-z-]+", PAGES["replay.md"]))


# ── operating.md ─────────────────────────────────────────────────────────────────────────────────


def options(command: str) -> set[str]:
    """Long options of a command."""
    top = parser([command])
    [commands] = [
        action for action in top._actions if hasattr(action, "choices") and action.choices
    ]
    found = commands.choices[command]
    return {name for action in found._actions for name in action.option_strings} - {"-h", "--help"}


@pytest.mark.parametrize("command", ["worker", "notifier", "topics"])
def test_every_option_of_a_process_is_listed(command):
    """Nothing can be set that the pages of operation do not speak of."""
    told = PAGES["operating.md"] + PAGES["kubernetes.md"]
    assert options(command) <= set(re.findall(r"--[a-z-]+", told))


def test_every_reason_of_a_rejection_is_listed():
    """The values of the label are the closed list."""
    text = section("metrics.md", "## Worker").split("`reason` is one of")[1].split(".\n")[0]
    assert words(text) == sorted(reason.value for reason in Reason)


def test_every_header_of_a_dead_letter_is_listed():
    """What an operator finds in a letter is what the table says."""
    flood = {f"h{n}": b"x" * 400 for n in range(80)}
    raw = RawRecord("events.v1", 3, 17, 0, b"team/model", b"", flood)
    reject = Reject(reason=Reason.EMPTY, detail="no body")
    letter = letters.fit(dead_output(raw, reject), letters.Quota())
    found = [name.removeprefix(ERROR_HEADERS) for name in letter.headers if name not in flood]
    assert sorted(firsts(section("operating.md", "## Dead letters"))) == sorted(found)


def test_every_exit_code_is_listed():
    """Code and name of each, in order."""
    listed = [cells[:2] for cells in rows(section("operating.md", "## Exit codes"))]
    assert listed == [[str(code.value), f"`{code.name.lower()}`"] for code in Exit]


def test_the_topics_are_those_listed():
    """Names, partitions and how long records are kept."""
    expected = []
    for topic in topics.wanted("inferwatch."):
        days = int(topic.config.get("retention.ms", 0)) // topics.DAY_MS
        kept = f"{days} days" if topic.config["cleanup.policy"] == "delete" else "compacted"
        expected.append([f"`{topic.name}`", str(topic.partitions), kept])
    assert [cells[:3] for cells in rows(section("operating.md", "## Topics"))] == expected


def test_every_variable_of_the_environment_is_documented():
    """Whatever name the sources read from the environment, a page tells of it."""
    told = " ".join(PAGES.values())
    read = {
        name
        for path in (ROOT / "pipeline").rglob("*.py")
        for name in re.findall(r"\bINFERWATCH_[A-Z_]+[A-Z]\b", path.read_text())
    }
    read -= {"INFERWATCH_CRASH_AT"}  # for crash tests only
    assert not {name for name in read if name not in told}
