"""The broker of docker-compose.yml: its settings make a real Kafka that `topics apply` can use.

The image turns `KAFKA_A_B` into `a.b` and starts Kafka; here that is done without an image, on
ports of loopback.
"""

import importlib.util
import os
import warnings
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from inferwatch.cli.main import main
from inferwatch.errors import Exit

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(170)]
ROOT = Path(__file__).parent.parent.parent
SERVICES = YAML(typ="safe").load((ROOT / "docker-compose.yml").read_text())["services"]
UNPROVED = "not proved here: that the settings of docker-compose.yml are a working Kafka's"


def properties(outside: int) -> str:
    """The broker's settings, with the places for its ports and its data that kafka.py fills."""
    given = SERVICES["kafka"]["environment"]
    lines = [
        f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={value}"
        for name, value in given.items()
        if name != "KAFKA_HEAP_OPTS"
    ]
    text = "\n".join(lines) + "\n"
    places = {
        "INSIDE://:9092": "INSIDE://127.0.0.1:{broker}",
        "INSIDE://kafka:9092": "INSIDE://127.0.0.1:{broker}",
        "CONTROLLER://:9093": "CONTROLLER://127.0.0.1:{controller}",
        "1@localhost:9093": "1@127.0.0.1:{controller}",
        "OUTSIDE://:29092": f"OUTSIDE://127.0.0.1:{outside}",
        "OUTSIDE://localhost:29092": f"OUTSIDE://127.0.0.1:{outside}",
        given["KAFKA_LOG_DIRS"]: "{data}",
    }
    for before, after in places.items():
        assert before in text
        text = text.replace(before, after)
    return text


def test_the_settings_are_those_of_a_working_broker(monkeypatch, capsys):
    """A real Kafka starts with them, and the one-shot service makes the topics on both listeners'
    broker, then finds nothing to do.
    """
    spec = importlib.util.spec_from_file_location("kafka_script", ROOT / "scripts" / "kafka.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    if lacking := script.missing():
        if os.environ.get("CI"):
            pytest.fail(lacking)
        warnings.warn(UNPROVED, stacklevel=1)
        pytest.skip(f"{UNPROVED} ({lacking})")
    [outside] = script.free_ports(1)
    monkeypatch.setattr(script, "SETTINGS", properties(outside))
    with script.broker() as broker:
        for port, printed in ((broker.port, "created"), (outside, "6 topics are as they should")):
            monkeypatch.setenv("INFERWATCH_BOOTSTRAP_SERVERS", f"127.0.0.1:{port}")
            assert main(SERVICES["topics"]["command"]) == Exit.DONE
            assert printed in capsys.readouterr().out
