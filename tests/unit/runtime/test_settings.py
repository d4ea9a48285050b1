"""Settings of a process from the environment, for those that Faust's own command line starts."""

import os
from pathlib import Path

import pytest

from inferwatch.connection import Connection
from inferwatch.errors import ConfigError
from inferwatch.runtime.settings import NotifierSettings, WorkerSettings

SERVER = {"INFERWATCH_BOOTSTRAP_SERVERS": "kafka:9092"}
BOTH = (WorkerSettings, NotifierSettings)


@pytest.mark.parametrize("kind", BOTH)
def test_brokers_are_enough(kind):
    """Everything else has the default of the command line."""
    assert kind.from_environment(SERVER) == kind(Connection("kafka:9092"))


@pytest.mark.parametrize("kind", BOTH)
def test_without_brokers_it_is_told(kind):
    """By the name of the variable."""
    with pytest.raises(ConfigError) as caught:
        kind.from_environment({})
    assert str(caught.value).startswith("INFERWATCH_BOOTSTRAP_SERVERS: no broker is configured")


def test_every_variable_is_read():
    """Files as in PATH, the listening address, channels, the embedded broker's short timeout."""
    files = os.pathsep.join(["a.yaml", "", "deep/b.yaml"])
    environment = SERVER | {
        "INFERWATCH_PREFIX": "p.",
        "INFERWATCH_MONITORS": files,
        "INFERWATCH_HTTP_LISTEN": "0.0.0.0:80",
        "INFERWATCH_CHANNELS": "c.yaml",
        "INFERWATCH_EMBEDDED": "1",
        "INFERWATCH_MODELS_MAX": "7",
    }
    worker = WorkerSettings.from_environment(environment)
    assert worker == WorkerSettings(
        Connection("kafka:9092", prefix="p."),
        monitors=(Path("a.yaml"), Path("deep/b.yaml")),
        embedded=True,
        session_timeout_s=3.0,
        http_listen="0.0.0.0:80",
        models_max=7,
    )
    notifier = NotifierSettings.from_environment(environment)
    assert notifier == NotifierSettings(
        Connection("kafka:9092", prefix="p."),
        channels=Path("c.yaml"),
        embedded=True,
        session_timeout_s=3.0,
        http_listen="0.0.0.0:80",
    )


@pytest.mark.parametrize("said", ["0", "-1", "many", ""])
def test_a_number_of_models_that_is_none_is_told(said):
    """By the name of the variable: a worker that took none would lose every record."""
    with pytest.raises(ConfigError, match="INFERWATCH_MODELS_MAX"):
        WorkerSettings.from_environment(SERVER | {"INFERWATCH_MODELS_MAX": said})


def test_each_set_of_topics_has_groups_of_its_own():
    """Two prefixes on one Kafka do not share members."""
    one, two = Connection("kafka:9092"), Connection("kafka:9092", prefix="p.")
    assert WorkerSettings(one).group == "inferwatch.worker"
    assert NotifierSettings(one).group == "inferwatch.notifier"
    groups = {kind(connection).group for kind in BOTH for connection in (one, two)}
    assert len(groups) == 4


def test_settings_show_no_password():
    """Printed into a log they name brokers and nothing secret."""
    secret = Connection("kafka:9092", {"sasl.password": "canary"})
    assert "canary" not in repr(WorkerSettings(secret)) + repr(NotifierSettings(secret))
