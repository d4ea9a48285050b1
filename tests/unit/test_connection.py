"""One description of a connection, for every client and every process that is started."""

import argparse
import ssl

import pytest
import trustme
from aiokafka.abc import AbstractTokenProvider
from cryptography.hazmat.primitives import serialization

from inferwatch.cli.connect import add_connection, given
from inferwatch.connection import SECRETS, Connection, read_properties
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


@pytest.mark.parametrize(
    ("options", "variables", "expected"),
    [
        (["--bootstrap-server", "b:1"], ["prefix", "file"], ("b:1", "ours.", "SSL")),
        (["--prefix", "mine."], ["file"], ("kafka:9092", "mine.", "SSL")),
        (["--prefix", "mine."], ["prefix", "file", "servers"], ("e:1", "mine.", "SSL")),
        (["file"], ["servers"], ("kafka:9092", "inferwatch.", "SSL")),
        (["file", "--bootstrap-server", "b:1"], ["prefix"], ("b:1", "ours.", "SSL")),
    ],
)
def test_what_no_option_says_the_environment_does(
    connection, monkeypatch, options, variables, expected
):
    """Each by itself: brokers on the command line let no prefix and no security of the environment
    be forgotten.
    """
    said = {
        "prefix": ("PREFIX", "ours."),
        "file": ("CLIENT_PROPERTIES", str(connection.file)),
        "servers": ("BOOTSTRAP_SERVERS", "e:1"),
    }
    for name, value in (said[variable] for variable in variables):
        monkeypatch.setenv(f"INFERWATCH_{name}", value)
    parser = argparse.ArgumentParser()
    add_connection(parser)
    words = [
        ["--client-properties", str(connection.file)] if one == "file" else [one] for one in options
    ]
    found = given(parser.parse_args([word for part in words for word in part]))
    assert (found.bootstrap_servers, found.prefix, found.protocol) == expected


def test_a_property_that_the_worker_cannot_use_is_named():
    """A setting without an equal in aiokafka is refused, not dropped silently."""
    with pytest.raises(ConfigError, match="linger\\.ms"):
        Connection("kafka:9092", {"linger.ms": "5"}).aiokafka()


SCRAM = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "a",
    "sasl.password": "canary",
}
OAUTH = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "OAUTHBEARER",
    "sasl.oauthbearer.method": "oidc",
    "sasl.oauthbearer.token.endpoint.url": "https://issuer.test/token",
    "sasl.oauthbearer.client.id": "a",
    "sasl.oauthbearer.client.secret": "canary",
}


@pytest.mark.parametrize("client", [Connection.librdkafka, Connection.aiokafka])
@pytest.mark.parametrize(
    ("base", "change", "says"),
    [
        (SCRAM, {"security.protocol": "TLS"}, "security.protocol: is none"),
        (SCRAM, {"security.protocol": "SSL"}, "settings of SASL are without effect"),
        (SCRAM, {"security.protocol": None}, "settings of SASL are without effect"),
        (SCRAM, {"sasl.mechanism": None}, "sasl.mechanism: is missing"),
        (SCRAM, {"sasl.mechanism": "GSSAPI"}, "'GSSAPI' is not supported"),
        (SCRAM, {"sasl.username": None}, "sasl.username: is missing"),
        (SCRAM, {"sasl.password": ""}, "sasl.password: is missing"),
        (
            SCRAM,
            {"sasl.mechanism": "PLAIN", "security.protocol": "sasl_plaintext"},
            "a password would travel in the clear",
        ),
        (OAUTH, {"security.protocol": "SASL_PLAINTEXT"}, "a token would travel in the clear"),
        (SCRAM, {"enable.ssl.certificate.verification": "false"}, "trust whoever answers"),
        (SCRAM, {"ssl.endpoint.identification.algorithm": "none"}, "trust whoever answers"),
        (OAUTH, {"sasl.oauthbearer.method": None}, "method: must be oidc"),
        (OAUTH, {"sasl.oauthbearer.client.id": None}, "client.id: is missing"),
        (OAUTH, {"sasl.oauthbearer.client.secret": None}, "client.secret: is missing"),
        (OAUTH, {"sasl.oauthbearer.token.endpoint.url": None}, "endpoint.url: is missing"),
        (
            OAUTH,
            {"sasl.oauthbearer.token.endpoint.url": "http://issuer.test/token"},
            "a secret would travel in the clear",
        ),
        (
            OAUTH,
            {"sasl.oauthbearer.token.endpoint.url": "https:///token"},
            "a secret would travel in the clear",
        ),
    ],
)
def test_every_client_refuses_what_is_not_safe(client, base, change, says):
    """librdkafka and aiokafka alike, with the key and without the secret."""
    settings = {name: value for name, value in (base | change).items() if value is not None}
    with pytest.raises(ConfigError) as caught:
        client(Connection("kafka:9092", settings))
    assert says in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_password_goes_to_every_client(mechanism):
    """The same name, password and mechanism, under each client's own words, and host names are
    checked.
    """
    connection = Connection("a:1,b:2", SCRAM | {"sasl.mechanism": mechanism})
    assert connection.librdkafka(acks="all") == {
        **connection.properties,
        "bootstrap.servers": "a:1,b:2",
        "acks": "all",
    }
    found = connection.aiokafka()
    context = found.pop("ssl_context")
    assert context.check_hostname and context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert found == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": mechanism,
        "sasl_plain_username": "a",
        "sasl_plain_password": "canary",
    }


def test_a_certificate_goes_to_aiokafka_with_its_password(tmp_path):
    """A key under a password is opened with `ssl.key.password`; without it nobody is asked at the
    terminal.
    """
    issued = trustme.CA().issue_cert("client.test")
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    closed = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"canary"),
    )
    (tmp_path / "key.pem").write_bytes(closed)
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    settings = {
        "security.protocol": "SSL",
        "ssl.certificate.location": str(tmp_path / "cert.pem"),
        "ssl.key.location": str(tmp_path / "key.pem"),
    }
    with pytest.raises(ConfigError, match=r"ssl\.key\.password"):
        Connection("kafka:9092", settings).aiokafka()
    opened = Connection("kafka:9092", settings | {"ssl.key.password": "canary"})
    assert "ssl_context" in opened.aiokafka()
    assert opened.principal() == f"the subject of {tmp_path / 'cert.pem'}"


def test_tokens_go_to_aiokafka_with_their_extensions():
    """The provider is of the kind that aiokafka asks for; the principal names the client."""
    connection = Connection("a:1", OAUTH | {"sasl.oauthbearer.extensions": "x=1, y=2"})
    provider = connection.aiokafka()["sasl_oauth_token_provider"]
    assert isinstance(provider, AbstractTokenProvider)
    assert provider.extensions() == {"x": "1", "y": "2"}
    assert connection.principal() == "the subject of the tokens of client a"


def secret_file(folder, text="sasl.password.file={secret}\n", secret="canary\n", mode=0o600):
    """A properties file that names a file with a secret."""
    (folder / "secret").write_text(secret)
    (folder / "secret").chmod(mode)
    file = folder / "client.properties"
    file.write_text(text.format(secret=folder / "secret"))
    file.chmod(mode)
    return file


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path, caplog, name):
    """Its last line break is not part of it; whoever starts a child gives the path on only."""
    file = secret_file(tmp_path, f"{name}.file={{secret}}\n")
    found = read_properties(file)
    assert found == {name: "canary"}
    connection = Connection("kafka:9092", found, file=file)
    shown = [repr(connection), *connection.arguments(), *connection.environment().values()]
    assert "canary" not in " ".join(shown)
    assert not caplog.records


@pytest.mark.parametrize(
    ("text", "secret", "says"),
    [
        ("sasl.password.file=/nowhere\n", "x", "/nowhere: sasl.password.file: cannot be read"),
        ("sasl.password.file={secret}\n", "\n", "secret: sasl.password.file: is empty"),
        ("sasl.password=canary\nsasl.password.file={secret}\n", "x", "sasl.password is given too"),
    ],
)
def test_a_secret_that_cannot_be_had_is_named(tmp_path, text, secret, says):
    """By its file and its key."""
    with pytest.raises(ConfigError) as caught:
        read_properties(secret_file(tmp_path, text, secret))
    assert says in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("text", ["sasl.password=canary\n", "sasl.password.file={secret}\n"])
def test_a_secret_that_everybody_may_read_is_warned_about(tmp_path, caplog, text):
    """Of the file that holds it, without what it holds."""
    read_properties(secret_file(tmp_path, text, mode=0o644))
    assert "holds a secret and everybody may read it: chmod o-r" in caplog.text
    assert len(caplog.records) == 1
    assert "canary" not in caplog.text


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
