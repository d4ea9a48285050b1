"""Profiles: what the rows of a table are like, as numpy and scikit-learn have it."""

import random
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from msgspec import structs
from sklearn.metrics import accuracy_score, log_loss, ndcg_score, recall_score, roc_auc_score

from inferwatch.config import profiles
from inferwatch.core import soundness
from inferwatch.core.reference import category_profile
from inferwatch.core.sketches import score_labels
from inferwatch.errors import ConfigError
from inferwatch.records import ids
from inferwatch.records.definition import CategoryProfile, ModelFacts, NumericProfile
from inferwatch.records.rows import Rows, Truths, Words

EXAMPLE = Path(__file__).parents[3] / "examples" / "car-loan"
FACTS = ModelFacts(task="binary", positive="1", segments=["country"])


def table(
    numeric: dict[str, np.ndarray],
    *,
    prediction: np.ndarray | None = None,
    score: np.ndarray | None = None,
    country: list[str] | None = None,
    entity: list[str] | None = None,
    cut: int = 7,
) -> list[Rows]:
    """Rows in batches of `cut`, as a table or a topic gives them."""
    n = len(next(iter(numeric.values())))
    countries = country or ["DE"] * n
    found = []
    for start in range(0, n, cut):
        part = slice(start, min(start + cut, n))
        size = part.stop - start
        words = tuple(dict.fromkeys(countries[part]))
        codes = np.array([words.index(word) for word in countries[part]], np.int32)
        found.append(
            Rows(
                model="team/model",
                version="1",
                emitter="",
                seq=-1,
                emitted=0,
                dropped=0,
                n=size,
                time_ms=np.arange(part.start, part.stop, dtype=np.int64) + 1_000,
                ids=ids.pack(str(row) for row in range(part.start, part.stop)),
                numeric_names=tuple(numeric),
                numeric=np.stack([column[part] for column in numeric.values()]).astype(np.float32),
                categories={"country": Words(words, codes)},
                prediction=None if prediction is None else prediction[part],
                score_names=() if score is None else ("score",),
                scores=np.empty((0, size)) if score is None else score[np.newaxis, part],
                latency_ms=None,
                error=None,
                segments={},
                entity=None if entity is None else ids.pack(entity[part]),
            )
        )
    return found


def truths(label: np.ndarray) -> Truths:
    """A label for every row."""
    return Truths(
        model="team/model",
        version="1",
        emitter="",
        seq=-1,
        emitted=0,
        dropped=0,
        n=len(label),
        time_ms=np.full(len(label), 5_000, np.int64),
        ids=[str(row) for row in range(len(label))],
        label=label,
    )


columns = arrays.arrays(
    np.float32,
    st.integers(1, 60),
    elements=st.one_of(st.floats(-1e6, 1e6, width=32), st.just(np.nan), st.just(np.inf)),
)


@given(columns, st.integers(1, 61))
def test_a_numeric_column_is_what_numpy_says(column, cut):
    """Mean, sd, range and counts, however the rows were cut; an empty column has no profile."""
    profile, values = profiles.build("p", ModelFacts(), table({"x": column}, cut=cut), [])
    assert soundness.profile_problem(profile) == ""
    finite = column[np.isfinite(column)].astype(np.float64)
    if not len(finite):
        assert "x" not in profile.numeric and "x" not in values
        return
    found = profile.numeric["x"]
    assert found.mean == pytest.approx(finite.mean(), abs=1e-6)
    assert found.sd == pytest.approx(finite.std(ddof=1) if len(finite) > 1 else 0.0, abs=1e-6)
    assert (found.least, found.most) == (finite.min(), finite.max())
    assert sum(found.counts) == len(column)
    assert found.counts[-1] == len(column) - len(finite)
    assert values["x"].tolist() == sorted(finite.tolist())
    edges = np.array(found.edges, np.float32)
    expected = np.bincount(np.searchsorted(edges, np.float32(finite), side="left"))
    assert found.counts[: len(expected)] == expected.tolist()


@given(
    st.lists(st.sampled_from(["DE", "FR", "", "é"]), min_size=1, max_size=40), st.integers(1, 41)
)
def test_words_are_counted_however_rows_are_cut(words, cut):
    """The sorted words with their counts."""
    x = np.zeros(len(words))
    profile, _ = profiles.build("p", ModelFacts(), table({"x": x}, country=words, cut=cut), [])
    counts = {word: words.count(word) for word in words}
    assert profile.categories["country"] == category_profile(counts, 0)
    assert isinstance(profile.categories["country"], CategoryProfile)


def test_label_figures_are_scikit_learns():
    """Of all rows and of every segment, with scores from the rows themselves."""
    draw = np.random.default_rng(4)
    label = draw.integers(0, 2, 500).astype(np.float64)
    predicted = np.where(draw.random(500) < 0.8, label, 1 - label)
    score = np.clip(label * 0.3 + draw.random(500) * 0.7, 0, 1)
    country = draw.choice(["DE", "FR"], 500).tolist()
    rows = table({"x": score}, prediction=predicted, score=score, country=country, cut=77)
    profile, _ = profiles.build("p", FACTS, rows, [truths(label)])
    for name, mine in (
        ("", np.ones(500, bool)),
        ("country=DE", np.array([word == "DE" for word in country])),
    ):
        found = profile.quality[name]
        assert found["accuracy"] == pytest.approx(accuracy_score(label[mine], predicted[mine]))
        assert found["recall"] == pytest.approx(recall_score(label[mine], predicted[mine]))
        assert found["auc"] == pytest.approx(roc_auc_score(label[mine], score[mine]))
    assert set(profile.quality) == {"", "country=DE", "country=FR"}
    assert isinstance(profile.score, NumericProfile)
    assert profile.prediction == category_profile(
        {"0": int((predicted == 0).sum()), "1": int((predicted == 1).sum())}, 0
    )
    for truth, counts in enumerate(profile.labelled):
        mine = score_labels.bin_of(score[label == truth])
        assert counts == np.bincount(mine, minlength=score_labels.BINS).tolist()


def test_of_many_segments_the_heaviest_have_figures():
    """Wherever they come first: the rest is `__other__`, as it is in the fold."""
    words = [f"first-{row}" for row in range(10)] + ["DE"] * 60 + ["FR"] * 30
    label = np.ones(100)
    rows = table({"x": label}, prediction=label, country=words, cut=40)
    facts = msgspec.structs.replace(FACTS, segments_max=2)
    profile, _ = profiles.build("p", facts, rows, [truths(label)])
    assert set(profile.quality) == {"", "country=DE", "country=FR", "country=__other__"}


def test_without_labels_there_are_no_label_figures():
    """Nothing is made up."""
    profile, _ = profiles.build("p", FACTS, table({"x": np.arange(9.0)}), [])
    assert profile.quality == {} and profile.labelled == []
    with pytest.raises(ConfigError, match="at least one row"):
        profiles.build("p", FACTS, [], [])


def test_a_profile_comes_back_as_it_was_written(tmp_path):
    """Both files; a column may have any name, also those that numpy's own writer takes."""
    numeric = {
        name: np.arange(20.0) * place for place, name in enumerate(["file", "a/b", "é", "x.npy"])
    }
    profile, values = profiles.build("p", ModelFacts(), table(numeric), [])
    profiles.write(tmp_path / "p.json", profile, values)
    again, columns = profiles.read(tmp_path / "p.json")
    assert again == profile
    assert {name: column.tolist() for name, column in columns.items()} == {
        name: column.tolist() for name, column in values.items()
    }
    assert profiles.values_digest(columns) == profile.values_digest


def test_features_may_be_called_as_the_models_own_columns():
    """A number `score` and a word `prediction` are compared beside the model's score and answer."""
    built = []
    for moved in (0.0, 50.0):
        score, answer = np.linspace(0, 1, 100), np.arange(100) % 2.0
        rows = table({"score": np.arange(100) + moved}, prediction=answer, score=score)
        rows = [
            structs.replace(one, categories={"prediction": one.categories["country"]})
            for one in rows
        ]
        built.append(profiles.build("p", ModelFacts(task="binary"), rows, []))
    (old, values), (new, moved_values) = built
    assert (values["score"].max(), values["feature.score"].max()) == (1, 99)
    found = profiles.compare(old, new, moved_values)
    assert {name: round(drift.effect.value, 2) for name, drift in found.items()} == {
        "score": 0,
        "feature.score": 0.5,
        "prediction": 0,
        "feature.prediction": 0,
    }


def test_the_digest_names_the_columns():
    """Another value, another name or another order of values is another digest."""
    base = {"x": np.array([1.0, 2.0]), "y": np.array([3.0])}
    others = [
        {"x": np.array([1.0, 2.5]), "y": np.array([3.0])},
        {"z": np.array([1.0, 2.0]), "y": np.array([3.0])},
        {"x": np.array([2.0, 1.0]), "y": np.array([3.0])},
        {"x": np.array([1.0, 2.0])},
    ]
    digests = [profiles.values_digest(values) for values in (base, *others)]
    assert len(set(digests)) == len(digests)
    turned = dict(reversed(base.items()))
    assert profiles.values_digest(turned) == digests[0]


def test_without_the_second_file_there_are_no_columns(tmp_path):
    """A profile alone serves every window but exact ones."""
    shutil.copy(EXAMPLE / "profile.json", tmp_path)
    profile, values = profiles.read(tmp_path / "profile.json")
    assert values == {} and profile.values_digest is not None


def test_a_profile_keeps_some_of_its_rows(tmp_path):
    """Whole rows of the numeric features, however the table was cut; they come back as written."""
    numbers = np.random.default_rng(1).normal(size=(2, 3_000)).astype(np.float32)
    numeric = {"y": numbers[0], "x": numbers[1], "none": np.full(3_000, np.nan)}
    found = []
    for cut in (100, 3_000):
        rows = table(numeric, cut=cut)
        profile, values = profiles.build("p", ModelFacts(), rows, [])
        profile, sample = profiles.with_sample(profile, rows)
        found.append({name: column.tolist() for name, column in sample.items()})
    assert found[0] == found[1] and list(found[0]) == ["x", "y"]
    pairs = set(zip(*(found[0][name] for name in ("x", "y")), strict=True))
    assert len(pairs) == 1_000
    assert pairs < {(float(x), float(y)) for y, x in numbers.T}
    profiles.write(tmp_path / "p.json", profile, values, sample)
    again, _ = profiles.read(tmp_path / "p.json")
    assert again == profile
    read = profiles.read_sample(tmp_path / "p.json", profile)
    assert {name: column.tolist() for name, column in read.items()} == found[0]
    (tmp_path / "p.values.npz").rename(tmp_path / "p.sample.npz")
    with pytest.raises(ConfigError, match=r"p\.sample\.npz: does not belong to the profile"):
        profiles.read_sample(tmp_path / "p.json", profile)


def test_columns_of_another_profile_are_refused(tmp_path):
    """The digest binds the two files."""
    shutil.copy(EXAMPLE / "profile.json", tmp_path)
    other, values = profiles.build("p", ModelFacts(), table({"x": np.arange(9.0)}), [])
    profiles.write(tmp_path / "other.json", other, values)
    (tmp_path / "other.values.npz").rename(tmp_path / "profile.values.npz")
    with pytest.raises(ConfigError, match=r"profile\.values\.npz: does not belong to the profile"):
        profiles.read(tmp_path / "profile.json")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is no profile"),
        (b"{}", "is no profile: Object missing required field"),
        (b"[1]", "is no profile"),
        (b"\xff\xfe", "is no profile"),
        (b'{"name": "\xff"}', "is no profile"),
        (None, "cannot be read: No such file"),
    ],
)
def test_what_is_no_profile_is_told(tmp_path, content, says):
    """One sentence with the file and the command that makes one."""
    path = tmp_path / "p.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        profiles.read(path)
    assert says in str(caught.value)
    assert caught.value.file == str(path) and "profile build" in caught.value.fix


@given(st.integers(0, 1 << 32))
def test_damaged_columns_are_told(tmp_path_factory, seed):
    """Cut short, overwritten or with a piece missing: never another exception."""
    draw, folder = random.Random(seed), tmp_path_factory.mktemp("damaged")
    shutil.copy(EXAMPLE / "profile.json", folder)
    data = bytearray((EXAMPLE / "profile.values.npz").read_bytes())
    at = draw.randrange(len(data))
    match draw.randrange(3):
        case 0:
            del data[at:]
        case 1:
            data[at : at + 20] = draw.randbytes(20)
        case 2:
            del data[at : at + draw.randint(1, 2_000)]
    (folder / "profile.values.npz").write_bytes(data)
    try:
        profile, values = profiles.read(folder / "profile.json")
    except ConfigError as error:
        assert error.file.endswith("profile.values.npz") and error.fix
    else:
        assert profiles.values_digest(values) == profile.values_digest


def test_a_profile_that_cannot_travel_is_refused(tmp_path):
    """An id among the features makes a profile that no record can carry."""
    words = [f"customer-{n:08}" for n in range(20_000)]
    rows = table({"x": np.zeros(len(words))}, country=words, cut=5_000)
    profile, values = profiles.build("p", ModelFacts(), rows, [])
    with pytest.raises(ConfigError, match=r"larger than 256 KiB.*leave out features"):
        profiles.write(tmp_path / "p.json", profile, values)
    assert not (tmp_path / "p.json").exists()


def test_a_ranking_has_the_figures_of_its_queries():
    """Those of scikit-learn's NDCG over queries that lie in many batches, by segment too."""
    luck = np.random.default_rng(3)
    names = [f"q{row // 6}" for row in range(120)]
    score, truth = luck.random(120), luck.integers(0, 3, 120).astype(np.float64)
    country = [("DE", "FR")[row // 60] for row in range(120)]
    rows = table({"x": score}, score=score, entity=names, country=country)
    facts = ModelFacts(task="ranking", segments=["country"])
    profile, _ = profiles.build("p", facts, rows, [truths(truth)])
    by_query = (truth.reshape(-1, 6), score.reshape(-1, 6))
    assert profile.quality[""]["ndcg@3"] == pytest.approx(ndcg_score(*by_query, k=3))
    half = ndcg_score(*(part[:10] for part in by_query), k=3)
    assert profile.quality["country=DE"]["ndcg@3"] == pytest.approx(half)


def test_a_ranking_counts_the_queries_that_windows_count():
    """Wherever a query's rows lie; none for rows that name none, nor of more than 1,000 rows."""
    luck = np.random.default_rng(5)
    score, truth = luck.random(1_201), luck.integers(0, 3, 1_201).astype(np.float64)
    names = np.array(["long"] * 1_001 + [f"q{row % 20}" for row in range(160)] + [""] * 40)
    facts = ModelFacts(task="ranking")

    def ndcg(at):
        rows = table({"x": score[at]}, score=score[at], entity=names[at].tolist(), cut=50)
        profile, _ = profiles.build("p", facts, rows, [truths(truth[at])])
        return profile.quality[""]["ndcg@3"]

    of_query = [np.flatnonzero(names == f"q{query}") for query in range(20)]
    expected = ndcg_score([truth[at] for at in of_query], [score[at] for at in of_query], k=3)
    assert ndcg(luck.permutation(1_201)) == pytest.approx(expected)
    assert ndcg(np.arange(1, 1_201)) != pytest.approx(expected)


def test_several_classes_have_figures_of_their_scores_and_of_each_class():
    """Log-loss of the scores by class, and recall of each, as scikit-learn has them."""
    luck = np.random.default_rng(4)
    p, truth = luck.dirichlet(np.ones(3), 90), luck.integers(0, 3, 90).astype(np.float64)
    rows = [
        structs.replace(one, score_names=("0", "1", "2"), scores=p.T[:, at : at + 7])
        for at, one in zip(
            range(0, 90, 7), table({"x": truth}, prediction=p.argmax(axis=1) * 1.0), strict=True
        )
    ]
    profile, values = profiles.build("p", ModelFacts(task="multiclass"), rows, [truths(truth)])
    found = profile.quality[""]
    assert found["log_loss"] == pytest.approx(log_loss(truth, p), rel=1e-5)
    recalls = recall_score(truth, p.argmax(axis=1), average=None)
    assert [found[f"class.{one}.recall"] for one in range(3)] == pytest.approx(recalls)
    np.testing.assert_array_equal(values["score"], np.sort(p[:, 1]))
