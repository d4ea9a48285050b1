"""Monitor files: which models they match, and the definitions they give them.

docs/monitors.md is the language for people; schemas/monitor-file.schema.json is for editors.
"""

import fnmatch
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from inferwatch.config import checks, document, estimate, profiles, timezones
from inferwatch.config.defaults import default_definition
from inferwatch.config.document import Node
from inferwatch.core import soundness
from inferwatch.core.inspectors import FEATURES, INSPECTORS
from inferwatch.core.reference import Values
from inferwatch.core.sketches import score_labels
from inferwatch.errors import ConfigError
from inferwatch.records.definition import (
    Check,
    Definition,
    ModelFacts,
    Profile,
    Reference,
    Window,
)

API_VERSION = "inferwatch/v1"
KEYS = ("apiVersion", "match", "extends", "model", "reference", "windows", "checks")
MODEL_KEYS = [
    "task",
    "positive",
    "label_delay",
    "label_wait",
    "label_horizon",
    "segments",
    "segments_max",
    "segments_min_rows",
    "score_bins",
    "pending_max",
    "restate_every",
    "timezone",
]
SCORE_BINS = tuple(map(str, (score_labels.BINS, score_labels.FINE_BINS)))
LEARNT_KEYS = ("last", "min_rows", "min_span")
PANE_BYTES = 25_000
NAMED_MAX = 3


class MonitorFile(msgspec.Struct, frozen=True):
    """One file: the glob of the models it watches and what it says of them."""

    path: Path
    match: str
    definition: Definition


class Monitors:
    """All monitor files of a process; `definition` answers for any model."""

    def __init__(self, files: Sequence[MonitorFile], values: Mapping[str, Values]) -> None:
        self._files = sorted(files, key=lambda file: _specificity(file.match), reverse=True)
        self._values = dict(values)
        self._default = default_definition()
        self._found: dict[str, Definition] = {}
        self._by_default: list[str] = []

    def definition(self, model: str) -> Definition:
        """The most specific file that matches, or the default set.

        A worker asks for every record, so what was found is kept for each model.
        """
        found = self._found.get(model)
        if found is None:
            found = self._found[model] = self._matching(model)
        return found

    def _matching(self, model: str) -> Definition:
        for file in self._files:
            if fnmatch.fnmatchcase(model, file.match):
                return file.definition
        self._by_default.append(model)
        return self._default

    def changed(self, change: Callable[[Definition], Definition]) -> "Monitors":
        """The same files, each with the definition that `change` makes of its own."""
        files = [
            msgspec.structs.replace(file, definition=change(file.definition))
            for file in self._files
        ]
        return Monitors(files, self._values)

    def values(self) -> dict[str, Values]:
        """Reference columns of every profile in use, by digest."""
        return self._values

    def by_default(self) -> list[str]:
        """The models asked for so far that no file matches."""
        return self._by_default

    def unmatched(self, where: str) -> list[str]:
        """A sentence for each file that matches none of the models asked for so far, and what
        watches those that no file matches; `where` says of which models it speaks.
        """
        told = ""
        if self._by_default:
            more = len(self._by_default) - NAMED_MAX
            names = ", ".join(sorted(self._by_default)[:NAMED_MAX])
            told = f"; watched by the default set: {names}" + (f" and {more} more" * (more > 0))
        return [
            f"{file.path}: '{file.match}' matches no model {where}{told}"
            for file in self._files
            if not any(fnmatch.fnmatchcase(name, file.match) for name in self._found)
        ]


def _specificity(match: str) -> tuple[int, int]:
    """Longer literal prefix first, then fewer wildcards."""
    prefix = len(match.split("*")[0].split("?")[0].split("[")[0])
    return prefix, -sum(match.count(wildcard) for wildcard in "*?[")


def load(paths: Sequence[Path]) -> Monitors:
    """Read monitor files.

    :raises ConfigError: naming file, line, key and the fix.
    """
    files: list[MonitorFile] = []
    values: dict[str, Values] = {}
    for path in paths:
        file, found = read(path)
        for other in files:
            if other.match == file.match:
                raise ConfigError(
                    f"matches the same models as {other.path}",
                    file=str(path),
                    key="match.model",
                    fix="merge the two files, or leave one of them out",
                )
        files.append(file)
        values |= found
    return Monitors(files, values)


def read(path: Path) -> tuple[MonitorFile, dict[str, Values]]:
    """One monitor file, with the columns of its profile."""
    root = document.read(path)
    fields = _inherited(root, path, [])
    if "apiVersion" not in root.entries():
        raise root.error("'apiVersion' is missing", f"add `apiVersion: {API_VERSION}`")
    if "match" not in fields:
        raise root.error("'match' is missing", 'add `match: {model: "team/model"}`')
    match = fields["match"].fields(("model",), required=("model",))["model"].text()
    facts = _facts(fields.get("model"))
    reference, values = _reference(fields.get("reference"), facts)
    windows = _windows(fields.get("windows"))
    _moves(fields.get("reference"), reference, windows)
    found = _checks(fields.get("checks"), facts, windows, reference.profile)
    definition = Definition(
        model=facts, reference=reference, windows=list(windows.values()), checks=found
    )
    _check_sample(fields.get("reference"), definition, values)
    wrong = soundness.problem(definition)
    if wrong:
        raise root.error(wrong, "bring it into these bounds")
    try:
        estimate.check(definition)
    except ConfigError as error:
        raise (fields.get("model") or root).error(error.problem, error.fix) from None
    return MonitorFile(path, match, definition), values


def _check_sample(node: Node | None, definition: Definition, values: Mapping[str, Values]) -> None:
    """Inspectors need the file with the profile's rows."""
    profile = definition.reference.profile
    asked = any(
        check.method in INSPECTORS and check.metric == FEATURES for check in definition.checks
    )
    if node is not None and profile is not None and asked and profile.sample_digest not in values:
        place = Path(node.entries()["profile"].text())
        raise node.error(
            "has no rows for inspectors beside its profile",
            f"put {profiles.sample_path(place).name} there",
        )


def facts(path: Path) -> ModelFacts:
    """The `model:` block alone: what a profile needs to know before there is one.

    :raises ConfigError: naming file, line, key and the fix.
    """
    return _facts(_inherited(document.read(path), path, []).get("model"))


def _inherited(root: Node, path: Path, seen: list[Path]) -> dict[str, Node]:
    """The file's own keys over those of the file that it extends; checks and windows by name."""
    fields = root.fields(KEYS)
    if "apiVersion" in fields:
        fields["apiVersion"].choice([API_VERSION])
    if "extends" not in fields:
        return fields
    node = fields.pop("extends")
    base_path = path.parent / node.text()
    if base_path.resolve() in [earlier.resolve() for earlier in [*seen, path]]:
        raise node.error(f"{base_path.name} extends itself", "break the circle")
    if not base_path.is_file():
        raise node.error(f"{base_path.name} does not exist", "give a path beside this file")
    base = _inherited(document.read(base_path), base_path, [*seen, path])
    merged = base | fields
    for name in ("model", "windows"):
        if name in base and name in fields:
            merged[name] = _Merged(fields[name], base[name].entries() | fields[name].entries())
    if "checks" in base and "checks" in fields:
        merged["checks"] = _MergedList(
            fields["checks"], _by_alert(base["checks"], fields["checks"])
        )
    return merged


class _Merged(Node):
    """A mapping put together from two files; each key still knows its own."""

    def __init__(self, node: Node, entries: dict[str, Node]) -> None:
        super().__init__(node.value, node.file, node.line, node.key)
        self._entries = entries

    def entries(self) -> dict[str, Node]:
        return self._entries


class _MergedList(Node):
    """A list put together from two files."""

    def __init__(self, node: Node, items: list[Node]) -> None:
        super().__init__(node.value, node.file, node.line, node.key)
        self._items = items

    def items(self) -> list[Node]:
        return self._items


def _by_alert(base: Node, own: Node) -> list[Node]:
    named = {_alert_name(item): item for item in [*base.items(), *own.items()]}
    return list(named.values())


def _alert_name(item: Node) -> str:
    node = item.entries().get("alert")
    if node is None:
        raise item.error("'alert' is missing", "add `alert: Name`")
    return node.text()


def _facts(node: Node | None) -> ModelFacts:
    if node is None:
        return ModelFacts()
    fields = node.fields(MODEL_KEYS)
    given: dict[str, Any] = {}
    if "task" in fields:
        given["task"] = fields["task"].choice(("binary", "multiclass", "ranking", "regression"))
    if "positive" in fields:
        given["positive"] = fields["positive"].text()
    if "segments" in fields:
        given["segments"] = [_segment(item) for item in fields["segments"].items()]
    if "segments_max" in fields:
        given["segments_max"] = fields["segments_max"].integer(1, 10_000)
    if "segments_min_rows" in fields:
        given["segments_min_rows"] = fields["segments_min_rows"].integer(1, 1_000_000)
    if "score_bins" in fields:
        given["score_bins"] = int(fields["score_bins"].choice(SCORE_BINS))
    if "pending_max" in fields:
        given["pending_max_bytes"] = fields["pending_max"].size_bytes()
    if "restate_every" in fields:
        given["restate_every_ms"] = fields["restate_every"].duration_ms()
    if "timezone" in fields:
        given["clock"] = timezones.read(fields["timezone"])
    return ModelFacts(**given, **_label_times(fields))


def _segment(node: Node) -> str:
    """A column: windows and profiles name its segments `column=value`."""
    name = node.text()
    wrong = soundness.segment_problem(name)
    if wrong:
        raise node.error(wrong, "rename the column where rows are sent")
    return name


def _label_times(fields: Mapping[str, Node]) -> dict[str, int]:
    """`label_wait` is `label_delay` and `label_horizon` twice that, unless they are given."""
    given = {
        name: fields[name].duration_ms()
        for name in ("label_delay", "label_wait", "label_horizon")
        if name in fields
    }
    delay_ms = given.get("label_delay", ModelFacts().label_delay_ms)
    if "label_horizon" in given and "label_delay" not in given:
        delay_ms = given["label_horizon"] // 2
    wait_ms = given.get("label_wait", delay_ms)
    horizon_ms = given.get("label_horizon", 2 * wait_ms)
    if wait_ms > horizon_ms:
        node = fields.get("label_wait") or fields["label_horizon"]
        raise node.error(
            "a window would wait longer than labels are taken",
            "make label_horizon at least label_wait",
        )
    return {"label_delay_ms": delay_ms, "label_wait_ms": wait_ms, "label_horizon_ms": horizon_ms}


def _reference(node: Node | None, facts: ModelFacts) -> tuple[Reference, dict[str, Values]]:
    if node is None:
        return Reference(), {}
    fields = node.fields(("profile", *LEARNT_KEYS))
    if "profile" in fields:
        for name in LEARNT_KEYS:
            if name in fields:
                raise fields[name].error("a profile is not learnt", "leave one of the two out")
        profile, values, sample = _profile(fields["profile"], facts)
        found = {profile.values_digest or "": values, profile.sample_digest or "": sample}
        return Reference(profile=profile), {name: one for name, one in found.items() if one}
    given: dict[str, Any] = {}
    if "last" in fields:
        given["last_ms"] = fields["last"].duration_ms()
    if "min_rows" in fields:
        given["min_rows"] = fields["min_rows"].integer(50, 1_000_000)
    if "min_span" in fields:
        given["min_span_ms"] = fields["min_span"].duration_ms()
    return Reference(**given), {}


def _profile(node: Node, facts: ModelFacts) -> tuple[Profile, Values, Values]:
    """The profile beside the file, its columns and its rows; it must be of a model's task."""
    place = (Path(node.file).parent / node.text()).resolve()
    try:
        profile, values = profiles.read(place)
        sample = profiles.read_sample(place, profile)
    except ConfigError as error:
        raise node.error(f"{error.file}: {error.problem}", error.fix) from None
    fitting = profiles.tasks(profile)
    if facts.task != "unknown" and facts.task not in fitting:
        raise node.error(
            f"the profile '{profile.name}' is of a {' or '.join(fitting)} model, and `model.task` "
            f"is {facts.task}",
            f"correct the task, or build it again with `--monitors {Path(node.file).name}`",
        )
    return profile, values, sample


def _moves(node: Node | None, reference: Reference, windows: Mapping[str, Window]) -> None:
    """One that moves along is gathered from panes: of a shorter span none is ever before today."""
    panes_ms = [math.gcd(one.size_ms, one.step_ms) for one in windows.values() if one.size_ms]
    least_ms = 2 * min(panes_ms, default=1_000)
    if node is not None and 0 < reference.last_ms < least_ms:
        raise node.entries()["last"].error(
            "is shorter than two of the windows' smallest pieces, so it would never move",
            f"{least_ms / 1_000:g}s or longer",
        )


def _windows(node: Node | None) -> dict[str, Window]:
    if node is None:
        return {window.name: window for window in default_definition().windows}
    entries = node.entries()
    if not entries or len(entries) > soundness.WINDOWS_MAX:
        raise node.error(f"holds {len(entries)} windows", f"1 to {soundness.WINDOWS_MAX}")
    return {name: _window(name, item) for name, item in entries.items()}


def _window(name: str, node: Node) -> Window:
    fields = node.fields(("size", "step", "rows", "grace", "exact"))
    if not name:
        raise node.error("a window needs a name", "write `slow: {size: 1h}`")
    if ("size" in fields) == ("rows" in fields):
        raise node.error("needs either `size` or `rows`", "write `{size: 1h}` or `{rows: 5000}`")
    exact = fields["exact"].boolean() if "exact" in fields else False
    if "rows" in fields:
        for other in ("step", "grace"):
            if other in fields:
                raise fields[other].error("a window of rows has none", "leave it out")
        return Window(name=name, rows=fields["rows"].integer(50, 1_000_000), exact=exact)
    if exact:
        raise fields["exact"].error("only windows of rows keep their rows", "use `rows: 5000`")
    size_ms = fields["size"].duration_ms()
    step_ms = fields["step"].duration_ms() if "step" in fields else size_ms
    if size_ms < 1_000:
        raise fields["size"].error("is shorter than a second", "1s or longer")
    if step_ms > size_ms:
        raise fields["step"].error("is longer than the window", "rows between would be lost")
    pane_ms = math.gcd(size_ms, step_ms)
    if size_ms // pane_ms > soundness.PANES_MAX:
        mebibytes = size_ms // pane_ms * PANE_BYTES >> 20
        raise fields["step"].error(
            f"cuts the window into {size_ms // pane_ms} panes, about {mebibytes} MiB a model",
            f"at most {soundness.PANES_MAX} panes: a longer step or a shorter window",
        )
    grace_ms = fields["grace"].duration_ms() if "grace" in fields else 30_000
    return Window(name=name, size_ms=size_ms, step_ms=step_ms, grace_ms=grace_ms)


def _checks(
    node: Node | None,
    facts: ModelFacts,
    windows: Mapping[str, Window],
    profile: Profile | None,
) -> list[Check]:
    if node is None:
        return []
    found: dict[str, Check] = {}
    for item in node.items():
        check = checks.parse(item, facts, windows, profile)
        if check.alert in found:
            raise item.error(f"'{check.alert}' is there twice", "give each alert its own name")
        found[check.alert] = check
    return list(found.values())
