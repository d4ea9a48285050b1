"""A profile of a range of the topic is that of the same rows in a table."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from inferwatch import Monitor
from inferwatch.cli.main import main
from inferwatch.config import profiles
from inferwatch.connection import Connection

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]
MODEL = "team/model"
MAPPING = f"model: {MODEL}\nprediction_id: id\ntimestamp: at\nprediction: answer\nlabel: truth\n"
ROWS = 700


def test_a_topic_and_a_table_give_the_same_profile(embedded_broker, tmp_path, monkeypatch):
    """Columns, words, score and quality of what a server sent, labels after their rows; features
    that some rows lack are missing there.
    """
    monkeypatch.chdir(tmp_path)
    chance = random.Random(1)
    rows = []
    monitor = Monitor(MODEL, "1", connection=Connection(embedded_broker))
    for number in range(ROWS):
        features = {"age": chance.gauss(40, 9), "country": chance.choice(["DE", "FR"])}
        features |= {"late": number} if number >= 600 else {}
        answer, truth = chance.randrange(2), chance.randrange(2)
        id_ = f"r{number}"
        at = 1_700_000_000_000 + number
        monitor.log(features=features, prediction=answer, prediction_id=id_, timestamp=at)
        rows.append({"id": id_, "at": at, "answer": answer, "truth": truth} | features)
    assert monitor.flush(20)
    for row in rows:
        monitor.log_label(row["id"], row["truth"])
    assert monitor.flush(20)
    Path("t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("mapping.yaml").write_text(MAPPING)
    facts = ["--task", "binary", "--segments", "country"]
    topic = ["topic", "--bootstrap-server", embedded_broker, "--model", MODEL]
    assert main(["profile", "build", *topic, *facts, "--out", "topic.json"]) == 0
    assert main(["profile", "build", "t.jsonl", *facts, "--out", "table.json"]) == 0
    (mine, columns), (wanted, wanted_columns) = (
        profiles.read(Path(name)) for name in ("topic.json", "table.json")
    )
    assert mine.rows == ROWS and mine == wanted
    assert len(columns["late"]) == 100
    for name, column in wanted_columns.items():
        np.testing.assert_array_equal(columns[name], column)
    every = ["--since-offset", "0", "--out", "offsets.json"]
    assert main(["profile", "build", *topic, *facts, *every]) == 0
    assert profiles.read(Path("offsets.json"))[0] == mine
    far = ["--until-offset", "1000000", "--out", "none.json"]
    assert main(["profile", "build", *topic, *facts, *far]) == 2
    ahead = ["--since", "2100-01-01"]
    assert main(["profile", "build", *topic, *facts, *ahead, "--out", "none.json"]) == 2
