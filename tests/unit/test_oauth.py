"""Tokens by client credentials, against an endpoint on loopback."""

import asyncio
import base64
import json
from urllib.parse import parse_qs

import pytest

from inferwatch import oauth
from inferwatch.errors import ConfigError, DeniedError, TransientError
from inferwatch.testing.receiver import Answer, Receiver


def answers(**fields) -> Answer:
    """What an endpoint says."""
    return Answer(body=json.dumps(fields).encode())


@pytest.fixture
def endpoint():
    """It gives tokens for a hundred seconds."""
    with Receiver(lambda _: answers(access_token="t-1", expires_in=100)) as receiver:
        yield receiver


def asker(endpoint, **more) -> oauth.Client:
    """A client of the endpoint."""
    return oauth.Client(endpoint.url, "watch", "canary", **more)


def test_a_token_is_asked_for_as_the_standard_has_it(endpoint):
    """RFC 6749, 4.4.2: the grant and the scope in the body, name and secret in the header."""
    assert oauth.fetch(asker(endpoint, scope="kafka")) == ("t-1", 100.0)
    request = endpoint.requests[0]
    asked = parse_qs(request.body.decode())
    assert asked == {"grant_type": ["client_credentials"], "scope": ["kafka"]}
    secret = request.headers["authorization"].removeprefix("Basic ")
    assert base64.b64decode(secret) == b"watch:canary"


def test_a_token_is_kept_for_four_fifths_of_its_life(endpoint):
    """Then the next one is fetched, before the brokers refuse the old one."""
    clock = [0.0]
    tokens = oauth.Tokens(asker(endpoint), lambda: clock[0])
    for now_s, requests in ((0.0, 1), (79.0, 1), (81.0, 2), (160.0, 2), (162.0, 3)):
        clock[0] = now_s
        assert tokens.token() == "t-1"
        assert len(endpoint.requests) == requests


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (Answer(401), DeniedError, "refuses client watch: HTTP 401"),
        (Answer(400), DeniedError, "refuses client watch: HTTP 400"),
        (Answer(503), TransientError, "answers with HTTP 503"),
        (Answer(302, {"Location": "http://127.0.0.1:9/"}), TransientError, "HTTP 302"),
        (Answer(body=b"<html>"), TransientError, "answers without a token"),
        (Answer(body=b"[]"), TransientError, "answers without a token"),
        (answers(token="t"), TransientError, "answers without a token"),
        (answers(access_token=7), TransientError, "answers without a token"),
        (Answer(how="reset"), TransientError, "does not answer"),
    ],
)
def test_what_is_no_token_is_told_by_who_must_act(endpoint, answer, error, says):
    """Who refuses the client, the operator must act; the rest passes. No secret is quoted, and no
    redirection gets it.
    """
    endpoint.answer = lambda _: answer
    with pytest.raises(error, match=says) as caught:
        oauth.fetch(asker(endpoint))
    assert "canary" not in str(caught.value) + repr(asker(endpoint))
    assert len(endpoint.requests) == 1


def test_an_endpoint_that_hangs_is_given_up(endpoint):
    """After the timeout."""
    endpoint.answer = lambda _: Answer(how="hang")
    with pytest.raises(TransientError, match="does not answer"):
        oauth.fetch(asker(endpoint), timeout_s=0.2)


def test_an_authority_that_is_no_file_is_named():
    """With its key."""
    with pytest.raises(ConfigError, match=r"/nowhere: https\.ca\.location: cannot be used"):
        oauth.fetch(oauth.Client("https://issuer.test/", "a", "b", authority="/nowhere"))


def test_aiokafka_gets_a_token_or_an_error_that_it_tries_again_after(endpoint):
    """It waits in a thread; a refusal is a ConnectionError, which does not end its tasks."""
    settings = {oauth.METHOD: "oidc", oauth.ENDPOINT: endpoint.url}
    settings |= {oauth.ID: "watch", oauth.SECRET: "canary"}
    provider = oauth.Provider(settings)
    assert asyncio.run(provider.token()) == "t-1"
    oauth.tokens.cache_clear()
    endpoint.answer = lambda _: Answer(401)
    with pytest.raises(ConnectionError, match="refuses client watch"):
        asyncio.run(oauth.Provider(settings).token())
