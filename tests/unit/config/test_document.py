"""Every value of a document knows where it stands, and every mistake is told with place and fix."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from inferwatch.config import document
from inferwatch.config.document import Node
from inferwatch.errors import ConfigError

SAMPLE = """\
# a comment
first: 1
outer:
  inner: [a, b]
  deep:

    deeper: yes
list:
  - x: 1
  - y: 2
"""


def places(node: Node, value: object) -> list[tuple[str, int]]:
    """Key and line of a node and of all below it."""
    found = [(node.key, node.line)]
    if isinstance(value, dict):
        for name, below in node.entries().items():
            found += places(below, value[name])
    elif isinstance(value, list):
        for below, item in zip(node.items(), value, strict=True):
            found += places(below, item)
    return found


def test_a_node_names_its_key_and_line():
    """The path from the root, and the line as an editor counts."""
    root = document.parse(SAMPLE, "f.yaml")
    plain = {
        "first": 1,
        "outer": {"inner": ["a", "b"], "deep": {"deeper": "yes"}},
        "list": [{"x": 1}, {"y": 2}],
    }
    assert places(root, plain) == [
        ("", 1),
        ("first", 2),
        ("outer", 3),
        ("outer.inner", 4),
        ("outer.inner[0]", 4),
        ("outer.inner[1]", 4),
        ("outer.deep", 5),
        ("outer.deep.deeper", 7),
        ("list", 8),
        ("list[0]", 9),
        ("list[0].x", 9),
        ("list[1]", 10),
        ("list[1].y", 10),
    ]


def test_the_words_of_yaml_1_2():
    """`no`, `on` and `off` are words; only true and false are truth values."""
    root = document.parse("a: no\nb: off\nc: true\nd: ON\n", "f.yaml").entries()
    assert [root[name].text() for name in "abd"] == ["no", "off", "ON"]
    assert root["c"].boolean() is True
    with pytest.raises(ConfigError, match="expected true or false, found 'no'"):
        root["a"].boolean()


def node(text: str) -> Node:
    """The node of `k: TEXT`, which stands in line 1."""
    return document.parse(f"k: {text}\n", "f.yaml").entries()["k"]


@pytest.mark.parametrize(
    ("text", "ask", "says"),
    [
        ("{a: 1}", lambda n: n.text(), "expected text, found a mapping (write a word)"),
        ("", lambda n: n.text(), "expected text, found nothing (write a word)"),
        ("''", lambda n: n.text(), "expected text, found '' (write a word)"),
        ("1.10", lambda n: n.text(), "is a number where a word is expected (put it into quotes)"),
        ("010", lambda n: n.text(), "is a number where a word is expected (put it into quotes)"),
        ("2020-01-01", lambda n: n.text(), "expected text, found a date (write a word)"),
        ("!tag x", lambda n: n.text(), "expected text, found a TaggedScalar (write a word)"),
        ("3", lambda n: n.items(), "expected a list, found 3 (write `[3]`)"),
        ("[1]", lambda n: n.entries(), "expected a mapping, found a list (write `key: value`)"),
        ("x", lambda n: n.integer(1, 9), "expected a whole number, found 'x' (1 to 9)"),
        ("true", lambda n: n.integer(1, 9), "expected a whole number, found True (1 to 9)"),
        ("10", lambda n: n.integer(1, 9), "10 is out of range (1 to 9)"),
        (".nan", lambda n: n.number(), "expected a number, found nan (write a finite number)"),
        ("x", lambda n: n.number(), "expected a number, found 'x' (write a finite number)"),
        ("1", lambda n: n.boolean(), "expected true or false, found 1 (true or false)"),
        ("5", lambda n: n.duration_ms(), "5 is no duration (write a duration such as"),
        ("0s", lambda n: n.duration_ms(), "'0s' is no duration (write a duration such as"),
        ("600w", lambda n: n.duration_ms(), "'600w' is too long (at most ten years)"),
        ("64", lambda n: n.size_bytes(), "64 is no size (write a size such as 512KiB"),
        ("2000GiB", lambda n: n.size_bytes(), "'2000GiB' is too large (at most 1024GiB)"),
        ("[5%]", lambda n: n.amount(), "a list is no amount (write a number, 5%, 5pp"),
        (
            "rd",
            lambda n: n.choice(["red"]),
            "'rd' is not allowed (did you mean 'red'? allowed: red)",
        ),
    ],
)
def test_a_wrong_value_is_told_with_place_and_fix(text, ask, says):
    """File, line, key, what was found, and what to write instead."""
    with pytest.raises(ConfigError) as caught:
        ask(node(text))
    assert str(caught.value).startswith(f"f.yaml:1: k: {says}")
    assert (caught.value.file, caught.value.line, caught.value.key) == ("f.yaml", 1, "k")
    assert caught.value.fix


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "f.yaml:1: expected a mapping, found nothing"),
        ("- a\n", "f.yaml:1: expected a mapping, found a list"),
        ("a: 1\na: 2\n", 'f.yaml:2: not YAML: found duplicate key "a"'),
        ("a: [\n", "f.yaml:2: not YAML: expected the node content"),
        ("a: 1\n\tb: 2\n", "f.yaml:2: not YAML: found character '\\t'"),
        ("a: *nowhere\n", "f.yaml:1: not YAML: found undefined alias"),
        ("a: 1\n---\nb: 1\n", "f.yaml:2: not YAML: but found another document"),
        ("a: 'x\n", "f.yaml:2: not YAML: found unexpected end of stream"),
        ("a: \x00\n", "f.yaml: not YAML: unacceptable character"),
        ("a: !!int x\n", "f.yaml: not YAML: invalid literal"),
        ("a: !!bool maybe\n", "f.yaml: not YAML: 'maybe'"),
        ("a: " + "9" * 5_000, "f.yaml: not YAML: Exceeds the limit"),
    ],
)
def test_what_is_no_document_is_told(text, says):
    """Syntax is told with its line where the parser knows it."""
    with pytest.raises(ConfigError) as caught:
        document.parse(text, "f.yaml")
    assert str(caught.value).startswith(says)


def test_a_key_is_there_once_and_is_a_word():
    """Keys that read alike, and keys that are no words, are refused where they stand."""
    with pytest.raises(ConfigError, match=r"^f\.yaml:2: 1: is there twice"):
        document.parse("1: a\n'1': b\n", "f.yaml").entries()
    with pytest.raises(ConfigError, match=r"is no key \(write a word\)"):
        document.parse("? [a, b]\n: 1\n", "f.yaml").entries()
    with pytest.raises(ConfigError, match=r"is no key"):
        document.parse("~: 1\n", "f.yaml").entries()


def test_anchors_and_merged_keys_are_followed():
    """What `<<` brings counts, and errors about it name the mapping that takes it."""
    root = document.parse("a: &x {b: 5}\nc: {<<: *x}\nd:\n  <<: *x\n  e: 1\n", "f.yaml").entries()
    assert root["c"].entries()["b"].integer(1, 9) == 5
    taken = root["d"].entries()
    assert (taken["b"].line, taken["b"].key) == (3, "d.b")
    assert (taken["e"].line, taken["e"].key) == (5, "d.e")


def test_unknown_and_missing_keys_are_told():
    """The nearest allowed word is suggested, and all of them are listed."""
    root = document.parse("colour: 1\n", "f.yaml")
    with pytest.raises(
        ConfigError, match=r"colour: unknown key \(did you mean 'color'\? allowed: a, color\)"
    ):
        root.fields(["color", "a"])
    with pytest.raises(ConfigError, match=r"^f\.yaml:1: 'size' is missing \(add `size:`\)$"):
        root.fields(["colour", "size"], required=["size"])


def test_a_name_that_is_meant_is_near_whatever_its_letters():
    """Large letters are no distance: names have them, and who mistypes them drops them first."""
    known = ["country=FR", "country=DE"]
    for name in ("country=DEE", "COUNTRY=DE", "country=de", "contry=DE"):
        assert document.meant(name, known) == "did you mean 'country=DE'? "
    assert document.meant("amount", known) == ""


def test_a_table_for_a_document_is_quoted_in_short():
    """What is no YAML is one word, as long as the file."""
    with pytest.raises(ConfigError) as caught:
        document.parse("id,amount\n" + "1,2.5\n" * 1_000, "t.csv").fields(["checks"])
    told = str(caught.value)
    assert told.startswith("t.csv:1: expected a mapping, found 'id,amount 1,2.5")
    assert len(told) < 200 and "…'" in told


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    """No such file, a folder, bytes that are no UTF-8."""
    with pytest.raises(ConfigError, match=r"nothing\.yaml: cannot be read: No such file"):
        document.read(tmp_path / "nothing.yaml")
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory \(name the files"):
        document.read(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("a: ä\n".encode("latin-1"))
    with pytest.raises(ConfigError, match="is not UTF-8"):
        document.read(tmp_path / "latin.yaml")


@given(st.text(alphabet="ab:-[]{}#&*!|>'\"%@,? \n\t0.~<", max_size=40))
def test_any_text_is_a_document_or_an_error(text):
    """No text ends in another exception, and reading it through does not either."""
    try:
        walk(document.parse(text, "f.yaml"))
    except ConfigError as error:
        assert error.file == "f.yaml" and error.fix


def walk(found: Node, depth: int = 0) -> None:
    """Read all of a document, each value as all that it might be."""
    for ask in (Node.text, Node.number, Node.duration_ms, Node.amount, Node.boolean, Node.items):
        try:
            ask(found)
        except ConfigError as error:
            assert error.fix
    if depth < 5 and hasattr(found.value, "lc"):
        below = found.entries().values() if hasattr(found.value, "keys") else found.items()
        for node in below:
            walk(node, depth + 1)


words = st.text(alphabet="abcdefghij", min_size=1, max_size=5)
trees = st.recursive(
    st.one_of(words, st.integers(0, 99)),
    lambda below: st.one_of(
        st.lists(below, max_size=3), st.dictionaries(words, below, min_size=1, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(words, trees, min_size=1, max_size=4))
def test_a_written_tree_is_read_back(tree):
    """Whatever YAML's own writer makes of plain values comes back, and knows its line."""
    import io

    out = io.StringIO()
    YAML(typ="safe", pure=True).dump(tree, out)
    text = out.getvalue()
    lines = text.splitlines()
    for key, line in places(document.parse(text, "f.yaml"), tree):
        last = key.rsplit(".", 1)[-1].split("[")[0]
        assert not key or key.endswith("]") or last in lines[line - 1]
