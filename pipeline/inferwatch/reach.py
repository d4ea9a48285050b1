"""Whether brokers can be reached as a connection says, and if not, why: one sentence in seconds.

Kafka's clients try everything again for ever, TLS that cannot succeed and wrong passwords too, and
tell of it only in their logs. So the name, the port, both certificates and the password are tried
here once, in this order, by hand.
"""

import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, TypeVar

from inferwatch import oauth
from inferwatch.connection import REFUSALS, Connection
from inferwatch.errors import ConfigError, DeniedError, TransientError

T = TypeVar("T")
TIMEOUT_S = 5.0
PASSWORD_S = 10.0
SOON_S = 3.0
PATIENCE_S = 10.0
HOST_MISMATCH = (62, 64)  # OpenSSL's codes: the name, or the address
EXPIRED = 10
TLS_ALERT = 0x15  # the first byte of what TLS answers to something else
# ApiVersions v0, which brokers answer before they know who asks: with TLS 1.3 the refusal of a
# client's certificate comes only with the first answer
QUESTION = bytes([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF])


def check(connection: Connection, timeout_s: float = TIMEOUT_S) -> None:
    """Speak to one broker of the list. Cost: a connection, with SASL two.

    :raises ConfigError: an address is none, or the broker's certificate is not to be trusted.
    :raises DeniedError: the brokers do not accept the certificate or the password.
    :raises TransientError: none answers.
    """
    failures: list[Exception] = []
    context = connection.tls()
    for server in connection.bootstrap_servers.split(","):
        try:
            _speak(server.strip(), context, connection, timeout_s)
            break
        except (ConfigError, DeniedError, TransientError) as error:
            failures.append(error)
    else:
        raise next((one for one in failures if not isinstance(one, TransientError)), failures[0])
    if connection.protocol.startswith("SASL"):
        _sign_in(connection)


def asked(connection: Connection, ask: Callable[[float], T]) -> T:
    """What `ask` gives, a first question of a client of librdkafka that takes a timeout in seconds.

    Where no answer comes soon, `check` looks for the reason; if there is none, more patience.
    Raises what `check` raises.
    """
    from confluent_kafka import KafkaException

    try:
        return ask(SOON_S)
    except KafkaException:
        check(connection)
    try:
        return ask(PATIENCE_S)
    except KafkaException as error:
        raise TransientError(
            f"no broker answers at {connection.bootstrap_servers}: {error.args[0].str()}"
        ) from None


def partitions(
    connection: Connection,
    client: Any,
    topic: str,
    *,
    operation: str = "Read",
    key: str = "--prefix",
    fix: str = "see `inferwatch topics plan`",
) -> list[int]:
    """Those of a topic, in order, as `client` of librdkafka is told them.

    :raises ConfigError: there is no such topic; `key` and `fix` say what to do.
    :raises DeniedError: the brokers refuse `operation` on it.
    :raises TransientError: none answers.
    """
    found = asked(connection, lambda timeout_s: client.list_topics(topic, timeout=timeout_s))
    described = found.topics[topic]
    if described.error is not None and described.error.code() in REFUSALS:
        raise connection.denied(operation, f"topic {topic}")
    if described.error is not None or not described.partitions:
        raise ConfigError(f"there is no topic {topic}", key=key, fix=fix)
    return sorted(described.partitions)


def _speak(
    server: str, context: ssl.SSLContext | None, connection: Connection, timeout_s: float
) -> None:
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ConfigError(f"'{server}' is no broker address", fix="write host:port")
    silent = f"no broker answers at {server}"
    try:
        with socket.create_connection((host, int(port)), timeout_s) as plain:
            if context is None:
                answer = _ask(plain)
            else:
                with context.wrap_socket(plain, server_hostname=host) as secret:
                    answer = _ask(secret)
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(server, error) from None
    except ssl.SSLError as error:
        if "ALERT" in (error.reason or ""):
            raise _refused(server, connection, error) from None
        raise TransientError(
            f"{server} does not speak TLS ({error.reason}): check security.protocol"
        ) from None
    except socket.gaierror as error:
        raise TransientError(f"{silent}: {host}: {error.strerror}") from None
    except ConnectionResetError:
        answer = b""
    except OSError as error:
        raise TransientError(f"{silent}: {error.strerror or error}") from None
    if not answer:
        raise TransientError(f"{silent}: it hangs up; check security.protocol")
    if answer[0] == TLS_ALERT:
        problem = f"{server} speaks TLS"
        raise ConfigError(problem, key="security.protocol", fix="use SSL or SASL_SSL")


def _ask(talk: socket.socket) -> bytes:
    talk.sendall(QUESTION)
    return talk.recv(4)


def _untrusted(server: str, error: ssl.SSLCertVerificationError) -> ConfigError:
    fix = "name the authority that signed it in ssl.ca.location"
    if error.verify_code in HOST_MISMATCH:
        fix = "name the brokers as their certificate does"
    elif error.verify_code == EXPIRED:
        fix = "renew the broker's certificate"
    why = error.verify_message.rstrip(".")
    return ConfigError(f"the certificate of {server} is not to be trusted: {why}", fix=fix)


def _refused(server: str, connection: Connection, error: ssl.SSLError) -> DeniedError:
    why = (error.reason or "").lower().replace("_", " ")
    return DeniedError(
        f"{server} does not accept {connection.principal()}: {why}; check "
        "ssl.certificate.location and ssl.key.location"
    )


def _sign_in(connection: Connection) -> None:
    """The handshake of SASL, by librdkafka, which tells a refusal through its callback only."""
    from confluent_kafka import KafkaError, KafkaException, Producer

    if connection.mechanism == "OAUTHBEARER":
        oauth.tokens(oauth.client(connection.properties)).token()
    told: list[KafkaError] = []
    client = Producer(connection.librdkafka(error_cb=told.append, log_level=0))
    deadline_s = time.monotonic() + PASSWORD_S
    while time.monotonic() < deadline_s:
        try:
            client.list_topics(timeout=0.5)
            return
        except KafkaException:
            client.poll(0)
        if any(error.code() == KafkaError._AUTHENTICATION for error in told):
            raise DeniedError(
                f"the brokers do not accept {connection.principal()} by {connection.mechanism}: "
                "check the name, the password or token, and the mechanism"
            )
    why = f": {told[-1].str()}" if told else ""
    raise TransientError(f"no broker answers at {connection.bootstrap_servers}{why}")
