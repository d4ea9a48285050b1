"""The rights of each component, as data and as `topics plan --acls` prints them."""

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
