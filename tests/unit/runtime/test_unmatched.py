"""A worker names the monitor files that match no model when a model has none, and once."""

import logging

import pytest

from inferwatch.config import monitors
from inferwatch.runtime.unmatched import WorkerRules

FILE = "apiVersion: inferwatch/v1\nmatch: {{model: '{}'}}\n"


@pytest.fixture
def rules(tmp_path, caplog):
    """The rules of a worker with a file a glob, and the lines it has logged so far."""
    caplog.set_level(logging.INFO)

    def made(*globs: str):
        paths = [tmp_path / f"{number}.yaml" for number in range(len(globs))]
        for path, glob in zip(paths, globs, strict=True):
            path.write_text(FILE.format(glob))
        told = WorkerRules(monitors.load(paths))
        return told, lambda: [line.replace(f"{tmp_path}/", "") for line in caplog.messages]

    return made


def test_a_misspelt_glob_is_told_with_the_model_that_it_misses(rules):
    """With the file, the glob and the model; a file that matches is not named."""
    told, lines = rules("risk/fruad-*", "risk/churn")
    told.definition("risk/churn")
    assert lines() == []
    told.definition("risk/fraud-eu")
    assert lines() == [
        "0.yaml: 'risk/fruad-*' matches no model so far; watched by the default set: risk/fraud-eu"
    ]


def test_it_is_told_once(rules):
    """However many models and records come after it."""
    told, lines = rules("risk/*", "other/*")
    for name in ("team/a", "team/b", "team/a"):
        told.definition(name)
    assert len(lines()) == 2


@pytest.mark.parametrize("globs", [(), ("team/a",), ("team/a", "other/*", "more/*")])
def test_nothing_is_told_while_every_model_has_its_file(rules, globs):
    """Nor where there are no files: a file's models may be on another worker."""
    told, lines = rules(*globs)
    told.definition("team/a")
    assert lines() == []
