"""The rights of each component, as data and as `topics plan --acls` prints them."""

import shlex

from inferwatch.cli.main import main
from inferwatch.errors import Exit
from inferwatch.runtime.rights import Right, rights


def test_rights_are_printed_without_a_broker(capsys, monkeypatch):
    """One line a component and resource, under the prefix in use; no broker need be named."""
    monkeypatch.delenv("INFERWATCH_BOOTSTRAP_SERVERS", raising=False)
    assert main(["topics", "plan", "--acls", "--prefix", "x."]) == Exit.DONE
    heads, *lines = capsys.readouterr().out.splitlines()
    assert heads.split() == ["COMPONENT", "RESOURCE", "NAME", "PATTERN", "OPERATIONS"]
    assert len(lines) == sum(map(len, rights("x.").values()))
    assert "worker topic x.state.v1 literal Read, Write" in [" ".join(x.split()) for x in lines]


def test_rights_are_printed_as_commands_too(capsys, monkeypatch):
    """Each line grants one right of the table to the component's own user, and nothing else."""
    monkeypatch.delenv("INFERWATCH_BOOTSTRAP_SERVERS", raising=False)
    words = ["topics", "plan", "--acls", "commands", "--prefix", "x."]
    assert main([*words, "--bootstrap-server", "kafka:9096"]) == Exit.DONE
    granted = []
    for line in capsys.readouterr().out.splitlines():
        tool, *pairs = shlex.split(line.replace(" --add ", " "))
        options = [(name, value) for name, value in zip(pairs[::2], pairs[1::2], strict=True)]
        single = {name.removeprefix("--"): value for name, value in options}
        assert (tool, single["bootstrap-server"]) == ("kafka-acls", "kafka:9096")
        kind = "group" if "group" in single else "topic"
        operations = tuple(value for name, value in options if name == "--operation")
        right = Right(kind, single[kind], operations, single["resource-pattern-type"])
        granted.append((single["allow-principal"], right))
    assert granted == [
        (f"User:x-{component.replace(' ', '-')}", right)
        for component, needed in rights("x.").items()
        for right in needed
    ]
    assert main(words) == Exit.DONE
    assert " --bootstrap-server BROKERS " in capsys.readouterr().out


def test_only_plan_prints_them(capsys):
    """`topics apply --acls` would sound as if it granted something."""
    assert main(["topics", "apply", "--acls"]) == Exit.USAGE
    assert "only plan takes --acls" in capsys.readouterr().err


def test_each_resource_of_a_component_stands_once():
    """Whoever grants line by line grants nothing twice, and operations are Kafka's words."""
    for component, needed in rights("x.", source="orders").items():
        places = [(right.resource, right.name) for right in needed]
        assert len(set(places)) == len(places), component
        assert {right.resource for right in needed} <= {"topic", "group"}
        assert {right.pattern for right in needed} == {"literal"}
    assert rights("x.", source="orders")["ingest"][0] == Right("topic", "orders", ("Read",))
