"""Brokers and security, one model for every client: librdkafka, aiokafka, Faust.

Settings come from the command line, else from `INFERWATCH_*`, else there is no broker. A
`client.properties` file in librdkafka's names is passed through; a secret may stand in a file of
its own, which `NAME.file` names.
"""

import logging
import os
import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inferwatch import oauth
from inferwatch.errors import ConfigError, DeniedError, TransientError

log = logging.getLogger("inferwatch.connection")

PREFIX = "inferwatch."
EMBEDDED = "embedded"
REFUSALS = (29, 30, 31)  # Kafka's codes: authorization of a topic, a group, the cluster
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
SECRETS = ("sasl.password", "ssl.key.password", oauth.SECRET)
_IN_THE_CLEAR = ("PLAIN", "OAUTHBEARER")  # mechanisms that show the secret to whoever listens
_CHECKS = {  # of the broker's certificate: on, or nothing works
    "enable.ssl.certificate.verification": "true",
    "ssl.endpoint.identification.algorithm": "https",
}
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
_SASL = ("security.protocol", "sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password")
_TLS = ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location")
_AIOKAFKA = (*_SASL, *_TLS, "ssl.key.password", *oauth.NAMES)


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

    @property
    def protocol(self) -> str:
        """One of `PROTOCOLS`."""
        return self.properties.get("security.protocol", "PLAINTEXT").upper()

    @property
    def mechanism(self) -> str:
        """How SASL proves who this is; "" without SASL, or where nothing says."""
        if not self.protocol.startswith("SASL"):
            return ""
        names = ("sasl.mechanism", "sasl.mechanisms")
        return next((self.properties[name] for name in names if name in self.properties), "")

    def principal(self) -> str:
        """Who the brokers see, as their access lists name it."""
        user = self.properties.get("sasl.username")
        certificate = self.properties.get("ssl.certificate.location")
        if self.mechanism == "OAUTHBEARER":
            return f"the subject of the tokens of client {self.properties.get(oauth.ID)}"
        if user:
            return f"User:{user}"
        return f"the subject of {certificate}" if certificate else "User:ANONYMOUS"

    def denied(self, operation: str, resource: str) -> DeniedError:
        """The error where the brokers refuse `operation` on `resource`, such as `topic x`."""
        who = self.principal()
        return DeniedError(
            f"the brokers refuse {who} {operation} on {resource}: grant it (`kafka-acls --add`)"
        )

    def failure(
        self, code: int, place: str, text: str, operation: str = "Read"
    ) -> DeniedError | TransientError:
        """The error to raise where librdkafka gives `code` on `operation` on `place`."""
        if code in REFUSALS:
            return self.denied(operation, place)
        return TransientError(f"{place}: {text}")

    def check(self) -> None:
        """Refuse what gives a secret away, trusts whoever answers, or cannot work. Asks nobody.

        :raises ConfigError: naming the setting.
        """
        said, protocol, mechanism = self.properties, self.protocol, self.mechanism
        if protocol not in PROTOCOLS:
            raise self._wrong("security.protocol", "is none", f"use {', '.join(PROTOCOLS)}")
        for name, safe in _CHECKS.items():
            if said.get(name, safe).lower() != safe:
                raise self._wrong(name, "would trust whoever answers", "leave it out")
        if not protocol.startswith("SASL"):
            if any(name.startswith("sasl.") for name in said):
                problem = f"is {protocol}, and settings of SASL are without effect"
                raise self._wrong("security.protocol", problem, "use SASL_SSL")
            return
        if mechanism not in _MECHANISMS:
            problem = f"'{mechanism}' is not supported" if mechanism else "is missing"
            raise self._wrong("sasl.mechanism", problem, f"use one of {', '.join(_MECHANISMS)}")
        if protocol == "SASL_PLAINTEXT" and mechanism in _IN_THE_CLEAR:
            what = "token" if mechanism == "OAUTHBEARER" else "password"
            problem = f"a {what} would travel in the clear"
            raise self._wrong("security.protocol", problem, "use SASL_SSL")
        if mechanism == "OAUTHBEARER":
            oauth.client(said)
        else:
            for name in ("sasl.username", "sasl.password"):
                if not said.get(name):
                    raise self._wrong(name, "is missing", f"{mechanism} needs it")

    def _wrong(self, key: str, problem: str, fix: str) -> ConfigError:
        return ConfigError(problem, file=str(self.file or ""), key=key, fix=fix)

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
        """Configuration of a confluent-kafka client; `settings` in librdkafka's names rule.

        :raises ConfigError: as `check`.
        """
        self.check()
        return {**self.properties, "bootstrap.servers": self.bootstrap_servers, **settings}

    def aiokafka(self) -> dict[str, Any]:
        """Keyword arguments of an aiokafka client.

        :raises ConfigError: as `check` and `tls`, or a property has no equal there.
        """
        self.check()
        ignored = ("bootstrap.servers", "client.id", *_CHECKS)
        for name in self.properties:
            if name not in (*_AIOKAFKA, *ignored):
                fix = f"use {', '.join(_AIOKAFKA)}"
                raise self._wrong(name, "is not supported by the worker", fix)
        found: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers.split(","),
            "security_protocol": self.protocol,
        }
        context, mechanism = self.tls(), self.mechanism
        if context is not None:
            found["ssl_context"] = context
        if mechanism:
            found["sasl_mechanism"] = mechanism
        if mechanism == "OAUTHBEARER":
            from aiokafka.abc import AbstractTokenProvider

            AbstractTokenProvider.register(oauth.Provider)  # aiokafka asks for its kind
            found["sasl_oauth_token_provider"] = oauth.Provider(self.properties)
        elif mechanism:
            found["sasl_plain_username"] = self.properties["sasl.username"]
            found["sasl_plain_password"] = self.properties["sasl.password"]
        return found

    def tls(self) -> ssl.SSLContext | None:
        """TLS 1.2 or newer that checks the broker's name; None where the protocol has none.

        :raises ConfigError: a file cannot be used.
        """
        if not self.protocol.endswith("SSL"):
            return None
        said = self.properties
        certificate = said.get("ssl.certificate.location")
        try:
            context = ssl.create_default_context(cafile=said.get("ssl.ca.location"))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if certificate is not None:
                # an empty password, for without one OpenSSL would ask at the terminal
                key, password = said.get("ssl.key.location"), said.get("ssl.key.password", "")
                context.load_cert_chain(certificate, key, password)
        except OSError as error:  # of a file that is not there, and of one that is no certificate
            raise ConfigError(
                f"cannot be used for TLS: {error.strerror or error}",
                file=", ".join(said[name] for name in _TLS if name in said),
                fix="name PEM files that this user may read, and ssl.key.password if the key has "
                "one",
            ) from None
        return context


def read_properties(path: Path) -> dict[str, str]:
    """`name=value` lines; `#` begins a comment. `NAME.file` is read for the secret `NAME`.

    A file with a secret that everybody may read is warned about: container platforms mount them so.

    :raises ConfigError: a file is unreadable, a line has no `=`, a secret is given twice or empty.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError("is no setting", file=str(path), line=number, fix="write name=value")
        found[name.strip()] = value.strip()
    if any(name in found for name in SECRETS):
        _warn_of_readers(path)
    for name in SECRETS:
        if f"{name}.file" in found:
            found[name] = _secret(found, name, path)
    return found


def _secret(found: dict[str, str], name: str, path: Path) -> str:
    key = f"{name}.file"
    if name in found:
        raise ConfigError(f"{name} is given too", file=str(path), key=key, fix="keep one of them")
    file = Path(found.pop(key))
    secret = _text(file, key).rstrip("\r\n")
    if not secret:
        raise ConfigError("is empty", file=str(file), key=key, fix="write the secret into it")
    _warn_of_readers(file)
    return secret


def _text(path: Path, key: str = "") -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise ConfigError(problem, file=str(path), key=key, fix="check the path") from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8", file=str(path), key=key, fix="save it as UTF-8") from None


def _warn_of_readers(path: Path) -> None:
    if path.stat().st_mode & stat.S_IROTH:
        log.warning("%s holds a secret and everybody may read it: chmod o-r", path)
