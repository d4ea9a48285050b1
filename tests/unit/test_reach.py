"""What is wrong on the way to a broker, by ports on loopback that answer as told."""

import contextlib
import socket
import ssl
import threading

import pytest
import trustme

from inferwatch import reach
from inferwatch.connection import Connection
from inferwatch.errors import ConfigError, TransientError


@contextlib.contextmanager
def port(answer: bytes | None, context: ssl.SSLContext | None = None):
    """A server that answers each question so, or hangs up."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = listening.accept()
                with contextlib.suppress(OSError), plain:
                    talk = context.wrap_socket(plain, server_side=True) if context else plain
                    with talk:
                        talk.recv(64)
                        if answer is not None:
                            talk.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


@pytest.mark.parametrize("server", ["kafka", "kafka:", ":9092", "kafka:x", "kafka:70000"])
def test_an_address_that_is_none_is_named(server):
    """Before anything is asked."""
    with pytest.raises(ConfigError, match="is no broker address"):
        reach.check(Connection(server))


def test_one_broker_of_the_list_is_enough():
    """Others may be away."""
    with port(b"\0\0\0\1") as number:
        reach.check(Connection(f"127.0.0.1:1,127.0.0.1:{number}"))


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (None, TransientError, "it hangs up; check security.protocol"),
        (b"\x15\3\3\0\2\2\x50", ConfigError, "speaks TLS"),
    ],
)
def test_what_is_no_broker_is_told(answer, error, says):
    """A port that hangs up, and one that speaks TLS where none is asked for."""
    with port(answer) as number, pytest.raises(error, match=says):
        reach.check(Connection(f"127.0.0.1:{number}"))


def test_nobody_there_is_told():
    """With the address."""
    with pytest.raises(TransientError, match=r"no broker answers at 127\.0\.0\.1:1: "):
        reach.check(Connection("127.0.0.1:1"))


def test_a_port_without_tls_is_told(tmp_path):
    """Where TLS is asked for."""
    with port(b"\0\0\0\1") as number:
        connection = Connection(f"127.0.0.1:{number}", {"security.protocol": "SSL"})
        with pytest.raises(TransientError, match="check security"):
            reach.check(connection)


@pytest.mark.parametrize(
    ("host", "trusted", "says"),
    [
        ("localhost", True, ""),
        ("127.0.0.1", True, "name the brokers as their certificate does"),
        ("localhost", False, "name the authority that signed it in ssl.ca.location"),
    ],
)
def test_a_certificate_must_be_of_a_known_authority_and_of_that_host(tmp_path, host, trusted, says):
    """The sentence says what to change."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    known = authority if trusted else trustme.CA()
    known.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    properties = {"security.protocol": "SSL", "ssl.ca.location": str(tmp_path / "ca.pem")}
    with port(b"\0\0\0\1", context) as number:
        connection = Connection(f"{host}:{number}", properties)
        if not says:
            reach.check(connection)
            return
        with pytest.raises(ConfigError, match="is not to be trusted") as caught:
            reach.check(connection)
    assert says in str(caught.value)
