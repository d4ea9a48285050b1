"""Every kind of channel: its keys in the channels file, and what reads them."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from inferwatch.config.document import Node
from inferwatch.notify.channels import alertmanager, console, pagerduty, slack, webhook
from inferwatch.notify.deliver import Channel


class Kind(NamedTuple):
    """What an entry of the channels file may hold, and the channel made of it."""

    keys: tuple[str, ...]
    required: tuple[str, ...]
    read: Callable[[Mapping[str, Node], str], Channel]


KINDS = {
    "alertmanager": Kind(alertmanager.KEYS, alertmanager.REQUIRED, alertmanager.read),
    "console": Kind(console.KEYS, console.REQUIRED, console.read),
    "pagerduty": Kind(pagerduty.KEYS, pagerduty.REQUIRED, pagerduty.read),
    "slack": Kind(slack.KEYS, slack.REQUIRED, slack.read),
    "webhook": Kind(webhook.KEYS, webhook.REQUIRED, webhook.read),
}
