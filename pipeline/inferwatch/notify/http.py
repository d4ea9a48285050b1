"""What channels over HTTP share: the client, what an answer means, which URLs can be used."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from inferwatch.config.document import Node
from inferwatch.notify.deliver import Outcome, Rejected, Retry, Sent

TIMEOUT_S = 15.0
RETRY_AFTER_MAX_S = 86_400.0
# what a client may cure by waiting, though it is called the client's error
PASSING = (408, 425, 429)
MOVED_FOR_NOW = (302, 303, 307)


class Client:
    """Posts JSON; the session begins with the first message, as channels are read before any loop
    runs.
    """

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        """Each request ends within `timeout_s`."""
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def post(
        self, url: URL, payload: bytes, headers: Mapping[str, str] | None = None
    ) -> Outcome:
        """One attempt; no redirect is followed, and no reason tells more of a URL than its host."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                headers={"Content-Type": "application/json", "User-Agent": "inferwatch"},
                # one receiver's cookie is no business of its next answer
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        try:
            async with self._session.post(
                url, data=payload, headers=headers, allow_redirects=False
            ) as response:
                return verdict(response.status, response.headers.get("Retry-After"), time.time())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return Retry(f"{url.host}: {type(error).__name__}")

    async def close(self) -> None:
        """Close the connections; a later message opens them again."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def verdict(status: int, retry_after: str | None, now_s: float) -> Outcome:
    """What an answer means for the message."""
    reason = f"status {status}"
    if 200 <= status < 300:
        return Sent()
    if status in PASSING or status >= 500:
        return Retry(reason, _after_s(retry_after, now_s))
    if status in MOVED_FOR_NOW:
        return Retry(f"{reason}, and redirects are not followed")
    if 300 <= status < 400:
        return Rejected(f"{reason}: the receiver has moved, and redirects are not followed")
    return Rejected(reason, disables=status == 410)


def _after_s(header: str | None, now_s: float) -> float | None:
    """Seconds that `Retry-After` asks for, as a number or a date; None where it says neither."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return min(float(header), RETRY_AFTER_MAX_S)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return min(max(0.0, at.timestamp() - now_s), RETRY_AFTER_MAX_S)


def http_url(node: Node) -> URL:
    """The URL of a channels file.

    :raises ConfigError: it is none, not of http, or holds a password; no message quotes it.
    """
    return url_of(node, node.text(), "write https://host/path")


def url_of(node: Node, text: str, fix: str) -> URL:
    """The URL that `text` is; `node` says where it stands.

    :raises ConfigError: as of `http_url`.
    """
    try:
        url = URL(text)
    except ValueError:
        raise node.error("is no URL", fix) from None
    if url.scheme not in ("http", "https") or not url.host:
        raise node.error("is no http URL", fix)
    if url.user is not None or url.password is not None:
        raise node.error("holds a password", "leave it out; the receiver verifies the signature")
    return url
