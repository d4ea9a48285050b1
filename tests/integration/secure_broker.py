"""A real Kafka with SASL, TLS and access lists; whoever comes without TLS is its super user."""

import base64
import contextlib
import json
import re
import secrets
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from real_broker import RealBroker

from inferwatch.connection import Connection
from inferwatch.runtime.rights import Right

PASSWORD = "correct horse"
AUDIT = "-Dorg.slf4j.simpleLogger.log.kafka.authorizer.logger=debug"
SETTINGS = """
listeners=PLAINTEXT://127.0.0.1:{{broker}},CONTROLLER://127.0.0.1:{{controller}},\
SASL://127.0.0.1:{sasl},MTLS://127.0.0.1:{mtls},EXPIRED://127.0.0.1:{expired}
advertised.listeners=PLAINTEXT://127.0.0.1:{{broker}},\
SASL://localhost:{sasl},MTLS://localhost:{mtls},EXPIRED://localhost:{expired}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL,MTLS:SSL,\
EXPIRED:SASL_SSL
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
listener.name.sasl.scram-sha-256.sasl.jaas.config={jaas}.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config={jaas}.scram.ScramLoginModule required;
listener.name.sasl.oauthbearer.sasl.jaas.config={jaas}.oauthbearer.OAuthBearerLoginModule required \
unsecuredLoginStringClaim_sub="broker";
listener.name.expired.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.expired.scram-sha-512.sasl.jaas.config={jaas}.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
ssl.truststore.type=PEM
ssl.truststore.location={folder}/ca.pem
listener.name.mtls.ssl.client.auth=required
listener.name.expired.ssl.keystore.type=PEM
listener.name.expired.ssl.keystore.location={folder}/expired.pem
"""


class SecureBroker:
    """`sasl`, `mtls` and `expired` are the addresses of its doors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        trustme.CA().cert_pem.write_to_path(str(folder / "other-ca.pem"))
        past = datetime.now(UTC) - timedelta(days=2)
        _keep(self._authority.issue_cert("localhost"), folder / "broker.pem")
        _keep(self._authority.issue_cert("localhost", not_after=past), folder / "expired.pem")
        doors = dict(zip(("sasl", "mtls", "expired"), _free_ports(3), strict=True))
        jaas = "org.apache.kafka.common.security"
        settings = folder / "more.properties"
        settings.write_text(SETTINGS.format(folder=folder, jaas=jaas, **doors))
        self._broker = RealBroker(
            *("--folder", str(folder), "--settings", str(settings)),
            environment={"JDK_JAVA_OPTIONS": AUDIT},
        )
        self.sasl, self.mtls, self.expired = (f"localhost:{port}" for port in doors.values())
        self.super = Connection(self._broker.address)
        self._admin = AdminClient(self.super.librdkafka())

    def stop(self) -> None:
        """End it."""
        self._broker.stop()

    def certificate(self, name: str, **more: Any) -> Path:
        """A client's certificate with its key; the principal is `User:CN=<name>,...`."""
        path = self.folder / f"{name}.pem"
        issued = self._authority.issue_cert(f"{name}.test", common_name=name, **more)
        _keep(issued, path)
        return path

    def user(self, name: str) -> None:
        """One who proves who he is by `PASSWORD`."""
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            change = UserScramCredentialUpsertion(
                name, ScramCredentialInfo(mechanism, 4096), PASSWORD.encode()
            )
            self._admin.alter_user_scram_credentials([change])[name].result(20)

    def properties(self, name: str, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
        """Settings of the user's client."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": mechanism,
            "sasl.username": name,
            "sasl.password": PASSWORD,
            "ssl.ca.location": str(self.folder / "ca.pem"),
        }

    def oauth(self, endpoint: str, client: str) -> dict[str, str]:
        """Settings of a client that gets its tokens at `endpoint`."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": endpoint,
            "sasl.oauthbearer.client.id": client,
            "sasl.oauthbearer.client.secret": PASSWORD,
            "ssl.ca.location": str(self.folder / "ca.pem"),
        }

    def subject(self, certificate: Path) -> str:
        """The principal that a certificate stands for."""
        found = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
        return "User:" + found.subject.rfc4514_string().replace("#", r"\#")  # as Java writes it

    def stranger(self, path: Path) -> None:
        """A certificate by an authority that the brokers do not know."""
        _keep(trustme.CA().issue_cert("stranger.test", common_name="stranger"), path)

    def grant(self, principal: str, rights: Sequence[Right]) -> None:
        """Add to the access list."""
        if not rights:
            return
        futures = self._admin.create_acls(_bindings(principal, rights))
        for future in futures.values():
            future.result(20)

    def asked(self, principal: str) -> set[tuple[str, str, str]]:
        """What the principal has been allowed so far: resource, name and operation."""
        line = re.compile(
            rf"Principal = {re.escape(principal)} is Allowed operation = (\w+) "
            r"from host = \S+ on resource = (\w+):LITERAL:(\S+)"
        )
        log = (self.folder / "broker.log").read_text(errors="replace")
        return {(kind.lower(), name, word) for word, kind, name in line.findall(log)}


def _free_ports(count: int) -> list[int]:
    """Ports below those that a kernel gives to whoever asks: it takes seconds until they are
    used.
    """
    found: list[int] = []
    while len(found) < count:
        port = secrets.randbelow(10_000) + 20_000
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            found += [port] if port not in found else []
    return found


def _bindings(principal: str, rights: Sequence[Right]) -> list[AclBinding]:
    return [
        AclBinding(
            ResourceType[right.resource.upper()],
            right.name,
            ResourcePatternType[right.pattern.upper()],
            principal,
            "*",
            AclOperation[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()],
            AclPermissionType.ALLOW,
        )
        for right in rights
        for operation in right.operations
    ]


def _keep(certificate: trustme.LeafCert, path: Path) -> None:
    """Key and chain in one file; Kafka reads only PKCS #8."""
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    plain = serialization.NoEncryption()
    pkcs8 = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    path.write_bytes(pkcs8 + chain)
    path.chmod(0o600)


def token(subject: str, lifetime_s: int = 3600) -> str:
    """An unsecured token, as a broker without a validator of its own takes it."""
    now_s = datetime.now(UTC).timestamp()
    parts = [{"alg": "none"}, {"sub": subject, "iat": now_s, "exp": now_s + lifetime_s}]
    return (
        ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in parts
        )
        + "."
    )
