"""`inferwatch profile`: a table becomes a profile that a monitor file can name."""

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from inferwatch.cli.main import main
from inferwatch.config import monitors, profiles
from inferwatch.errors import Exit

MAPPING = "model: team/model\nprediction_id: id\ntimestamp: at\nprediction: answer\nlabel: truth\n"
MONITORS = """\
apiVersion: inferwatch/v1
match: {model: "team/*"}
model: {task: binary, positive: yes, segments: [country]}
reference: {profile: p.json}
checks:
  - {alert: A, metric: accuracy, window: hour, fail: {drop: 5%}}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A table of a hundred labelled rows, in the working directory."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(
        f"r{n},{1_700_000_000_000 + n},{'yes' if n % 2 else 'no'},{'yes' if n % 5 else 'no'},"
        f"{'DE' if n % 3 else 'FR'},{n},\n"
        for n in range(100)
    )
    Path("t.csv").write_text("id,at,answer,truth,country,age,gone\n" + rows)
    Path("mapping.yaml").write_text(MAPPING)
    Path("m.yaml").write_text(MONITORS)
    return tmp_path


def test_a_profile_is_built_by_the_facts_of_the_file_that_will_name_it(folder, capsys):
    """The monitor file may name the profile before it is there, and loads afterwards."""
    assert main(["profile", "build", "t.csv", "--monitors", "m.yaml", "--out", "p.json"]) == 0
    built = capsys.readouterr().out
    definition = monitors.load([Path("m.yaml")]).definition("team/a")
    profile = definition.reference.profile
    assert profile.rows == 100 and set(profile.quality) == {"", "country=DE", "country=FR"}
    hits = sum((n % 2 > 0) == (n % 5 > 0) for n in range(100))
    assert profile.quality[""]["accuracy"] == hits / 100
    assert main(["profile", "show", "p.json"]) == 0
    assert capsys.readouterr().out == built
    assert built.startswith("team/model: 100 rows\n  age: mean 49.5, sd 29.01, 0 to 99\n")
    assert "  country: 2 words, most often DE, FR\n" in built


def test_a_task_that_the_file_leaves_open_is_guessed_as_workers_do(folder, capsys):
    """Numbers without a score are a regression's: described as numbers, not as a thousand words."""
    Path("m.yaml").write_text(MONITORS.replace("task: binary, positive: yes, ", ""))
    Path("mapping.yaml").write_text(MAPPING.replace("answer", "age").replace("label: truth\n", ""))
    assert main(["profile", "build", "t.csv", "--monitors", "m.yaml", "--out", "p.json"]) == 0
    assert "  prediction: mean 49.5, sd 29.01, 0 to 99\n" in capsys.readouterr().out


def test_facts_may_be_options(folder):
    """Task, positive class and segments without a monitor file; an empty column has no profile. The
    folder is made.
    """
    options = ["--task", "binary", "--positive", "yes", "--segments", "country"]
    assert main(["profile", "build", "t.csv", *options, "--out", "p.json"]) == 0
    mine, columns = profiles.read(Path("p.json"))
    assert main(["profile", "build", "t.csv", "--monitors", "m.yaml", "--out", "made/q.json"]) == 0
    assert profiles.read(Path("made/q.json"))[0] == mine
    assert list(columns) == ["age"] and "gone" not in mine.numeric


def test_columns_that_are_called_as_the_keys_need_no_mapping(folder, capsys):
    """The same profile but for its name, which is then the table's."""
    options = ["--task", "binary", "--positive", "yes", "--segments", "country"]
    assert main(["profile", "build", "t.csv", *options, "--out", "p.json"]) == 0
    Path("mapping.yaml").unlink()
    head, rest = Path("t.csv").read_text().split("\n", 1)
    named = head.replace("id,at,answer,truth", "prediction_id,timestamp,prediction,label")
    Path("mine.csv").write_text(f"{named}\n{rest}")
    assert main(["profile", "build", "mine.csv", *options, "--out", "q.json"]) == 0
    mine, theirs = (profiles.read(Path(name))[0] for name in ("q.json", "p.json"))
    assert mine.name == "mine" and "accuracy" in mine.quality["country=DE"]
    assert msgspec.structs.replace(mine, name=theirs.name) == theirs


def test_columns_of_other_names_are_asked_for_by_a_mapping_to_fill_in(folder, capsys):
    """With the columns in the place of its words it is one, and the profile is built."""
    Path("mapping.yaml").unlink()
    options = ["--task", "binary", "--positive", "yes", "--out", "p.json"]
    assert main(["profile", "build", "t.csv", *options]) == Exit.USAGE
    said, draft = capsys.readouterr().err.split("\n\n")
    assert said.startswith("inferwatch: t.csv: without a mapping file columns are called predict")
    assert "features: id, at, answer, truth, country, age, gone\n" in draft
    for key, column in (("prediction_id", "id"), ("timestamp", "at"), ("# label", "truth")):
        draft = draft.replace(f"{key}: COLUMN", f"{key.removeprefix('# ')}: {column}")
    Path("mapping.yaml").write_text(draft)
    assert main(["profile", "build", "t.csv", *options]) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["build", "t.csv", "--out", "p.json"], Exit.USAGE, "say the task: --task binary|"),
        (["build", "none.csv", "--task", "binary", "--out", "p"], Exit.USAGE, "none.csv: no such"),
        (["build", "empty.csv", "--task", "binary", "--out", "p"], Exit.USAGE, "has no rows"),
        (
            ["build", "t.csv", "--task", "binary", "--out", "t.csv/p.json"],
            Exit.USAGE,
            "t.csv/p.json cannot be written: File exists",
        ),
        (
            ["build", "t.csv", "--mapping", "none.yaml", "--task", "binary", "--out", "p"],
            Exit.USAGE,
            "none.yaml: no such file; say with --mapping",
        ),
        (
            ["build", "huge.csv", "--mapping", "huge.yaml", "--task", "binary", "--out", "p.json"],
            Exit.CONFIG,
            "p.json: the values of score are too large: their spread is no number",
        ),
        (["build", ".", "--task", "binary", "--out", "p"], Exit.USAGE, ".: is a folder, no file"),
        (
            ["build", "t.csv", "--monitors", "m.yaml", "--task", "regression", "--out", "p"],
            Exit.USAGE,
            "--task has no place beside --monitors, whose `model:` says it",
        ),
        (["show", "none.json"], Exit.CONFIG, "none.json: cannot be read: No such file"),
        (["show", "t.csv"], Exit.CONFIG, "t.csv: is no profile"),
        (
            ["build", "t.csv", "--monitors", "mapping.yaml", "--out", "p.json"],
            Exit.CONFIG,
            "mapping.yaml:2: prediction_id: unknown key",
        ),
    ],
)
def test_what_cannot_be_described_is_one_sentence(folder, capsys, arguments, code, says):
    """The file and what to do about it."""
    Path("empty.csv").write_text("id,at,answer,truth\n")
    huge = "".join(f"r{n},{1_700_000_000_000 + n},yes,no,{n % 2}e300\n" for n in range(9))
    Path("huge.csv").write_text("id,at,answer,truth,sure\n" + huge)
    Path("huge.yaml").write_text(MAPPING + "proba: sure\n")
    assert main(["profile", *arguments]) == code
    said = capsys.readouterr().err
    assert said.startswith("inferwatch: ") and says in said and said.count("\n") == 1


def built(name, shift, words="DE FR"):
    """A profile of a hundred rows with a number and a word."""
    first, second = words.split()
    rows = "".join(
        f"r{n},{1_700_000_000_000 + n},yes,no,{first if n % 3 else second},{n + shift},{n}\n"
        for n in range(100)
    )
    Path(f"{name}.csv").write_text(f"id,at,answer,truth,country,age,{name}\n" + rows)
    options = ["--task", "binary", "--positive", "yes", "--out", f"{name}.json"]
    assert main(["profile", "build", f"{name}.csv", *options]) == 0


def test_two_profiles_are_compared_column_by_column(folder, capsys):
    """As a window of the second's rows would be: half of them moved gives the KS of that."""
    built("old", 0)
    built("moved", 50, "DE US")
    capsys.readouterr()
    assert main(["profile", "diff", "old.json", "moved.json"]) == 0
    head, titles, *lines = capsys.readouterr().out.splitlines()
    assert head == "100 rows of moved.json against 100 of old.json"
    assert titles.split()[0] == "COLUMN"
    found = {line.split()[0]: line.split()[1:] for line in lines if ":" not in line}
    assert float(found["age"][1]) == pytest.approx(0.5, abs=0.01)
    assert float(found["age"][3]) == pytest.approx(50 / np.arange(100).std(), rel=0.01)
    assert float(found["country"][0]) > 1 and float(found["prediction"][0]) == 0
    assert lines[-2:] == ["gone: old", "new: moved"]
    Path("moved.values.npz").unlink()
    assert main(["profile", "diff", "old.json", "moved.json"]) == 0
    assert "without moved.values.npz: age" in capsys.readouterr().out


def embedded(name, mean, size=3):
    """A profile of a hundred rows with a vector, of a Parquet file's lists; every tenth without."""
    vectors = np.random.default_rng(7).normal(mean, 1.0, (100, size)).tolist()
    columns = {
        "id": [f"r{n}" for n in range(100)],
        "at": [1_700_000_000_000 + n for n in range(100)],
        "answer": ["yes"] * 100,
        "truth": ["no"] * 100,
        "vector": [None if n % 10 == 0 else vector for n, vector in enumerate(vectors)],
    }
    parquet.write_table(pa.table(columns), f"{name}.parquet")
    Path("mapping.yaml").write_text(MAPPING + "embedding: vector\n")
    options = ["--task", "binary", "--positive", "yes", "--out", f"{name}.json"]
    assert main(["profile", "build", f"{name}.parquet", *options]) == 0


def test_vectors_of_a_table_are_described_and_compared(folder, capsys):
    """Directions and bins are stored, shown and compared; vectors of other sizes are not."""
    embedded("old", 0.0)
    assert "  embedding: 3 numbers, seen along 16 directions, 10 of 100 rows without\n" in (
        capsys.readouterr().out
    )
    profile, _ = profiles.read(Path("old.json"))
    assert len(profile.embedding.directions) == 16 * 3
    embedded("same", 0.0)
    embedded("moved", 2.0)
    embedded("wider", 0.0, size=4)
    distance = {}
    for name in ("same", "moved", "wider"):
        capsys.readouterr()
        assert main(["profile", "diff", "old.json", f"{name}.json"]) == 0
        lines = capsys.readouterr().out.splitlines()
        distance[name] = [float(line.split()[-1]) for line in lines if line[:9] == "embedding"]
    assert distance["same"] == [pytest.approx(0.0, abs=0.02)]
    assert distance["moved"][0] > 1.0 and distance["wider"] == []
    assert lines[-1].startswith("not compared") and lines[-1].endswith(": embedding")


def test_a_column_of_vectors_without_any_is_told(folder, capsys):
    """A profile without an embedding is written, and says which column should have had it."""
    embedded("old", 0.0)
    assert capsys.readouterr().err == ""
    table = parquet.read_table("old.parquet")
    table = table.set_column(table.column_names.index("vector"), "vector", pa.nulls(100))
    parquet.write_table(table, "none.parquet")
    options = ["--task", "binary", "--positive", "yes", "--out", "none.json"]
    assert main(["profile", "build", "none.parquet", *options]) == 0
    assert capsys.readouterr().err == (
        "inferwatch: no row has a vector in 'vector': "
        "the profile has no embedding to compare with\n"
    )
    assert profiles.read(Path("none.json"))[0].embedding is None


def test_a_profile_does_not_differ_from_itself(folder, capsys):
    """Every figure is zero."""
    built("old", 0)
    profile, values = profiles.read(Path("old.json"))
    for drift in profiles.compare(profile, profile, values).values():
        assert drift.psi.value == 0 and drift.effect.value == pytest.approx(0, abs=1e-12)


def told(capsys, task, *options):
    """What is said of a profile that is built nevertheless."""
    assert main(["profile", "build", "t.csv", "--task", task, *options, "--out", "p.json"]) == 0
    return capsys.readouterr().err


def test_what_the_rows_do_not_have_is_said(folder, capsys):
    """A positive class of no row, labels of no row, a segment column that none has, scores that are
    no probabilities, and a ranking without a query.
    """
    assert told(capsys, "binary", "--positive", "yes", "--segments", "country") == ""
    said = told(capsys, "binary", "--positive", "yes", "--segments", "contry")
    assert "segment column 'contry'; did you mean 'country'? figures are not cut by it" in said
    said = told(capsys, "binary", "--positive", "Yes")
    assert "positive class 'Yes' but 'no', 'yes'" in said and said.count("\n") == 1
    assert "recall" not in profiles.read(Path("p.json"))[0].quality[""]
    assert told(capsys, "multiclass") == ""
    rows = "".join(
        f"c{n % 20},{1_700_000_000_000 + n},no,{'no' if n < 49 else 'yes'}\n" for n in range(50)
    )
    Path("t.csv").write_text("id,at,answer,truth\n" + rows)
    said = told(capsys, "multiclass")
    assert "30 of 50 rows repeat a prediction id" in said and said.count("\n") == 1
    right = profiles.read(Path("p.json"))[0].quality[""]["accuracy"]
    assert right == pytest.approx(47 / 50), "one label in 50 is wrong, and all three of c9"
    rows = "".join(f"r{n},{1_700_000_000_000 + n},yes,no,{n}\n" for n in range(50))
    Path("t.csv").write_text("id,at,answer,truth,sure\n" + rows)
    Path("mapping.yaml").write_text(MAPPING + "proba: sure\n")
    said = told(capsys, "binary", "--positive", "yes")
    assert "scores from 0 to 49 are no probabilities" in said and said.count("\n") == 1
    Path("mapping.yaml").write_text(MAPPING)
    # a feature is called `score` here, and the rows have no score: it is a feature like any other
    rows = "".join(f"r{n},{1_700_000_000_000 + n},{n},{n % 2},q{n // 5},{n}\n" for n in range(50))
    Path("t.csv").write_text("id,at,answer,truth,query,score\n" + rows)
    assert "no query has a score and a label" in told(capsys, "ranking")
    Path("mapping.yaml").write_text(f"{MAPPING}entity_id: query\nproba: score\n")
    assert told(capsys, "ranking") == ""
    assert "mrr" in profiles.read(Path("p.json"))[0].quality[""]
    Path("t.csv").write_text("id,at,answer,truth,query,score\nr1,1700000000000,1,,q,1\n")
    assert "no label is of any" in told(capsys, "ranking")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux that is always full")
def test_a_full_disk_is_no_slip(folder, capsys, monkeypatch):
    """Exit 74, and the file's name."""
    monkeypatch.setattr(profiles, "write", lambda *_: Path("/dev/full").write_text("x"))
    assert main(["profile", "build", "t.csv", "--task", "binary", "--out", "p.json"]) == 74
    assert "No space left on device: 'p.json'" in capsys.readouterr().err
