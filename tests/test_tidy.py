"""The house rules: each takes a file's path and text, and says what is wrong and what to do.

Every rule is first tried on a planted violation, so that none can fall silent.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINES_MAX = 500
FUNCTION_LINES_MAX = 100
TOP_LEVEL = {
    *(".ci", "pipeline", "schemas", "tests", "examples", "benchmarks", "docs", "scripts"),
    *("deploy", "docker-compose.yml", "k8s"),
    *("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"),
    *("Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock", ".gitignore"),
}
Rule = Callable[[str, str], Iterator[str]]
TEXT = (".py", ".md", ".toml", ".yaml", ".yml", ".json", ".txt", ".lock", ".xml", "Makefile", "run")
PURE = ("pipeline/inferwatch/core/", "pipeline/inferwatch/records/")


def place(path: str, text: str) -> Iterator[str]:
    """Files lie where the layout says."""
    if path.split("/")[0] not in TOP_LEVEL:
        yield "a new top-level name: put it under one that is there, or change the layout first"
    if path == "pipeline/__init__.py":
        yield "`pipeline` is a source root: delete its __init__.py, or every module loads twice"


def content(path: str, text: str) -> Iterator[str]:
    """No placeholder."""
    if not text.strip() and not path.endswith("py.typed"):
        yield "an empty file: delete it, or write what it is for"
    if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text) and path != "tests/test_tidy.py":
        yield "a note to yourself: do it, or file it"


def machine(path: str, text: str) -> Iterator[str]:
    """Nothing of one machine or registry."""
    if path == "tests/test_tidy.py":
        return
    if re.search(r"/((work|root)/|home/\w|opt/wheels)", text):
        yield "a path of one machine: take it from a setting or a temporary folder"
    if re.search(r"(pypi\.org|pythonhosted|maven\.org|/simple/|registry\.npmjs)", text):
        yield "a registry's address: clients are configured outside the repository"


def lock(path: str, text: str) -> Iterator[str]:
    """Names, versions, markers and hashes."""
    if not path.endswith(".lock"):
        return
    line = re.compile(r"[a-z0-9._-]+==[\w.+]+( ; .*?)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    wrong = [found for found in text.splitlines() if not line.fullmatch(found)]
    if wrong:
        yield f"'{wrong[0]}' is more than name, version and hash: write it with `make lock`"


def size(path: str, text: str) -> Iterator[str]:
    """Files and functions that fit into a head."""
    if not path.endswith(".py"):
        return
    if text.count("\n") > LINES_MAX:
        yield f"more than {LINES_MAX} lines: one idea a file"
    for function in functions(ast.parse(text)):
        lines = (function.end_lineno or 0) - function.lineno
        if lines > FUNCTION_LINES_MAX:
            yield f"{function.name} has {lines} lines: split it where a thought ends"


def words(path: str, text: str) -> Iterator[str]:
    """A module, a public function and a test say what they are for."""
    if not path.endswith(".py"):
        return
    tree = ast.parse(text)
    if ast.get_docstring(tree) is None:
        yield "no docstring: say in a sentence what this file is for"
    for function in functions(tree):
        if path.startswith("pipeline/") and public(function, tree) and not described(function):
            yield f"{function.name} has no docstring: meaning, units, errors raised"
        if function.name.startswith("test_") and not described(function):
            yield f"{function.name} does not open with the claim that it checks"


def formatting(path: str, text: str) -> Iterator[str]:
    """The formatter decides."""
    exempt = re.search(r"#\s*fmt:\s*(skip|off)", text) and path != "tests/test_tidy.py"
    if path.endswith(".py") and exempt:
        yield "the formatter has no exceptions: write it so that its form is fine"


def waiting(path: str, text: str) -> Iterator[str]:
    """Tests wait for states; `workers.py` holds the one loop that polls for them."""
    tests = path.startswith("tests/") and path.endswith(".py")
    if tests and path != "tests/integration/workers.py" and "time.sleep" in calls(text):
        yield "a sleep in a test: wait for a state with workers.wait_for"


def purity(path: str, text: str) -> Iterator[str]:
    """The fold repeats itself on any machine and under any hash seed."""
    if not path.startswith(PURE) or not path.endswith(".py"):
        return
    for name in sorted({"hash", "id", "open", "print", "input"} & set(calls(text))):
        yield f"{name}() in the fold: it may read nothing but its arguments"
    for node in ast.walk(ast.parse(text)):
        loop = node.iter if isinstance(node, ast.For | ast.comprehension) else None
        if isinstance(loop, ast.Set | ast.SetComp) or called(loop) in ("set", "frozenset"):
            yield "iterating over a set: its order follows the hash seed; sort it, or use a dict"


def swallowed(path: str, text: str) -> Iterator[str]:
    """No error vanishes."""
    if not path.endswith(".py"):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ExceptHandler):
            if node.type is None:
                yield "a bare except: name what is expected"
            name = node.type.id if isinstance(node.type, ast.Name) else ""
            silent = all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
            if silent and name in ("Exception", "BaseException"):
                yield "a swallowed error: handle it, count it or let it go"


def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file."""
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def public(function: ast.FunctionDef | ast.AsyncFunctionDef, tree: ast.Module) -> bool:
    """A function of the module or of a public class of it, without a leading underscore."""
    owners: list[ast.Module | ast.ClassDef] = [tree]
    owners += [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_"]
    return function.name[0] != "_" and any(function in owner.body for owner in owners)


def described(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it has a docstring."""
    return ast.get_docstring(function) is not None


def called(node: ast.AST | None) -> str:
    """Name of what a call calls, "" for anything else."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def calls(text: str) -> list[str]:
    """Names of everything that a file calls."""
    return [called(node) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]


PLANTED: list[tuple[Rule, str, str]] = [
    (place, "utils/helpers.py", '"""Helpers."""\n'),
    (place, "pipeline/__init__.py", '"""A package."""\n'),
    (content, "docs/later.md", "\n"),
    (content, "docs/later.md", "TODO: write this\n"),
    (machine, "docs/setup.md", "cd /home/me/project\n"),
    (machine, "Makefile", "pip install -i https://pypi.org/simple/ x\n"),
    (lock, "requirements.lock", "numpy==2.0.0 @ file:///tmp/numpy.whl\n"),
    (size, "pipeline/inferwatch/big.py", "x = 1\n" * (LINES_MAX + 1)),
    (size, "pipeline/inferwatch/long.py", "def f():\n" + "    x = 1\n" * 200),
    (words, "pipeline/inferwatch/mute.py", "x = 1\n"),
    (words, "pipeline/inferwatch/mute.py", '"""Words."""\n\n\ndef speak(): ...\n'),
    (words, "tests/test_mute.py", '"""Words."""\n\n\ndef test_it(): ...\n'),
    (formatting, "pipeline/inferwatch/a.py", "x = [1,2]  # fmt: skip\n"),
    (waiting, "tests/test_slow.py", "import time\ntime.sleep(3)\n"),
    (purity, "pipeline/inferwatch/core/a.py", "def f(x):\n    return hash(x)\n"),
    (purity, "pipeline/inferwatch/core/a.py", "def f(x):\n    return [y for y in set(x)]\n"),
    (swallowed, "pipeline/inferwatch/a.py", "try:\n    f()\nexcept Exception:\n    pass\n"),
    (swallowed, "pipeline/inferwatch/a.py", "try:\n    f()\nexcept:\n    raise\n"),
]
RULES = list(dict.fromkeys(rule for rule, _, _ in PLANTED))


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED)
def test_a_rule_sees_what_it_is_for(rule, path, text):
    """A planted violation is found by its rule."""
    assert list(rule(path, text))


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a git checkout to list files")
@pytest.mark.parametrize("rule", RULES)
def test_the_house_is_tidy(rule):
    """No file of the repository breaks a rule."""
    found = [f"{path}: {wrong}" for path, text in tracked().items() for wrong in rule(path, text)]
    assert not found, "\n".join(found)


def tracked() -> dict[str, str]:
    """Text of every file that git knows, by path."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return {
        name: (ROOT / name).read_text()
        for name in names
        if name.endswith(TEXT) and (ROOT / name).is_file()
    }
