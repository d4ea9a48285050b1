"""worker, notifier, topics, dev, demo, broker: options become settings, mistakes end at once."""

from pathlib import Path

import pytest

from inferwatch.cli.main import main
from inferwatch.connection import Connection
from inferwatch.errors import Exit
from inferwatch.runtime import embedded, notifier, topics, worker
from inferwatch.runtime.settings import NotifierSettings, WorkerSettings
from inferwatch.runtime.topics import Difference

SERVER = ["--bootstrap-server", "kafka:9092"]


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    """Settings of the machine that runs the tests do not count."""
    for name in ("BOOTSTRAP_SERVERS", "CLIENT_PROPERTIES", "PREFIX"):
        monkeypatch.delenv(f"INFERWATCH_{name}", raising=False)


@pytest.fixture
def started(monkeypatch):
    """Settings of the processes that would have been started."""
    found: list[object] = []
    for module in (worker, notifier):
        monkeypatch.setattr(module, "run", lambda settings: found.append(settings) or Exit.DONE)
    return found


def test_a_workers_options_are_its_settings(started):
    """Every option ends in its field; without one the documented default holds."""
    assert main(["worker", *SERVER]) == Exit.DONE
    assert (
        main(
            [
                "worker",
                *SERVER,
                "--prefix",
                "p.",
                "--monitors",
                "a.yaml",
                "b.yaml",
                "--http-listen",
                "0.0.0.0:80",
                "--checkpoint-every",
                "7",
                "--tick-every",
                "3",
                "--session-timeout",
                "20",
                "--accept-state-loss",
            ]
        )
        == Exit.DONE
    )
    assert main(["worker", *SERVER, "--broker", "embedded"]) == Exit.DONE
    plain, full, small = started
    assert plain == WorkerSettings(Connection("kafka:9092"))
    assert full == WorkerSettings(
        Connection("kafka:9092", prefix="p."),
        monitors=(Path("a.yaml"), Path("b.yaml")),
        http_listen="0.0.0.0:80",
        checkpoint_every_s=7.0,
        tick_every_s=3.0,
        session_timeout_s=20.0,
        accept_state_loss=True,
    )
    assert small == WorkerSettings(Connection("kafka:9092"), embedded=True, session_timeout_s=3.0)


def test_a_notifiers_options_are_its_settings(started):
    """As a worker's."""
    main(["notifier", *SERVER])
    main(
        [
            "notifier",
            *SERVER,
            "--channels",
            "c.yaml",
            "--broker",
            "embedded",
            "--http-listen",
            "h:1",
        ]
    )
    assert started == [
        NotifierSettings(Connection("kafka:9092")),
        NotifierSettings(
            Connection("kafka:9092"),
            channels=Path("c.yaml"),
            embedded=True,
            session_timeout_s=3.0,
            http_listen="h:1",
        ),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["worker"], Exit.USAGE, "no broker is named"),
        (["notifier"], Exit.USAGE, "no broker is named"),
        (["topics", "plan"], Exit.USAGE, "no broker is named"),
        (["models"], Exit.USAGE, "no broker is named"),
        (["worker", "--bootstrap-server", "127.0.0.1:1"], Exit.UNAVAILABLE, "no broker answers"),
        (["notifier", "--bootstrap-server", "127.0.0.1:1"], Exit.UNAVAILABLE, "no broker answers"),
        (["topics", "apply", "--bootstrap-server", "127.0.0.1:1"], Exit.UNAVAILABLE, "no broker"),
        (["dev", "--bootstrap-server", "127.0.0.1:1"], Exit.UNAVAILABLE, "no broker answers"),
        (["worker", "--bootstrap-server", "kafka"], Exit.CONFIG, "'kafka' is no broker address"),
        (["worker", *SERVER, "--monitors", "none.yaml"], Exit.CONFIG, "none.yaml: cannot be read"),
        (["dev", "--monitors", "none.yaml"], Exit.CONFIG, "none.yaml: cannot be read"),
        (["notifier", *SERVER, "--channels", "none"], Exit.CONFIG, "none: cannot be read"),
        (["worker", "--client-properties", "none"], Exit.CONFIG, "none: cannot be read"),
        (["demo", "--rows-per-second", "5"], Exit.USAGE, "between 10 and 20,000"),
        (["demo", "--broker", "embedded", *SERVER], Exit.USAGE, "exclude each other"),
    ],
)
def test_what_cannot_start_says_so_at_once(tmp_path, monkeypatch, capsys, arguments, code, says):
    """One sentence, no traceback, and nothing was started."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(topics, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(embedded, "start", lambda *_, **__: pytest.fail("a broker was started"))
    assert main(arguments) == code
    said = capsys.readouterr().err
    assert said.startswith("inferwatch: ") and says in said and said.count("\n") == 1


def test_topics_are_planned_and_applied(monkeypatch, capsys):
    """`plan` changes nothing and finds differences (1) or none (0); `apply` says what it made."""
    there: list[Difference] = [Difference("p.dlq.v1", "topic", "missing", "1 partitions")]
    made: list[tuple[str, int]] = []

    def apply(connection, wanted, replication_factor):
        made.append((connection.prefix, replication_factor))
        there.clear()
        return ["p.dlq.v1"]

    monkeypatch.setattr(topics, "differences", lambda connection, wanted: list(there))
    monkeypatch.setattr(topics, "apply", apply)
    assert main(["topics", "plan", *SERVER, "--prefix", "p."]) == Exit.FINDINGS
    assert capsys.readouterr().out == "p.dlq.v1: topic is missing, wanted 1 partitions\n"
    assert made == []
    assert main(["topics", "apply", *SERVER, "--prefix", "p.", "--replication-factor", "2"]) == 0
    assert capsys.readouterr().out == "created p.dlq.v1\n6 topics are as they should be\n"
    assert made == [("p.", 2)]
    assert main(["topics", "plan", *SERVER, "--prefix", "p."]) == Exit.DONE
