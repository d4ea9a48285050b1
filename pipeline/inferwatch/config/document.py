"""A YAML document whose every value knows its file, line and key, for errors to name."""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError

from inferwatch.config import units
from inferwatch.errors import ConfigError

WORD_MAX = 80  # of a value that is quoted: what is no YAML is one long word


class Node:
    """One value of a document and where it stands."""

    def __init__(self, value: Any, file: str, line: int, key: str) -> None:
        self.value, self.file, self.line, self.key = value, file, line, key

    def error(self, problem: str, fix: str = "") -> ConfigError:
        """The error to raise about this value."""
        return ConfigError(problem, file=self.file, line=self.line, key=self.key, fix=fix)

    def fields(self, allowed: Iterable[str], required: Iterable[str] = ()) -> dict[str, "Node"]:
        """The keys of a mapping. Unknown ones are errors with a suggestion, missing ones too."""
        names = list(allowed)
        if not isinstance(self.value, CommentedMap):
            fix = _as_mapping(self.value, names)
            raise self.error(f"expected a mapping, found {kind(self.value)}", fix)
        found = self.entries()
        for name, node in found.items():
            if name not in names:
                raise node.error("unknown key", suggestion(name, names))
        for name in required:
            if name not in found:
                raise self.error(f"'{name}' is missing", f"add `{name}:`")
        return found

    def entries(self) -> dict[str, "Node"]:
        """A mapping with keys of the user's choice."""
        if not isinstance(self.value, CommentedMap):
            raise self.error(f"expected a mapping, found {kind(self.value)}", "write `key: value`")
        found: dict[str, Node] = {}
        for name, value in self.value.items():
            node = Node(value, self.file, self._line(name), self._under(name))
            if not isinstance(name, str | int | float):
                raise node.error("is no key", "write a word")
            if str(name) in found:
                raise node.error("is there twice", "leave one of the two out")
            found[str(name)] = node
        return found

    def _line(self, name: object) -> int:
        """Where a key stands; of one that `<<` brings, where the mapping that takes it does."""
        try:
            return int(self.value.lc.key(name)[0]) + 1
        except (KeyError, TypeError):
            return self.line

    def _under(self, name: object) -> str:
        return f"{self.key}.{name}" if self.key else str(name)

    def items(self) -> list["Node"]:
        """The entries of a list."""
        if not isinstance(self.value, CommentedSeq):
            raise self.error(f"expected a list, found {kind(self.value)}", _as_list(self.value))
        return [
            Node(value, self.file, self.value.lc.item(at)[0] + 1, f"{self.key}[{at}]")
            for at, value in enumerate(self.value)
        ]

    def texts(self) -> list[str]:
        """A list of words."""
        return [item.text() for item in self.items()]

    def text(self) -> str:
        """A word, or a whole number. Others are refused: 1.10 would be read as 1.1."""
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        if (isinstance(self.value, str) and self.value) or type(self.value) is int:
            return str(self.value)
        if isinstance(self.value, int | float):
            raise self.error("is a number where a word is expected", "put it into quotes")
        raise self.error(f"expected text, found {kind(self.value)}", "write a word")

    def integer(self, least: int, most: int) -> int:
        """A whole number in a range."""
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            if least <= self.value <= most:
                return int(self.value)
            raise self.error(f"{self.value} is out of range", f"{least} to {most}")
        raise self.error(f"expected a whole number, found {kind(self.value)}", f"{least} to {most}")

    def number(self) -> float:
        """A finite number."""
        if isinstance(self.value, int | float) and not isinstance(self.value, bool):
            value = float(self.value)
            if value == value and abs(value) != float("inf"):
                return value
        raise self.error(f"expected a number, found {kind(self.value)}", "write a finite number")

    def boolean(self) -> bool:
        """True or false, as YAML 1.2 has it."""
        if isinstance(self.value, bool):
            return self.value
        raise self.error(f"expected true or false, found {kind(self.value)}", "true or false")

    def choice(self, options: Iterable[str]) -> str:
        """One of `options`."""
        names, text = list(options), self.text()
        if text not in names:
            raise self.error(f"'{text}' is not allowed", suggestion(text, names))
        return text

    def duration_ms(self) -> int:
        """A positive duration."""
        found = units.duration_ms(self.value) if isinstance(self.value, str) else None
        if not found:
            raise self.error(f"{kind(self.value)} is no duration", units.DURATION_FIX)
        if found > units.DURATION_MAX_MS:
            raise self.error(f"{kind(self.value)} is too long", "at most ten years")
        return found

    def size_bytes(self) -> int:
        """A positive size."""
        found = units.size_bytes(self.value) if isinstance(self.value, str) else None
        if not found:
            raise self.error(f"{kind(self.value)} is no size", units.SIZE_FIX)
        if found > units.SIZE_MAX_BYTES:
            raise self.error(f"{kind(self.value)} is too large", "at most 1024GiB")
        return found

    def amount(self) -> units.Amount:
        """A number with its unit."""
        usable = isinstance(self.value, str | int | float) and not isinstance(self.value, bool)
        found = units.amount(str(self.value)) if usable else None
        if found is None:
            raise self.error(f"{kind(self.value)} is no amount", units.AMOUNT_FIX)
        return found


def kind(value: object) -> str:
    """What a value is, in the words of a YAML author."""
    if value is None:
        return "nothing"
    if isinstance(value, CommentedMap):
        return "a mapping"
    if isinstance(value, CommentedSeq):
        return "a list"
    if isinstance(value, str):
        return repr(value[:WORD_MAX] + "…" * (len(value) > WORD_MAX))
    return str(value) if isinstance(value, int | float) else f"a {type(value).__name__}"


def _as_mapping(value: object, names: list[str]) -> str:
    """The value under the first of the keys, which is the usual one; and the others."""
    written = f"`{{{names[0]}: {value}}}`" if isinstance(value, str | int | float) else ""
    others = ", ".join(names[1:] if written else names)
    if not written:
        return f"write `key: value`; the keys are {others}"
    return f"write {written}" + (f"; other keys are {others}" if others else "")


def _as_list(value: object) -> str:
    if isinstance(value, str | int | float):
        return f"write `[{value}]`"
    return "begin each entry with `- `"


def suggestion(name: str, names: Iterable[str]) -> str:
    """ "did you mean …?" where one is near, and what is allowed."""
    allowed = sorted(names)
    return meant(name, allowed) + f"allowed: {', '.join(allowed)}"


def meant(name: str, names: Iterable[str]) -> str:
    """ "did you mean …? " where a name is near, or `name` is short for it, as `tz` is."""
    small, known = name.lower(), {}
    for one in names:
        known.setdefault(one.lower(), one)
    near = [small] if small in known else difflib.get_close_matches(small, known, n=1)
    near = near or [one for one in known if len(name) > 1 and _is_short_for(small, one)]
    return f"did you mean '{known[near[0]]}'? " if near else ""


def _is_short_for(name: str, whole: str) -> bool:
    """Whether `name` begins as `whole` does, and leaves out some of its letters."""
    letters = iter(whole)
    return name[:1] == whole[:1] and all(letter in letters for letter in name)


def read(path: Path) -> Node:
    """The document in `path`. YAML 1.2: `no` is a word, keys are unique.

    :raises ConfigError: it cannot be read, or is no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        fix = f"name the files in it, as {path}/*.yaml" if path.is_dir() else "check the path"
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path), fix=fix) from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8", file=str(path), fix="save it as UTF-8") from None
    return parse(text, str(path))


def parse(text: str, file: str) -> Node:
    """The document in `text`; `file` is what errors call it."""
    loader = YAML(typ="rt", pure=True)
    try:
        value = loader.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        problem = error.problem or error.context or ""
        raise ConfigError(
            f"not YAML: {problem}",
            file=file,
            line=line,
            fix="indent by spaces" if "'\\t'" in problem else "mend the syntax there",
        ) from None
    except Exception as error:  # tags that do not fit their values end in errors of many kinds
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"not YAML: {first}", file=file, fix="mend the syntax") from None
    if not isinstance(value, CommentedMap):
        raise ConfigError(
            f"expected a mapping, found {kind(value)}",
            file=file,
            line=1,
            fix="write `key: value` lines",
        )
    return Node(value, file, 1, "")
