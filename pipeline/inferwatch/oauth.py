"""Tokens for OAUTHBEARER by client credentials (RFC 6749, section 4.4), where librdkafka's own
fetching is of no use: for aiokafka and Faust. Settings have librdkafka's names, and an extension is
`name=value`, separated by commas.
"""

import base64
import functools
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from inferwatch.errors import ConfigError, DeniedError, TransientError

ENDPOINT = "sasl.oauthbearer.token.endpoint.url"
METHOD = "sasl.oauthbearer.method"
ID, SECRET = "sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret"
SCOPE, EXTENSIONS = "sasl.oauthbearer.scope", "sasl.oauthbearer.extensions"
AUTHORITY = "https.ca.location"
NAMES = (METHOD, ENDPOINT, ID, SECRET, SCOPE, EXTENSIONS, AUTHORITY)
TIMEOUT_S = 10.0
ANSWER_MAX_BYTES = 1 << 20
USED = 0.8  # of a token's life; librdkafka renews then too
LIFETIME_S = 60.0  # where the endpoint does not say


@dataclass(frozen=True)
class Client:
    """Who asks which endpoint for tokens. `authority` is a PEM file, "" for the system's."""

    endpoint: str
    id: str
    secret: str = field(repr=False)
    scope: str = ""
    authority: str = ""


def client(properties: Mapping[str, str]) -> Client:
    """The client that `properties` describe.

    :raises ConfigError: a setting is missing, or the secret would travel in the clear.
    """
    if properties.get(METHOD, "").lower() != "oidc":
        raise ConfigError("must be oidc", key=METHOD, fix="tokens come from an endpoint")
    for name in (ENDPOINT, ID, SECRET):
        if not properties.get(name):
            raise ConfigError("is missing", key=name, fix="OAUTHBEARER needs it")
    found = urlsplit(properties[ENDPOINT])
    if not found.hostname or not (
        found.scheme == "https" or (found.scheme == "http" and _loopback(found.hostname))
    ):
        raise ConfigError("a secret would travel in the clear", key=ENDPOINT, fix="use https")
    return Client(
        properties[ENDPOINT],
        properties[ID],
        properties[SECRET],
        properties.get(SCOPE, ""),
        properties.get(AUTHORITY, ""),
    )


def fetch(asker: Client, timeout_s: float = TIMEOUT_S) -> tuple[str, float]:
    """A new token, and for how many seconds it holds.

    :raises ConfigError: the file of the endpoint's authority cannot be used.
    :raises DeniedError: the endpoint does not accept the client.
    :raises TransientError: it does not answer as it should.
    """
    import urllib.error
    import urllib.request

    place = f"the token endpoint {asker.endpoint}"
    secret = base64.b64encode(f"{asker.id}:{asker.secret}".encode()).decode()
    asked = {"grant_type": "client_credentials"} | ({"scope": asker.scope} if asker.scope else {})
    request = urllib.request.Request(
        asker.endpoint,
        urlencode(asked).encode(),
        {"Authorization": f"Basic {secret}", "Accept": "application/json"},
    )
    try:
        with _opener(asker.authority).open(request, timeout=timeout_s) as answer:
            return _read(answer.read(ANSWER_MAX_BYTES))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (400, 401, 403):
            raise DeniedError(
                f"{place} refuses client {asker.id}: HTTP {error.code}; check {ID}, {SECRET} "
                f"and {SCOPE}"
            ) from None
        raise TransientError(f"{place} answers with HTTP {error.code}") from None
    except OSError as error:
        raise TransientError(f"{place} does not answer: {_cause(error)}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TransientError(f"{place} answers without a token") from None


class Tokens:
    """The tokens of one client: fetched when asked for, kept for most of their life."""

    def __init__(self, asker: Client, now_s: Callable[[], float] = time.monotonic) -> None:
        self._asker, self._now_s = asker, now_s
        self._lock = threading.Lock()
        self._token, self._until_s = "", 0.0

    def token(self) -> str:
        """One that holds for a while yet. Raises what `fetch` raises."""
        with self._lock:
            if not self._token or self._now_s() >= self._until_s:
                asked_s = self._now_s()
                self._token, lifetime_s = fetch(self._asker)
                self._until_s = asked_s + lifetime_s * USED
            return self._token


@functools.cache
def tokens(asker: Client) -> Tokens:
    """The process's tokens of a client: its Kafka clients share them."""
    return Tokens(asker)


class Provider:
    """What aiokafka asks for a token each time it connects.

    In a thread: the endpoint may be slow, and the event loop has heartbeats to send.
    """

    def __init__(self, properties: Mapping[str, str]) -> None:
        self._tokens = tokens(client(properties))
        pairs = [pair.partition("=") for pair in properties.get(EXTENSIONS, "").split(",") if pair]
        self._extensions = {name.strip(): value.strip() for name, _, value in pairs}

    async def token(self) -> str:
        """A token that holds.

        :raises ConnectionError: there is none; aiokafka tries again.
        """
        import asyncio  # not before: model servers without it import this module

        try:
            return await asyncio.wait_for(asyncio.to_thread(self._tokens.token), 2 * TIMEOUT_S)
        except (ConfigError, DeniedError, TransientError, TimeoutError) as error:
            raise ConnectionError(str(error) or "no token in time") from None

    def extensions(self) -> dict[str, str]:
        """What goes to the brokers beside a token."""
        return self._extensions


def _opener(authority: str) -> Any:
    """It follows nobody: a secret goes where it was meant to go, and nowhere else."""
    import urllib.request

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=_trust(authority)), Stay)


def _read(body: bytes) -> tuple[str, float]:
    found = json.loads(body)
    token = found["access_token"]
    if not isinstance(token, str) or not token:
        raise ValueError(token)
    return token, max(0.0, float(found.get("expires_in", LIFETIME_S)))


def _trust(authority: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority or None)
    except OSError as error:
        raise ConfigError(
            f"cannot be used for TLS: {error.strerror or error}",
            file=authority,
            key=AUTHORITY,
            fix="name a PEM file that this user may read",
        ) from None


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _cause(error: OSError) -> str:
    cause = getattr(error, "reason", error)
    return str(getattr(cause, "verify_message", "") or getattr(cause, "strerror", "") or cause)
