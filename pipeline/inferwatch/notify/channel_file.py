"""The channels file: a list under `notify:`; each entry has a `type`, a `name` and own keys."""

from pathlib import Path

from inferwatch.config import document
from inferwatch.config.document import Node
from inferwatch.notify.channels import KINDS
from inferwatch.notify.channels.console import Console
from inferwatch.notify.deliver import Channel


def load(path: Path | None) -> list[Channel]:
    """The channels of a file; the console where there is none.

    :raises ConfigError: naming file, line, key and the fix.
    """
    if path is None:
        return [Console()]
    root = document.read(path)
    entries = root.fields(("notify",), required=("notify",))["notify"].items()
    if not entries:
        raise root.error("'notify' is empty", "add `- type: console`")
    channels: dict[str, Channel] = {}
    for entry in entries:
        channel = _channel(entry)
        if channel.name in channels:
            raise entry.error(f"a second channel is named '{channel.name}'", "give it another name")
        channels[channel.name] = channel
    return list(channels.values())


def _channel(entry: Node) -> Channel:
    found = entry.entries()
    if "type" not in found:
        raise entry.error("'type' is missing", f"add `type:` with one of {', '.join(KINDS)}")
    type_ = found["type"].choice(KINDS)
    kind = KINDS[type_]
    entry.fields(("type", "name", *kind.keys), required=kind.required)
    name = found["name"].text() if "name" in found else type_
    if "|" in name:
        # it is part of the key on notified.v1
        raise found["name"].error("holds a '|'", "use letters, digits, - and _")
    return kind.read(found, name)
