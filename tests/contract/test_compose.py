"""docker-compose.yml: its form, and that all it names is there. No container is started here."""

import json
import re
import shlex
from importlib.metadata import files
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from dockerfile import IMAGE, environment
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from inferwatch import __version__
from inferwatch.cli.main import parser
from inferwatch.config import monitors
from inferwatch.connection import Connection
from inferwatch.notify import channel_file

ROOT = Path(__file__).parent.parent.parent
FILE = ROOT / "docker-compose.yml"
OURS = {"topics", "worker-1", "worker-2", "notifier", "producer"}
Words = Annotated[list[str], msgspec.Meta(min_length=1)]
Pinned = Annotated[str, msgspec.Meta(pattern=r"^[a-z]+(/[a-z]+)?:v?\d+\.\d+\.\d+$")]
Duration = Annotated[str, msgspec.Meta(pattern=r"^\d+s$")]
Size = Annotated[str, msgspec.Meta(pattern=r"^\d+[MG]$")]


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    """The part of the Compose specification that is used here: a misspelt key is an error."""


class Limits(Strict):
    """`deploy.resources.limits`."""

    cpus: Annotated[str, msgspec.Meta(pattern=r"^\d(\.\d)?$")]
    memory: Size
    pids: int


class Resources(Strict):
    """`deploy.resources`."""

    limits: Limits


class Deploy(Strict):
    """`deploy`."""

    resources: Resources


class Build(Strict):
    """`build`."""

    context: str
    dockerfile: str


class After(Strict):
    """One of `depends_on`."""

    condition: Literal["service_healthy", "service_completed_successfully"]


class Health(Strict):
    """`healthcheck`."""

    test: Words | None = None
    interval: Duration = "10s"
    timeout: Duration = "5s"
    retries: int = 3
    start_period: Duration = "0s"
    disable: bool = False


class Service(Strict):
    """A service; what has no default must be said by each."""

    image: Pinned
    init: Literal[True]
    read_only: Literal[True]
    cap_drop: list[Literal["ALL"]]
    security_opt: list[Literal["no-new-privileges:true"]]
    stop_grace_period: Duration
    deploy: Deploy
    restart: Literal["no", "unless-stopped"]
    build: Build | None = None
    command: Words | None = None
    entrypoint: Words | None = None
    environment: dict[str, str] = {}
    volumes: list[str] = []
    tmpfs: list[str] = []
    ports: list[str] = []
    depends_on: dict[str, After] = {}
    healthcheck: Health | None = None
    profiles: list[str] = []


class Compose(msgspec.Struct):
    """The file; keys that begin with `x-` are its own."""

    name: str
    services: dict[str, Service]
    volumes: dict[str, None]


COMPOSE = msgspec.convert(YAML(typ="safe").load(FILE.read_text()), Compose)
SERVICES = COMPOSE.services


def specification():
    """The Compose specification's own JSON schema, as check-jsonschema ships it."""
    found = files("check-jsonschema") or []
    (schema,) = (file for file in found if file.name == "compose-spec.json")
    return Draft202012Validator(json.loads(schema.read_text()))


def test_it_is_a_compose_file():
    """The specification's own schema takes it, and refuses it with a key misspelt."""
    schema, text = specification(), FILE.read_text()
    assert [error.message for error in schema.iter_errors(YAML(typ="safe").load(text))] == []
    wrong = YAML(typ="safe").load(text.replace("healthcheck:", "healthchek:"))
    assert any("healthchek" in error.message for error in schema.iter_errors(wrong))


def test_every_key_is_of_the_specification():
    """The top has only known names, and a misspelt key of a service would have been refused."""
    found = YAML(typ="safe").load(FILE.read_text())
    assert {key for key in found if not key.startswith("x-")} == {"name", "services", "volumes"}
    found["services"]["kafka"]["comand"] = ["x"]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(found, Compose)


def test_every_mount_is_there():
    """A path of this repository exists and is read-only; a named volume is declared."""
    named = set()
    for service in SERVICES.values():
        for mount in service.volumes:
            source, target, *mode = mount.split(":")
            assert target.startswith("/")
            if source.startswith("./"):
                assert (ROOT / source).exists(), source
                assert mode == ["ro"]
            else:
                named.add(source)
    assert named == COMPOSE.volumes.keys()


def test_files_that_services_read_are_in_their_mounts():
    """Whatever path below a mount a command or a provisioning file names, a file is there."""
    grafana = (ROOT / "deploy/grafana/provisioning/dashboards/inferwatch.yml").read_text()
    told = {name: " ".join(one.command or []) for name, one in SERVICES.items()}
    told["grafana"] += " " + re.search(r"path: (\S+)", grafana)[1]
    seen = 0
    for name, service in SERVICES.items():
        mounts = [mount.split(":") for mount in service.volumes if mount.startswith("./")]
        for source, target, _ in mounts:
            for path in re.findall(rf"{target}(/[\w./-]+)?", told[name]):
                assert (ROOT / source / path.lstrip("/")).exists(), (name, path)
                seen += 1
    assert seen >= 6


def test_what_starts_first_is_there_and_answers():
    """A service waits for one that has a health check, or that ends; nobody waits in a circle."""
    for service in SERVICES.values():
        for name, after in service.depends_on.items():
            other = SERVICES[name]
            if after.condition == "service_healthy":
                checked = other.healthcheck or "HEALTHCHECK" in dict(IMAGE)
                assert checked and not (other.healthcheck and other.healthcheck.disable)
            else:
                assert other.restart == "no"
    started: list[str] = []
    while len(started) < len(SERVICES):
        ready = [
            name
            for name, service in SERVICES.items()
            if name not in started and service.depends_on.keys() <= set(started)
        ]
        assert ready, "these wait for each other"
        started += ready
    assert started.index("kafka") < started.index("topics") < started.index("worker-1")


def test_nothing_is_reached_from_outside():
    """Ports are published on loopback only."""
    ports = [port for service in SERVICES.values() for port in service.ports]
    assert ports and all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)


def test_a_drain_has_time_to_end():
    """Whoever is stopped is killed later than a drain takes at most, 20 s."""
    assert all(int(one.stop_grace_period[:-1]) >= 30 for one in SERVICES.values())


def test_our_services_run_the_image_of_this_release():
    """One image, built by deploy/Dockerfile, with this version as its tag."""
    found = {name for name, one in SERVICES.items() if one.image.startswith("inferwatch:")}
    assert found == OURS
    for name in OURS:
        service = SERVICES[name]
        assert service.image == f"inferwatch:{__version__}"
        assert service.build == Build(context=".", dockerfile="deploy/Dockerfile")
        assert any(mount.startswith("/tmp:") for mount in service.tmpfs)


@pytest.mark.parametrize("name", sorted(OURS - {"producer"}))
def test_a_command_is_one_that_the_parser_knows(name):
    """Each of our services runs a command line that `inferwatch` accepts."""
    words = SERVICES[name].command
    parsed = parser([words[0]]).parse_args(words)
    assert parsed.command == words[0]
    if "http_listen" in parsed:
        assert parsed.http_listen == f"0.0.0.0:{dict(IMAGE)['EXPOSE']}"


def test_our_services_find_the_broker():
    """The address in their environment is one that Kafka advertises inside."""
    advertised = SERVICES["kafka"].environment["KAFKA_ADVERTISED_LISTENERS"]
    for name in OURS:
        connection = Connection.from_environment(SERVICES[name].environment)
        assert f"INSIDE://{connection.bootstrap_servers}" in advertised.split(",")
    published = SERVICES["kafka"].ports[0].split(":")[1]
    assert f"OUTSIDE://localhost:{published}" in advertised.split(",")


def test_the_producer_is_a_program_that_takes_its_arguments():
    """The demo producer's module exists, and its options are those given."""
    service = SERVICES["producer"]
    assert service.profiles == ["demo"]
    python, flag, module = service.entrypoint
    assert (python, flag) == ("python", "-m")
    source = (ROOT / "pipeline" / Path(*module.split("."))).with_suffix(".py").read_text()
    options = [word.partition("=")[0] for word in service.command if word.startswith("--")]
    assert options and all(f'"{option}"' in source for option in options)


def test_the_monitor_and_channels_files_load():
    """What workers and notifier are given are valid files; the channels name services."""
    words = SERVICES["worker-1"].command
    path = words[words.index("--monitors") + 1]
    [mount] = SERVICES["worker-1"].volumes
    source, target, _ = mount.split(":")
    assert monitors.load([ROOT / source / path.removeprefix(f"{target}/")])
    assert SERVICES["worker-1"] == SERVICES["worker-2"]
    channels = ROOT / SERVICES["notifier"].volumes[0].split(":")[0]
    assert [channel.name for channel in channel_file.load(channels)] == ["console", "alertmanager"]
    assert set(re.findall(r"http://([\w-]+):", channels.read_text())) <= SERVICES.keys()


def test_prometheus_scrapes_what_there_is():
    """Every target is a service of this file, on a port where it listens."""
    text = (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text()
    targets = re.findall(r"targets: \[(.*?)\]", text)
    hosts = {host.strip().split(":")[0] for line in targets for host in line.split(",")}
    assert hosts - {"localhost"} <= SERVICES.keys()
    assert {"worker-1", "worker-2", "notifier"} <= hosts


def test_the_variables_of_the_image_are_not_undone():
    """No service overrides what the image sets, the heap options for one."""
    kept = environment(IMAGE).keys()
    assert not any(kept & SERVICES[name].environment.keys() for name in OURS)


def test_the_first_lines_are_commands_that_name_services():
    """The comment on top starts what there is."""
    line = " ".join(FILE.read_text().split("# One Kafka")[0].replace("#", "").split())
    demo = re.search(r"`(docker compose --profile demo [^`]*)`", line)[1]
    assert shlex.split(demo)[-1] in SERVICES
