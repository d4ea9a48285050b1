"""A secret of a channels file: in a file beside it or in a variable, never in the file itself."""

import os
from collections.abc import Mapping
from pathlib import Path

from inferwatch.config.document import Node

KEYS = ("secret_file", "secret_env")


def read(fields: Mapping[str, Node], owner: Node, fix: str) -> tuple[Node, str]:
    """The entry that names the secret, and its text without surrounding space.

    :param owner: what an error points at where none is named.
    :raises ConfigError: it is not named once, cannot be read or is empty; no message quotes it.
    """
    given = [name for name in KEYS if name in fields]
    if len(given) != 1:
        hint = "add `secret_file:` or `secret_env:`, and only one of them"
        raise owner.error("the secret is not given once", hint)
    node = fields[given[0]]
    text = (_from_file if given[0] == "secret_file" else _from_environment)(node, fix).strip()
    if not text:
        raise node.error("holds no secret", fix)
    return node, text


def _from_file(node: Node, fix: str) -> str:
    path = Path(node.file).parent / node.text()
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise node.error(f"{path} cannot be read: {error.strerror}", "check the path") from None
    except UnicodeDecodeError:
        raise node.error(f"{path} is not UTF-8", fix) from None


def _from_environment(node: Node, fix: str) -> str:
    name = node.text()
    if name not in os.environ:
        raise node.error(f"the variable {name} is not set", "set it to the secret")
    return os.environ[name]
