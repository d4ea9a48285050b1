"""One description of a connection, for every client and every process that is started."""

import argparse

import pytest

from inferwatch.cli.connect import add_connection, given
from inferwatch.connection import Connection, read_properties
from inferwatch.errors import ConfigError


@pytest.fixture
def connection(tmp_path) -> Connection:
    """One whose security is in a file."""
    file = tmp_path / "client.properties"
    file.write_text("# theirs\nbootstrap.servers=kafka:9092\nsecurity.protocol = SSL\n")
    return Connection("kafka:9092", read_properties(file), "ours.", file)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    """Settings of the machine that runs the tests do not count."""
    for name in ("BOOTSTRAP_SERVERS", "CLIENT_PROPERTIES", "PREFIX"):
        monkeypatch.delenv(f"INFERWATCH_{name}", raising=False)


def test_a_child_process_makes_the_same_connection(connection):
    """Security settings reach producers and workers that we start, by variables or by options."""
    assert Connection.from_environment(connection.environment()) == connection
    parser = argparse.ArgumentParser()
    add_connection(parser)
    assert given(parser.parse_args(connection.arguments())) == connection


def test_a_file_alone_names_the_brokers(connection):
    """`--client-properties` needs no `--bootstrap-server` beside it."""
    parser = argparse.ArgumentParser()
    add_connection(parser)
    found = given(parser.parse_args(["--client-properties", str(connection.file)]))
    assert found.librdkafka()["bootstrap.servers"] == "kafka:9092"
    assert found.librdkafka()["security.protocol"] == "SSL"


def test_a_property_that_the_worker_cannot_use_is_named():
    """A setting without an equal in aiokafka is refused, not dropped silently."""
    with pytest.raises(ConfigError, match="linger\\.ms"):
        Connection("kafka:9092", {"linger.ms": "5"}).aiokafka()


def test_a_password_never_travels_in_the_clear():
    """PLAIN without TLS is refused."""
    settings = {"security.protocol": "SASL_PLAINTEXT", "sasl.username": "a", "sasl.password": "b"}
    with pytest.raises(ConfigError, match="SASL_SSL") as caught:
        Connection("kafka:9092", settings).aiokafka()
    assert "'b'" not in str(caught.value)


def test_a_connection_does_not_show_its_passwords(connection):
    """Printed into a log it names brokers and nothing secret."""
    secret = Connection("kafka:9092", {"sasl.password": "canary"})
    assert "canary" not in repr(secret)


@pytest.mark.parametrize(
    ("text", "says"), [("nonsense\n", ":1: is no setting"), (None, "cannot be read")]
)
def test_a_broken_file_is_named(tmp_path, text, says):
    """The sentence names file and line."""
    file = tmp_path / "client.properties"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_properties(file)
    assert str(caught.value).startswith(str(file))
    assert says in str(caught.value)


def test_a_file_in_another_encoding_is_named(tmp_path):
    """An editor's mistake is one sentence."""
    file = tmp_path / "client.properties"
    file.write_bytes("sasl.password=ä".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"client\.properties: is not UTF-8"):
        read_properties(file)


@pytest.mark.parametrize(("content", "says"), [(None, "No such file"), ("no PEM", "TLS: ")])
@pytest.mark.parametrize("name", ["ssl.ca.location", "ssl.certificate.location"])
def test_a_certificate_that_cannot_be_used_is_named(tmp_path, name, content, says):
    """The worker tells it before it starts, with the file."""
    file = tmp_path / "cert.pem"
    if content is not None:
        file.write_text(content)
    connection = Connection("kafka:9092", {"security.protocol": "SSL", name: str(file)})
    with pytest.raises(ConfigError) as caught:
        connection.aiokafka()
    assert str(caught.value).startswith(f"{file}: cannot be used for TLS: ")
    assert says in str(caught.value)
