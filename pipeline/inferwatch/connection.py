"""Brokers and security, one model for every client: librdkafka, aiokafka, Faust.

Settings come from the command line, else from `INFERWATCH_*`, else there is no broker. A
`client.properties` file in librdkafka's names is passed through.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inferwatch.errors import ConfigError, DeniedError, TransientError

PREFIX = "inferwatch."
EMBEDDED = "embedded"
REFUSALS = (29, 30, 31)  # Kafka's codes: authorization of a topic, a group, the cluster
_AIOKAFKA = {
    "sasl.username": "sasl_plain_username",
    "sasl.password": "sasl_plain_password",
    "sasl.mechanism": "sasl_mechanism",
    "sasl.mechanisms": "sasl_mechanism",
    "security.protocol": "security_protocol",
}
_TLS = ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location")


@dataclass(frozen=True)
class Connection:
    """Where the brokers are and how to speak to them. `prefix` begins every topic's name.

    `file` is where `properties` were read, for the processes that this one starts.
    """

    bootstrap_servers: str
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    prefix: str = PREFIX
    file: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Connection | None":
        """What `INFERWATCH_BOOTSTRAP_SERVERS`, `_CLIENT_PROPERTIES`, `_PREFIX` say; None without
        brokers.

        :raises ConfigError: the properties file cannot be used.
        """
        path = environment.get("INFERWATCH_CLIENT_PROPERTIES", "")
        properties = read_properties(Path(path)) if path else {}
        servers = environment.get("INFERWATCH_BOOTSTRAP_SERVERS") or properties.get(
            "bootstrap.servers", ""
        )
        if not servers:
            return None
        prefix = environment.get("INFERWATCH_PREFIX", PREFIX)
        return cls(servers, properties, prefix, Path(path) if path else None)

    def principal(self) -> str:
        """Who the brokers see, as their access lists name it."""
        user = self.properties.get("sasl.username")
        certificate = self.properties.get("ssl.certificate.location")
        if user:
            return f"User:{user}"
        return f"the subject of {certificate}" if certificate else "User:ANONYMOUS"

    def failure(self, code: int, place: str, text: str) -> DeniedError | TransientError:
        """The error to raise where librdkafka gives `code` while reading `place`."""
        if code in REFUSALS:
            return DeniedError(f"the brokers refuse {self.principal()} Read on {place}: {text}")
        return TransientError(f"{place}: {text}")

    def environment(self) -> dict[str, str]:
        """The variables from which a child process makes the same connection."""
        return {
            "INFERWATCH_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "INFERWATCH_PREFIX": self.prefix,
            "INFERWATCH_CLIENT_PROPERTIES": str(self.file.resolve()) if self.file else "",
        }

    def arguments(self) -> list[str]:
        """The options from which a command makes the same connection."""
        file = ["--client-properties", str(self.file)] if self.file else []
        return ["--bootstrap-server", self.bootstrap_servers, "--prefix", self.prefix, *file]

    def topic(self, name: str) -> str:
        """Full name of one of our topics, such as `events.v1`."""
        return f"{self.prefix}{name}"

    def librdkafka(self, **settings: Any) -> dict[str, Any]:
        """Configuration of a confluent-kafka client; `settings` in librdkafka's names rule."""
        return {**self.properties, "bootstrap.servers": self.bootstrap_servers, **settings}

    def aiokafka(self) -> dict[str, Any]:
        """Keyword arguments of an aiokafka client.

        :raises ConfigError: a property has no equal there, or a password would travel in the clear.
        """
        found: dict[str, Any] = {"bootstrap_servers": self.bootstrap_servers.split(",")}
        for name, value in self.properties.items():
            if name in _AIOKAFKA:
                found[_AIOKAFKA[name]] = value
            elif name not in (*_TLS, "bootstrap.servers", "client.id"):
                raise ConfigError(
                    f"'{name}' is not supported by the worker",
                    key=name,
                    fix=f"use {', '.join([*_AIOKAFKA, *_TLS])}",
                )
        protocol = found.get("security_protocol", "PLAINTEXT").upper()
        if protocol == "SASL_PLAINTEXT" and found.get("sasl_mechanism", "PLAIN") == "PLAIN":
            raise ConfigError(
                "a password would travel in the clear", key="security.protocol", fix="use SASL_SSL"
            )
        if protocol.endswith("SSL"):
            found["ssl_context"] = self._tls()
        return found

    def _tls(self) -> ssl.SSLContext:
        authority = self.properties.get("ssl.ca.location")
        certificate = self.properties.get("ssl.certificate.location")
        try:
            context = ssl.create_default_context(cafile=authority)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if certificate is not None:
                context.load_cert_chain(certificate, self.properties.get("ssl.key.location"))
        except OSError as error:  # of a file that is not there, and of one that is no certificate
            named = ", ".join(self.properties[name] for name in _TLS if name in self.properties)
            raise ConfigError(
                f"cannot be used for TLS: {error.strerror or error}",
                file=named,
                fix="name PEM files that this user may read",
            ) from None
        return context


def read_properties(path: Path) -> dict[str, str]:
    """`name=value` lines; `#` begins a comment.

    :raises ConfigError: unreadable, or a line without `=`.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", file=str(path), fix="check the path"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8", file=str(path), fix="save it as UTF-8") from None
    found = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError("is no setting", file=str(path), line=number, fix="write name=value")
        found[name.strip()] = value.strip()
    return found
