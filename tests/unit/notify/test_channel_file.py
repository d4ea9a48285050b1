"""The channels file: what it gives, and errors that name file, line, key and the fix."""

import base64
import io

import pytest

from inferwatch.errors import ConfigError
from inferwatch.notify import channel_file
from inferwatch.notify.channels import KINDS
from inferwatch.notify.channels.console import Console
from inferwatch.notify.channels.webhook import Webhook

SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()


@pytest.fixture
def load(tmp_path):
    def run(text):
        (tmp_path / "secret").write_text(SECRET)
        path = tmp_path / "channels.yaml"
        path.write_text(text)
        return channel_file.load(path)

    return run


def test_without_a_file_there_is_the_console():
    """Who names no file sees alerts on standard output."""
    assert [type(channel) for channel in channel_file.load(None)] == [Console]


def test_a_file_names_its_channels_in_order(load):
    """Each entry becomes a channel; its name is the type's where it has none."""
    channels = load(
        "notify:\n  - type: console\n  - type: webhook\n    name: oncall\n"
        "    url: https://example.org/hook\n    secret_file: secret\n"
    )
    assert [(channel.name, type(channel)) for channel in channels] == [
        ("console", Console),
        ("oncall", Webhook),
    ]


HOOK = "notify:\n  - type: webhook\n    url: %s\n    secret_file: secret\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "expected a mapping"),
        ("notfy: []\n", ":1: notfy: unknown key (did you mean 'notify'?"),
        ("notify: []\n", "'notify' is empty"),
        ("notify: console\n", ":1: notify: expected a list"),
        ("notify:\n  - console\n", ":2: notify[0]: expected a mapping"),
        ("notify:\n  - name: x\n", ":2: notify[0]: 'type' is missing"),
        ("notify:\n  - type: consol\n", ":2: notify[0].type: 'consol' is not allowed (did you"),
        ("notify:\n  - type: console\n    url: x\n", ":3: notify[0].url: unknown key"),
        ("notify:\n  - type: webhook\n    secret_file: secret\n", "'url' is missing"),
        ("notify:\n  - type: webhook\n    url: https://h/\n", "the secret is not given once"),
        (HOOK % "https://h/" + "    secret_env: X\n", "the secret is not given once"),
        (HOOK % "https://h/" + "    sekret_file: x\n", "did you mean 'secret_file'?"),
        (HOOK % "ftp://h/", ":3: notify[0].url: is no http URL"),
        (HOOK % "example.org", ":3: notify[0].url: is no http URL"),
        (HOOK % "'http://['", ":3: notify[0].url: is no URL"),
        (HOOK % "https://user:canary@h/", ":3: notify[0].url: holds a password"),
        (
            "notify:\n  - type: webhook\n    url: https://h/\n    secret_file: none\n",
            ":4: notify[0].secret_file: ",
        ),
        ("notify:\n  - type: console\n  - type: console\n", ":3: notify[1]: a second channel"),
        ("notify:\n  - type: console\n    name: a|b\n", ":3: notify[0].name: holds a '|'"),
        ("notify: [\n", "not YAML"),
    ],
)
def test_a_broken_file_says_where_and_how_to_mend_it(load, tmp_path, text, says):
    """Every mistake names the file, its line and key, and the fix; no message quotes a password."""
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert str(caught.value).startswith(str(tmp_path / "channels.yaml"))
    assert says in str(caught.value) and caught.value.fix
    assert "canary" not in str(caught.value)


def test_a_missing_file_is_one_sentence(tmp_path):
    """A channels file that is not there is named."""
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read"):
        channel_file.load(tmp_path / "absent.yaml")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_names_its_keys(kind):
    """What a kind requires is among the keys that it reads."""
    assert set(KINDS[kind].required) <= set(KINDS[kind].keys)


def test_the_console_prints_the_text_and_an_empty_line():
    """A message on the console is its text with an empty line behind it, flushed."""
    import asyncio

    from inferwatch.notify.deliver import Sent
    from inferwatch.records.notified import Plan
    from inferwatch.testing.alerts import alert_record

    stream = io.StringIO()
    alert = alert_record(value=0.5)
    # a record time in the far future is never late
    one = Plan(key="k", at_ms=1 << 52, alert=alert)
    assert asyncio.run(Console(stream=stream).send(one)) == Sent()
    assert stream.getvalue().startswith("[FIRING·critical] RecallDrop")
    assert stream.getvalue().endswith("\n\n") and "\n\n\n" not in stream.getvalue()
