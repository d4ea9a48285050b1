"""deploy/Dockerfile, read as its builder reads it: `BUILD` and `IMAGE` are its two stages."""

import re
from pathlib import Path

DOCKERFILE = Path(__file__).parent.parent.parent / "deploy" / "Dockerfile"


def stages() -> list[list[tuple[str, str]]]:
    """Instructions of each stage, continued lines joined."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line[:1] != "#"]
    text = re.sub(r"\s*\\\n\s*", " ", "\n".join(lines))
    found: list[list[tuple[str, str]]] = [[]]
    for line in filter(None, text.splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found[1:]


def environment(stage: list[tuple[str, str]]) -> dict[str, str]:
    """Variables that a stage sets."""
    pairs = [pair for word, rest in stage if word == "ENV" for pair in rest.split()]
    return dict(pair.split("=", 1) for pair in pairs)


BUILD, IMAGE = stages()
