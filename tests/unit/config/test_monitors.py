"""Monitor files: a mistake is told with place and fix, and the file that rules is the one said."""

import random
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferwatch.config import monitors, profiles, timezones
from inferwatch.config.defaults import default_definition
from inferwatch.core import soundness
from inferwatch.core.reference import category_profile, numeric_profile
from inferwatch.errors import ConfigError
from inferwatch.records.definition import Definition, Profile

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
EXAMPLE = ROOT / "examples" / "car-loan"
HEAD = 'apiVersion: inferwatch/v1\nmatch: {model: "team/*"}\n'
ONE = "windows: {w: {size: 1m}}\n"


@pytest.fixture
def write(tmp_path):
    """Writes a file and gives its path."""

    def written(text: str, name: str = "m.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return written


BROKEN = [
    tuple(case.rsplit("\n→ ", 1))
    for case in (HERE / "broken.txt").read_text(encoding="utf-8").strip().split("\n\n")
]


@pytest.mark.parametrize(("text", "said"), BROKEN, ids=[said for _, said in BROKEN])
def test_a_mistake_is_told_with_place_and_fix(write, text, said):
    """File, line, key, what is wrong, and what is allowed instead; never a traceback.

    A case is what follows the two lines of HEAD, and how the sentence begins.
    """
    path = write(HEAD + text + "\n")
    with pytest.raises(ConfigError) as caught:
        monitors.load([path])
    told = str(caught.value).replace(f"{path.parent}/", "")
    assert told.startswith(f"m.yaml:{said}")
    assert caught.value.fix


def test_there_are_many_of_them():
    """A hundred ways to break a file are tried, each another one."""
    assert len(dict(BROKEN)) == len(BROKEN) >= 100


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "windows:\n" + "".join(f"  w{n}: {{size: 1m}}\n" for n in range(17)),
            ":3: windows: holds 17 windows (1 to 16)",
        ),
        (
            f"model: {{segments: [{', '.join(f's{n}' for n in range(21))}]}}\n",
            ":1: 21 segment columns: at most 20",
        ),
        (
            f"{ONE}checks:\n"
            + "".join(
                f"  - {{alert: A{n}, metric: rows, fail: {{above: 1}}}}\n" for n in range(501)
            ),
            ":1: 501 checks: at most 500",
        ),
    ],
)
def test_a_file_beyond_the_bounds_of_the_fold_is_refused(write, text, says):
    """What the fold would not take from the log is not taken from a file."""
    with pytest.raises(ConfigError) as caught:
        monitors.load([write(HEAD + text)])
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("match: {model: a/b}\n", "'apiVersion' is missing (add `apiVersion: inferwatch/v1`)"),
        ("apiVersion: v2\nmatch: {model: a/b}\n", ":1: apiVersion: 'v2' is not allowed"),
        ("apiVersion: inferwatch/v1\n", "'match' is missing (add `match:"),
        ("apiVersion: inferwatch/v1\nmatch: a/b\n", ":2: match: expected a mapping"),
        ("apiVersion: inferwatch/v1\nmatch: {}\n", ":2: match: 'model' is missing"),
        ("apiVersion: inferwatch/v1\nmatch: {modle: a}\n", ":2: match.modle: unknown key"),
        ("", ":1: expected a mapping, found nothing"),
    ],
)
def test_a_head_that_is_not_there_is_told(write, text, says):
    """`apiVersion` and `match` are required."""
    with pytest.raises(ConfigError) as caught:
        monitors.load([write(text)])
    assert says in str(caught.value)


def mutated(draw: random.Random, text: str) -> str:
    """`text` with a few words, marks or lines moved, doubled, dropped or replaced."""
    lines = text.splitlines()
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(lines))
        words = lines[at].split(" ")
        place = draw.randrange(len(words))
        match draw.randrange(6):
            case 0:
                words[place] = draw.choice(["", "1e999", "no", "5%", "[", "{a: b}", "~", "*x", "⁵"])
            case 1:
                words[place] = draw.choice(draw.choice(lines).split(" "))
            case 2:
                words[place] = words[place].upper()
            case 3:
                words.insert(0, " ")
            case 4:
                words[place] = words[place].replace(":", "", 1)
            case 5:
                words[place] += draw.choice(["0", "0" * 30, ".", "x", ":", ",", "}"])
        lines[at] = " ".join(words)
        if draw.random() < 0.2:
            lines.insert(at, draw.choice(lines))
    return "\n".join(lines) + "\n"


@given(st.integers(0, 1 << 32))
def test_a_damaged_file_loads_soundly_or_is_refused(tmp_path_factory, seed):
    """What the loader gives is what the fold accepts; all else is a ConfigError."""
    draw = random.Random(seed)
    source = draw.choice([*(HEAD + text for text, _ in BROKEN), DOCUMENTED])
    path = tmp_path_factory.mktemp("mutated") / "m.yaml"
    path.write_text(mutated(draw, source), encoding="utf-8")
    try:
        [file] = monitors.load([path])._files
    except ConfigError as error:
        assert error.file and error.fix
    else:
        assert soundness.problem(file.definition) == ""


def documented() -> str:
    """The file that docs/monitors.md begins with."""
    page = (ROOT / "docs" / "monitors.md").read_text(encoding="utf-8")
    return page.split("```yaml\n")[1].split("```")[0]


DOCUMENTED = documented()


def test_the_documented_file_says_what_it_says(write):
    """Units, defaults and limits of the file that the documentation begins with."""
    definition = monitors.load([write(DOCUMENTED)]).definition("risk/fraud-scorer")
    day_ms = 86_400_000
    facts = definition.model
    assert (facts.task, facts.positive, facts.segments) == ("binary", "1", ["country"])
    assert facts.label_delay_ms == facts.label_wait_ms == 14 * day_ms
    assert facts.label_horizon_ms == 28 * day_ms
    assert [(w.name, w.size_ms, w.step_ms, w.rows) for w in definition.windows] == [
        ("fast", 60_000, 60_000, 0),
        ("slow", 3_600_000, 900_000, 0),
        ("batch", 0, 0, 5_000),
    ]
    recall, _, adwin, slow, silent = definition.checks
    assert (recall.warn.value, recall.warn.relative) == (0.03, False)
    assert (recall.fail.value, recall.fail.relative) == (0.05, True)
    assert recall.times == (2, 3) and recall.need.coverage == 0.8
    assert adwin.window == "" and adwin.params == {"delta": 0.002}
    assert (slow.fail.value, slow.fail.clear, slow.for_ms) == (250.0, 200.0, 180_000)
    assert (silent.mode, silent.for_ms) == ("observe", 600_000)


def test_times_of_labels_follow_from_one_another(write):
    """Delay, wait and horizon: each from the others where it is not given."""

    def hours(block: str) -> tuple[float, ...]:
        path = write(HEAD + f"model: {{{block}}}\n")
        facts = monitors.load([path]).definition("team/a").model
        times = facts.label_delay_ms, facts.label_wait_ms, facts.label_horizon_ms
        return tuple(time_ms / 3_600_000 for time_ms in times)

    assert hours("task: binary") == (24, 24, 48)
    assert hours("label_delay: 2h") == (2, 2, 4)
    assert hours("label_delay: 2h, label_wait: 5h") == (2, 5, 10)
    assert hours("label_horizon: 6h") == (3, 3, 6)
    assert hours("label_delay: 1h, label_wait: 2h, label_horizon: 3h") == (1, 2, 3)


def test_a_file_without_windows_or_checks(write):
    """The default windows, and no check: a file that matches replaces the default set."""
    definition = monitors.load([write(HEAD)]).definition("team/a")
    assert definition.windows == default_definition().windows
    assert definition.checks == []


# ── which file rules ─────────────────────────────────────────────────────────────────────────────


def named(glob: str, alert: str) -> str:
    """A file for `glob` that says its name."""
    return (
        f'apiVersion: inferwatch/v1\nmatch: {{model: "{glob}"}}\n{ONE}'
        f"checks: [{{alert: {alert}, metric: rows, fail: {{above: 1}}}}]\n"
    )


@pytest.mark.parametrize(
    ("model", "rules"),
    [
        ("risk/fraud-scorer", "exact"),
        ("risk/fraud-other", "fraud"),
        ("risk/deep/fraud-x", "risk"),
        ("risk/a", "risk"),
        ("sales/churn-7", "digit"),
        ("sales/churn-x", "any"),
        ("sales/churn-77", "any"),
        ("Risk/fraud-scorer", "any"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_the_most_specific_glob_rules(write, model, rules, turned):
    """The longest part before a wildcard, in whatever order the files are named."""
    globs = {
        "any": "*",
        "risk": "risk/*",
        "fraud": "risk/fraud-*",
        "exact": "risk/fraud-scorer",
        "digit": "sales/churn-[0-9]",
    }
    paths = [write(named(glob, name), f"{name}.yaml") for name, glob in globs.items()]
    loaded = monitors.load(paths[::-1] if turned else paths)
    assert [found.alert for found in loaded.definition(model).checks] == [rules]


def test_fewer_wildcards_rule_and_then_the_file_named_first(write):
    """Two globs with the same beginning are told apart; nothing depends on chance."""
    paths = [
        write(named(glob, f"g{n}"), f"{n}.yaml") for n, glob in enumerate(["a/*-*", "a/*x", "a/x*"])
    ]
    loaded = monitors.load(paths)
    assert loaded.definition("a/x-x").checks[0].alert == "g2"
    assert loaded.definition("a/y-x").checks[0].alert == "g1"
    other = write(named("a/*z", "late"), "late.yaml")
    again = monitors.load([paths[1], other])
    assert again.definition("a/xz").checks[0].alert == "late"


def test_a_model_that_no_file_matches_has_the_default_set(write):
    """Nobody is unwatched for want of a file."""
    loaded = monitors.load([write(named("risk/*", "x"))])
    assert loaded.definition("sales/a") == default_definition()
    assert monitors.load([]).definition("any/model") == default_definition()


def test_two_files_for_the_same_models_are_refused(write):
    """The same glob twice would leave it open who rules."""
    paths = [write(named("a/*", "x"), "1.yaml"), write(named("a/*", "y"), "2.yaml")]
    with pytest.raises(
        ConfigError, match=r"2\.yaml: match\.model: matches the same models as .*1\.yaml"
    ):
        monitors.load(paths)


# ── extends ──────────────────────────────────────────────────────────────────────────────────────

BASE = """\
apiVersion: inferwatch/v1
match: {model: "base/*"}
model: {task: binary, label_delay: 2h}
reference: {min_rows: 700}
windows:
  w: {size: 1m}
  slow: {size: 1h}
checks:
  - {alert: Rows, metric: rows, window: w, fail: {above: 1}}
  - {alert: Errors, metric: error_rate, window: slow, fail: {above: 5%}}
"""


def extended(write, own: str):
    """The definition of a file that extends BASE."""
    write(BASE, "base.yaml")
    path = write(f"apiVersion: inferwatch/v1\nextends: base.yaml\n{own}")
    return monitors.load([path])


def test_keys_of_the_base_stand_where_the_file_has_none(write):
    """A file of two lines is the base under its own name."""
    loaded = extended(write, 'match: {model: "mine/*"}\n')
    expected = monitors.load([write(BASE, "again.yaml")]).definition("base/a")
    assert loaded.definition("mine/a") == expected
    assert loaded.definition("base/a") == default_definition()


def test_blocks_merge_by_key_and_checks_by_alert(write):
    """Own keys win, each window and each check as a whole; the reference is replaced."""
    definition = extended(
        write,
        "model: {label_delay: 5h}\nreference: {min_rows: 90}\nwindows: {w: {size: 5m}}\n"
        "checks:\n  - {alert: Errors, metric: error_rate, window: w, warn: {above: 9%}}\n"
        "  - {alert: New, metric: rows, window: slow, fail: {below: 9}}\n",
    ).definition("base/a")
    assert definition.model.task == "binary"
    assert definition.model.label_delay_ms == 5 * 3_600_000
    assert definition.reference.min_rows == 90
    assert {w.name: w.size_ms for w in definition.windows} == {"w": 300_000, "slow": 3_600_000}
    checks = {found.alert: found for found in definition.checks}
    assert list(checks) == ["Rows", "Errors", "New"]
    assert checks["Errors"].fail is None and checks["Errors"].warn.value == 0.09


def test_a_chain_is_followed_and_a_circle_is_not(write):
    """A base may extend another; one that comes back to itself is told."""
    write(BASE, "ground.yaml")
    write("extends: ground.yaml\nreference: {min_rows: 800}\n", "middle.yaml")
    top = write('apiVersion: inferwatch/v1\nextends: middle.yaml\nmatch: {model: "t/*"}\n')
    definition = monitors.load([top]).definition("t/a")
    assert definition.reference.min_rows == 800 and len(definition.checks) == 2
    write("extends: m.yaml\n", "middle.yaml")
    with pytest.raises(ConfigError, match=r"middle\.yaml:1: extends: m\.yaml extends itself"):
        monitors.load([top])


def test_a_mistake_in_the_base_names_the_base(write):
    """The line is the one in the file where it stands."""
    write(BASE.replace("rows, window: w", "rowz, window: w"), "base.yaml")
    path = write('apiVersion: inferwatch/v1\nextends: base.yaml\nmatch: {model: "t/*"}\n')
    with pytest.raises(ConfigError, match=r"base\.yaml:9: checks\[0\]\.metric: 'rowz'"):
        monitors.load([path])
    write(BASE.replace("/v1", "/v3"), "base.yaml")
    with pytest.raises(ConfigError, match=r"base\.yaml:1: apiVersion: 'inferwatch/v3'"):
        monitors.load([path])


# ── profiles ─────────────────────────────────────────────────────────────────────────────────────


def test_a_profile_is_found_beside_the_file_that_names_it(tmp_path, monkeypatch):
    """Its path is relative to the monitor file, not to where the command was started."""
    folder = tmp_path / "deep"
    shutil.copytree(EXAMPLE, folder)
    monkeypatch.chdir(tmp_path)
    loaded = monitors.load([folder / "monitors.yaml"])
    profile = loaded.definition("lending/car-loan").reference.profile
    assert profile is not None and profile.rows == 50_000
    assert list(loaded.values()) == [profile.values_digest]


def test_the_facts_are_read_without_the_profile(tmp_path):
    """`profile build --monitors` must work before the profile is there."""
    shutil.copy(EXAMPLE / "monitors.yaml", tmp_path)
    facts = monitors.facts(tmp_path / "monitors.yaml")
    assert (facts.task, facts.segments) == ("binary", ["salary_range"])
    with pytest.raises(ConfigError, match=r"reference\.profile: .*cannot be read"):
        monitors.load([tmp_path / "monitors.yaml"])


def test_a_profile_that_is_not_there_is_told_with_its_folder(write, monkeypatch):
    """Whoever looks for it beside the command reads that it was looked for beside the file."""
    path = write(HEAD + "reference: {profile: profiles/p.json}\n")
    monkeypatch.chdir(path.parent)
    with pytest.raises(ConfigError) as caught:
        monitors.load([Path("m.yaml")])
    told = f"m.yaml:3: reference.profile: {path.parent}/profiles/p.json: cannot be read: No such"
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("task", ["binary", "multiclass", "ranking", "regression"])
def test_a_profile_of_another_task_is_refused(tmp_path, write, task):
    """Its figures mean nothing for the model. One whose task nobody named, and one without labels
    of a task that its predictions allow, are taken.
    """
    classes, numbers = category_profile({"a": 3, "b": 2}, 0), numeric_profile(np.arange(5.0))
    made = {
        "binary": ({"recall": 0.5, "accuracy": 0.5}, classes),
        "multiclass": ({"macro_f1": 0.5, "class.a.recall": 0.5, "accuracy": 0.5}, classes),
        "ranking": ({"mrr": 0.5}, None),
        "regression": ({"mae": 0.5}, numbers),
    }
    bare = Profile(name="p", rows=5, from_ms=0, to_ms=1)
    for of, (quality, prediction) in made.items():
        profile = msgspec.structs.replace(bare, quality={"": quality}, prediction=prediction)
        (tmp_path / f"{of}.json").write_bytes(msgspec.json.encode(profile))
        text = f"model: {{task: {task}}}\nreference: {{profile: {of}.json}}\n"
        path = write(HEAD + text)
        monitors.load([write(HEAD + f"reference: {{profile: {of}.json}}\n", "untold.yaml")])
        if of == task:
            monitors.load([path])
            continue
        with pytest.raises(ConfigError) as caught:
            monitors.load([path])
        said = f"m.yaml:4: reference.profile: the profile 'p' is of a {of} model, and `model.task`"
        assert str(caught.value).replace(f"{tmp_path}/", "").startswith(said)
        assert "`--monitors m.yaml`" in caught.value.fix
    unlabelled = msgspec.structs.replace(bare, prediction=classes)
    (tmp_path / "p.json").write_bytes(msgspec.json.encode(unlabelled))
    path = write(HEAD + f"model: {{task: {task}}}\nreference: {{profile: p.json}}\n")
    if task in ("binary", "multiclass"):
        monitors.load([path])
    else:
        with pytest.raises(ConfigError, match="is of a binary or multiclass model"):
            monitors.load([path])


def test_a_damaged_profile_is_told_by_the_key_that_names_it(tmp_path):
    """Bins that do not fit are refused at load, not by a worker in the middle of a record."""
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    text = (tmp_path / "profile.json").read_text()
    (tmp_path / "profile.json").write_text(text.replace('"rows": 50000', '"rows": -1', 1))
    with pytest.raises(ConfigError, match="the profile's rows or times are out of range"):
        monitors.load([tmp_path / "monitors.yaml"])


def test_inspectors_need_the_profiles_rows(tmp_path, write):
    """Rows and their digest go with the file's other columns; without their file it is refused."""
    profile, values = profiles.read(EXAMPLE / "profile.json")
    sample = {name: np.arange(9.0, dtype=np.float32) for name in profile.numeric}
    profile = msgspec.structs.replace(profile, sample_digest=profiles.values_digest(sample))
    profiles.write(tmp_path / "p.json", profile, values, sample)
    path = write(
        HEAD
        + ONE
        + "reference: {profile: p.json}\nchecks: [{alert: A, metric: features, method: lof}]\n"
    )
    assert sorted(monitors.load([path]).values()[profile.sample_digest]) == sorted(sample)
    (tmp_path / "p.sample.npz").unlink()
    with pytest.raises(ConfigError, match=r"m\.yaml:4: .*no rows.*put p\.sample\.npz there"):
        monitors.load([path])


def test_a_time_zone_travels_as_the_rules_of_its_clock(write):
    """Names and rules are in the definition; without one, and for UTC, there are none."""
    for zone in ("Europe/Berlin", "Asia/Kolkata"):
        file, _ = monitors.read(write(HEAD + f"model: {{timezone: {zone}}}\n"))
        clock = file.definition.model.clock
        assert (clock.timezone, clock.utc_offsets) == (zone, list(timezones.utc_offsets(zone)))
        again = msgspec.json.decode(msgspec.json.encode(file.definition), type=Definition)
        assert again == file.definition
    plain, named = write(HEAD), write(HEAD + "model: {timezone: Etc/UTC}\n", "named.yaml")
    assert monitors.read(plain)[0].definition == monitors.read(named)[0].definition
