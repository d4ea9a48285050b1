"""Requests as bytes, answers as bytes: the same in any process."""

import io
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from inferwatch import inspect
from inferwatch.core.inspectors import MISSED, WRONG, Request
from inferwatch.inspect.__main__ import serve
from inferwatch.inspect.answer import answer, unanswered
from inferwatch.records.decode import decode
from inferwatch.records.events import Inspection
from inferwatch.records.raw import JSON, RawRecord, headers

WINDOW = "00000007aaaabbbbccccdddd"
ROOT = Path(__file__).parents[3]


def request(method="lof", shift=0.0, n=100, width=3):
    """A request about n rows whose last column has moved."""
    draw = np.random.default_rng(1)
    reference = draw.normal(size=(width, 300)).astype("<f4")
    rows = draw.normal(size=(width, n)).astype("<f4")
    rows[-1:] += shift
    return msgspec.msgpack.encode(
        Request(
            model="team/model",
            window=WINDOW,
            method=method,
            features=[f"f{at}" for at in range(width)],
            rows=rows.tobytes(),
            reference=reference.tobytes(),
        )
    )


def read(found):
    """An answer as the fold reads it out of the log."""
    described = headers("inspection", id="i", source="t", time="", content_type=JSON)
    record = decode(RawRecord("events.v1", 0, 0, 0, b"team/model", found, described)).record
    assert isinstance(record, Inspection)
    return record


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("method", inspect.ROWS)
def test_an_answer_is_that_of_the_method(method):
    """To twelve digits, with what computed it; the window's id is the seed."""
    asked = msgspec.msgpack.decode(request(method, 3.0, n=200), type=Request)
    wanted = inspect.rows(method, asked.matrix(asked.reference), asked.matrix(asked.rows), seed=7)
    found = read(answer(request(method, 3.0, n=200)))
    assert (found.model, found.window, found.method) == ("team/model", WINDOW, method)
    assert found.value == pytest.approx(wanted.value, rel=1e-11)
    assert (found.n, found.reference_n) == (200, 300)
    assert found.library.startswith("scikit-learn 1.")


def test_the_columns_that_tell_are_named():
    """A column that moved has most of the shares, which are no more than one."""
    found = read(answer(request("domain_classifier", 3.0, width=8)))
    assert next(iter(found.features)) == "f7" or max(found.features, key=found.features.get) == "f7"
    assert len(found.features) == 5 and sum(found.features.values()) <= 1
    assert found.features["f7"] > 0.6


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize("method", inspect.ROWS)
def test_an_answer_says_in_words_where_the_window_is_new(method):
    """Whatever was asked; where nothing moved there is no such place."""
    worst = read(answer(request(method, 3.0))).slice
    assert worst.rule.startswith("f2 > ") and worst.share > 0.9 > 0.3 > worst.reference_share
    assert read(answer(request(method))).slice is None


def test_features_that_no_longer_go_together_are_named():
    """With their correlation in the reference and now."""
    draw = np.random.default_rng(1)
    reference, rows = draw.normal(size=(2, 3, 400)).astype("<f4")
    rows[2] = rows[0]
    asked = Request(
        model="team/model",
        window=WINDOW,
        method="correlation",
        features=["age", "amount", "days"],
        rows=rows.tobytes(),
        reference=reference.tobytes(),
    )
    (pair,) = read(answer(msgspec.msgpack.encode(asked))).pairs
    assert pair.features == ("age", "days") and abs(pair.before) < 0.2 and pair.now == 1.0


@pytest.mark.parametrize("error", [WRONG, MISSED])
def test_where_the_errors_are_is_said(error):
    """With the rates of both sides; of numbers with the size that counts as an error."""
    draw = np.random.default_rng(1)
    before, rows = draw.normal(size=(2, 3, 600)).astype("<f4")
    before[0], rows[0] = draw.random(600) < 0.1, (rows[2] > 0.5) | (draw.random(600) < 0.1)
    asked = Request(
        model="team/model",
        window=WINDOW,
        method="error_slice",
        metric="errors",
        features=[error, "age", "amount"],
        rows=(rows if error == WRONG else np.stack([rows[0] * 2 + rows[1] / 9, *rows[1:]]))
        .astype("<f4")
        .tobytes(),
        reference=before.tobytes(),
    )
    found = read(answer(msgspec.msgpack.encode(asked)))
    assert found.errors.rule.startswith("amount > ") and found.slice is None
    assert (found.metric, found.n, found.reference_n) == ("errors", 600, 600)
    assert found.errors.error_rate > 0.8 and 0 < found.value < 1
    assert (found.errors.above is None) == (error == WRONG)


def test_what_has_no_answer_says_why():
    """Too few rows, no columns, or no inspector: a reason in place of a value."""
    assert read(answer(request(n=10))).unknown == "10 rows of 50"
    assert read(answer(request(width=0))).unknown == "no columns"
    found = read(unanswered(request(), "the inspector ended"))
    assert (found.value, found.unknown, found.window) == (None, "the inspector ended", WINDOW)


def test_requests_are_answered_in_turn():
    """Over one pair of streams, each with its length before it, until the input ends."""
    asked = [request(shift=0.0), request(shift=3.0)]
    stream = io.BytesIO(b"".join(len(one).to_bytes(4) + one for one in asked))
    sink = io.BytesIO()
    serve(stream, sink)
    wanted = b"".join(len(found).to_bytes(4) + found for found in map(answer, asked))
    assert sink.getvalue() == wanted


def test_another_process_gives_the_same_bytes():
    """Whatever its hash seed."""
    asked = request(shift=1.0)
    told = subprocess.run(
        [sys.executable, "-m", "inferwatch.inspect"],
        input=len(asked).to_bytes(4) + asked,
        capture_output=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "pipeline"), "PYTHONHASHSEED": "3"},
    ).stdout
    assert told[4:] == answer(asked)


def test_a_process_whose_worker_is_gone_ends_without_a_word():
    """Nobody is left to read the answer."""
    asked = request()
    child = subprocess.Popen(
        [sys.executable, "-m", "inferwatch.inspect"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT / "pipeline")},
    )
    child.stdout.close()
    _, told = child.communicate(len(asked).to_bytes(4) + asked)
    assert (child.returncode, told) == (0, b"")
