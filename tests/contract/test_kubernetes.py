"""k8s/: all overlays build, are valid, and hold together. No cluster is asked."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from dockerfile import IMAGE
from kustomize import OVERLAYS, Resource, build, resources, text, workloads
from ruamel.yaml import YAML

from inferwatch import __version__
from inferwatch.cli.main import parser
from inferwatch.config import monitors
from inferwatch.connection import PREFIX, Connection, read_properties
from inferwatch.notify import channel_file
from inferwatch.runtime import rights, status, watchdog

ROOT = Path(__file__).parent.parent.parent
K8S = ROOT / "k8s"
PAGE = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
CUSTOM = ("kafka.strimzi.io/", "keda.sh/", "monitoring.coreos.com/")
AUTHORITY = "kafka-cluster-ca-cert"
BY_HAND = {  # Secrets that nothing in the overlay makes, with the component whose password it is
    "inferwatch-worker": "worker",
    "inferwatch-notifier": "notifier",
    "inferwatch-topics-apply": "topics apply",
}
VERSIONS = ("1.30", "1.34")
each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def spec(workload: Resource) -> Resource:
    """Of its pods."""
    return workload["spec"]["template"]["spec"]


def labels(workload: Resource) -> dict[str, str]:
    """Of its pods."""
    return workload["spec"]["template"]["metadata"]["labels"]


def containers(overlay: str) -> list[tuple[Resource, Resource]]:
    """Each container, behind its workload."""
    return [(one, container) for one in workloads(overlay) for container in spec(one)["containers"]]


def matches(selector: Resource, found: dict[str, str]) -> bool:
    """Whether a selector chooses a pod with these labels; it says something."""
    wanted = selector["matchLabels"]
    assert selector.keys() == {"matchLabels"} and wanted
    return wanted.items() <= found.items()


@each_overlay
@pytest.mark.parametrize("version", VERSIONS)
def test_every_resource_is_valid(overlay, version, tmp_path):
    """Kubernetes' own schemas accept each resource and each key, in an old and a newer release."""
    path = tmp_path / "all.yaml"
    path.write_text(text(overlay))
    tool = Path(sys.executable).parent / "kubernetes-validate"
    command = [str(tool), "--strict", "-k", version, str(path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [line for line in (ran.stdout + ran.stderr).splitlines() if "passed" not in line]
    unknown = [line for line in said if "Couldn't find schema" in line]
    assert ran.returncode == 0 and said == unknown, ran.stdout
    own = [one for one in resources(overlay) if one["apiVersion"].startswith(CUSTOM)]
    assert len(unknown) == len(own)


@each_overlay
def test_a_key_that_is_none_would_be_seen(overlay, tmp_path):
    """The check is strict: a misspelt field of a container fails it."""
    path = tmp_path / "all.yaml"
    path.write_text(text(overlay).replace("readinessProbe:", "readynessProbe:"))
    tool = Path(sys.executable).parent / "kubernetes-validate"
    ran = subprocess.run([str(tool), "--strict", str(path)], capture_output=True, check=False)
    assert ran.returncode != 0


def test_the_overlays_hold_what_they_promise():
    """Kinds and names; plain Kubernetes needs no operator."""
    plain = {
        *("Namespace", "ServiceAccount", "ConfigMap", "Service", "NetworkPolicy"),
        *("PodDisruptionBudget", "StatefulSet", "Deployment", "Job"),
    }
    assert {one["kind"] for one in resources("dev")} == plain | {"Secret"}
    assert {one["kind"] for one in resources("scram")} == plain
    assert {one["kind"] for one in resources("prod")} == {
        *("ServiceAccount", "ConfigMap", "Service", "NetworkPolicy", "PodDisruptionBudget"),
        *("StatefulSet", "Deployment", "KafkaTopic", "KafkaUser", "ScaledObject"),
        *("TriggerAuthentication", "PodMonitor", "PrometheusRule"),
    }
    for overlay in OVERLAYS:
        names = [(one["kind"], one["metadata"]["name"]) for one in resources(overlay)]
        assert len(set(names)) == len(names)
        assert {"inferwatch-worker", "inferwatch-notifier"} <= {name for _, name in names}


@each_overlay
def test_every_pod_is_confined(overlay):
    """No root, no token, no service links, seccomp; a read-only root without capabilities."""
    assert workloads(overlay)
    for workload in workloads(overlay):
        pod = spec(workload)
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & pod.keys()
        assert pod["securityContext"]["runAsNonRoot"] is True
        user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
        assert user == dict(IMAGE)["USER"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for _, container in containers(overlay):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@each_overlay
def test_every_container_has_bounds(overlay):
    """CPU and memory are asked for and limited; the temporary folder is too."""
    for workload, container in containers(overlay):
        for kind in ("requests", "limits"):
            assert container["resources"][kind].keys() == {"cpu", "memory"}
        folders = {
            mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")
        }
        writable = [one for one in spec(workload)["volumes"] if one["name"] in folders]
        assert [one["name"] for one in writable] == ["tmp"]
        assert writable[0]["emptyDir"]["sizeLimit"]


@each_overlay
def test_probes_ask_what_the_process_answers(overlay):
    """Each probe has its path; a start may take as long as the watchdog lets a restore take."""
    for workload, container in containers(overlay):
        if workload["kind"] == "Job":
            continue
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        paths = {
            "startupProbe": "/startupz",
            "livenessProbe": "/livez",
            "readinessProbe": "/readyz",
        }
        for probe, path in paths.items():
            assert container[probe]["httpGet"] == {"path": path, "port": "http"}
        assert str(ports["http"]) == dict(IMAGE)["EXPOSE"]
        start = container["startupProbe"]
        assert start["periodSeconds"] * start["failureThreshold"] > status.RESTORE_S
        alive = container["livenessProbe"]
        assert alive["periodSeconds"] * alive["failureThreshold"] >= status.READY_S


@each_overlay
def test_a_drain_has_time_to_end(overlay):
    """Whoever is stopped is killed later than a drain takes at most."""
    for workload in workloads(overlay):
        if workload["kind"] != "Job":
            assert spec(workload)["terminationGracePeriodSeconds"] >= watchdog.DRAIN_S + 10


@each_overlay
def test_images_have_the_tag_of_this_release(overlay):
    """Never `latest`, which is another image tomorrow."""
    assert {container["image"].rpartition(":")[2] for _, container in containers(overlay)} == {
        __version__
    }


@each_overlay
def test_whatever_is_referenced_is_there(overlay):
    """Service accounts, ConfigMaps and Secrets: in the overlay, made by Strimzi or, in `scram`, by
    the commands that are documented, or optional.
    """
    there = {(one["kind"], one["metadata"]["name"]) for one in resources(overlay)}
    users = resources(overlay, "KafkaUser")
    there |= {("Secret", one["metadata"]["name"]) for one in users}
    there |= {
        ("Secret", f"{one['metadata']['labels']['strimzi.io/cluster']}-cluster-ca-cert")
        for one in users
    }
    if overlay == "scram":
        there |= {("Secret", name) for name in (AUTHORITY, *BY_HAND)}
    for workload, container in containers(overlay):
        pod = spec(workload)
        assert ("ServiceAccount", pod["serviceAccountName"]) in there
        for source in container["envFrom"]:
            assert ("ConfigMap", source["configMapRef"]["name"]) in there
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} == volumes.keys()
        for reference in references(pod["volumes"]):
            assert reference in there, reference
    for trigger in resources(overlay, "TriggerAuthentication"):
        for one in trigger["spec"]["secretTargetRef"]:
            assert ("Secret", one["name"]) in there


def references(volumes: list[Resource]) -> list[tuple[str, str]]:
    """Kind and name of all that volumes need to be there."""
    parts = []
    for volume in volumes:
        parts += volume.get("projected", {}).get("sources", [volume])
    found = []
    for part in parts:
        if "secret" in part and not part["secret"].get("optional"):
            found.append(("Secret", part["secret"].get("secretName") or part["secret"]["name"]))
        if "configMap" in part:
            found.append(("ConfigMap", part["configMap"]["name"]))
    return found


@each_overlay
def test_selectors_choose_the_pods_that_are_meant(overlay):
    """Workloads, services, budgets and spreading meet their own pods, policies all of them."""
    for workload in workloads(overlay):
        if workload["kind"] == "Job":
            continue
        assert matches(workload["spec"]["selector"], labels(workload))
        for constraint in spec(workload)["topologySpreadConstraints"]:
            assert matches(constraint["labelSelector"], labels(workload))
        name = workload["metadata"]["name"]
        [budget] = [
            one
            for one in resources(overlay, "PodDisruptionBudget")
            if matches(one["spec"]["selector"], labels(workload))
        ]
        assert (budget["metadata"]["name"], budget["spec"]["maxUnavailable"]) == (name, 1)
    [service] = resources(overlay, "Service")
    [owner] = resources(overlay, "StatefulSet")
    assert owner["spec"]["serviceName"] == service["metadata"]["name"]
    assert service["spec"]["selector"].items() <= labels(owner).items()
    assert service["spec"]["ports"][0]["targetPort"] == "http"


@each_overlay
def test_the_network_is_closed_but_for_what_is_needed(overlay):
    """All pods of ours are under a policy of both directions; only scrapes come in."""
    policies = {one["metadata"]["name"]: one["spec"] for one in resources(overlay, "NetworkPolicy")}
    shut, channels = policies["inferwatch"], policies["inferwatch-notifier"]
    assert shut["policyTypes"] == ["Ingress", "Egress"]
    assert all(matches(shut["podSelector"], labels(one)) for one in workloads(overlay))
    [scrape] = shut["ingress"]
    assert scrape["from"] and scrape["ports"] == [{"protocol": "TCP", "port": "http"}]
    dns, kafka = shut["egress"]
    assert {port["port"] for port in dns["ports"]} == {53} and dns["to"]
    servers = connection(overlay)["INFERWATCH_BOOTSTRAP_SERVERS"].split(",")
    allowed = {port["port"] for port in kafka["ports"]}
    assert {int(server.rpartition(":")[2]) for server in servers} <= allowed
    met = [one for one in workloads(overlay) if matches(channels["podSelector"], labels(one))]
    assert [one["metadata"]["name"] for one in met] == ["inferwatch-notifier"]
    assert channels["policyTypes"] == ["Egress"]


def connection(overlay: str) -> dict[str, str]:
    """What the pods have in their environment."""
    names = {
        source["configMapRef"]["name"]
        for _, container in containers(overlay)
        for source in container["envFrom"]
    }
    [found] = [one for one in resources(overlay, "ConfigMap") if one["metadata"]["name"] in names]
    return found["data"]


@each_overlay
def test_no_secret_is_in_the_environment(overlay):
    """Credentials are files: variables come from one ConfigMap that names brokers."""
    assert connection(overlay).keys() == {"INFERWATCH_BOOTSTRAP_SERVERS"}
    assert Connection.from_environment(connection(overlay))
    assert not any("env" in container for _, container in containers(overlay))


def test_no_secret_is_in_git():
    """`prod` and `scram` generate none; `dev` has a placeholder that opens nothing."""
    assert not resources("prod", "Secret") + resources("scram", "Secret")
    assert len(resources("dev", "Secret")) == len(workloads("dev")) == 3
    found = read_properties(K8S / "overlays" / "dev" / "client.properties")
    assert found["sasl.password"] == "placeholder"


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_client_properties_are_understood(overlay):
    """Worker and notifier know every name in the file, and what it names is mounted beside it."""
    properties = read_properties(K8S / "overlays" / overlay / "client.properties")
    files = {Path(path).name for name, path in properties.items() if name.endswith(".location")}
    known = {name: value for name, value in properties.items() if not name.endswith(".location")}
    if overlay == "dev":
        assert Connection("b:1", known).aiokafka()
        return
    assert known == {"security.protocol": "SSL"}
    for workload in workloads(overlay):
        [client] = [one for one in spec(workload)["volumes"] if one["name"] == "client"]
        items = [
            item["path"]
            for source in client["projected"]["sources"]
            for item in source.get("secret", {}).get("items", [])
        ]
        assert set(items) == files


def test_each_process_proves_itself_by_a_password_of_its_own(tmp_path):
    """In `scram` whatever the properties name is mounted beside them, and the user is the one that
    `topics plan --acls commands` grants the component's rights.
    """
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    (tmp_path / "password").write_text("from a file\n")
    texts = {one["metadata"]["name"]: one["data"] for one in resources("scram", "ConfigMap")}
    mounted = set()
    for workload in workloads("scram"):
        [client] = [one for one in spec(workload)["volumes"] if one["name"] == "client"]
        configuration, password, authority = client["projected"]["sources"]
        assert password["secret"]["items"] == [{"key": "password", "path": "password"}]
        assert authority["secret"] == {
            "name": AUTHORITY,
            "items": [{"key": "ca.crt", "path": "ca.crt"}],
        }
        text = texts[configuration["configMap"]["name"]]["client.properties"]
        file = tmp_path / "client.properties"
        file.write_text(text.replace("/etc/inferwatch/client/", f"{tmp_path}/"))
        found = Connection("b:1", read_properties(file))
        assert found.aiokafka()["security_protocol"] == "SASL_SSL"
        assert found.mechanism == "SCRAM-SHA-512"
        assert found.properties["sasl.password"] == "from a file"
        name = password["secret"]["name"]
        assert found.principal() == f"User:{rights.user(PREFIX, BY_HAND[name])}" == f"User:{name}"
        mounted.add(name)
    assert mounted == BY_HAND.keys()


def test_the_page_makes_every_secret_that_is_mounted():
    """Users and passwords of `scram` come from a loop over their names, the authority by itself."""
    users, secrets = re.findall(r"^for user in (.*); do$", PAGE, re.MULTILINE)
    assert set(secrets.split()) == BY_HAND.keys()
    assert set(users.split()) == BY_HAND.keys() | {rights.user(PREFIX, "sdk")}
    assert f"create secret generic {AUTHORITY} --from-file=ca.crt" in PAGE


def test_the_overlay_that_is_shown_changes_what_it_says(tmp_path):
    """It builds on ours; files, commands, sizes, ports and image arrive at the pods meant."""
    [shown] = re.findall(r"^```\n(apiVersion: kustomize.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    shutil.copytree(K8S, tmp_path / "k8s")
    mine = tmp_path / "k8s" / "overlays" / "mine"
    mine.mkdir()
    (mine / "kustomization.yaml").write_text(shown)
    for name in ("monitors.yaml", "fraud.yaml", "channels.yaml"):
        (mine / name).write_text(f"# {name} of mine\n")
    found = {
        (one["kind"], re.sub(r"-[a-z0-9]{10}$", "", one["metadata"]["name"])): one
        for one in YAML(typ="safe").load_all(build(mine))
    }
    monitor_files = found["ConfigMap", "inferwatch-monitors"]["data"]
    assert monitor_files == {
        name: f"# {name} of mine\n" for name in ("fraud.yaml", "monitors.yaml")
    }
    worker = found["StatefulSet", "inferwatch-worker"]
    [container] = spec(worker)["containers"]
    words = container["args"]
    parsed = parser([words[0]]).parse_args(words)
    assert {path.name for path in parsed.monitors} == monitor_files.keys()
    assert container["image"] == f"registry.example.com/inferwatch:{__version__}"
    assert container["resources"]["limits"]["memory"] == "3Gi"
    assert worker["spec"]["replicas"] == 6
    kafka = found["NetworkPolicy", "inferwatch"]["spec"]["egress"][1]["ports"]
    assert {port["port"] for port in kafka} == {9092, 9093, 9094, 9096, 19093}
    channels = found["NetworkPolicy", "inferwatch-notifier"]["spec"]["egress"][0]
    assert "ipBlock" in channels["to"][0]
    assert {port["port"] for port in channels["ports"]} == {443, 8443}


@pytest.mark.parametrize(("overlay", "replicas"), [("dev", 1), ("scram", 3)])
def test_topics_have_copies_where_there_is_something_to_lose(overlay, replicas):
    """The Job's replication factor is one for a broker alone, else that of production."""
    [job] = resources(overlay, "Job")
    words = spec(job)["containers"][0]["args"]
    assert parser([words[0]]).parse_args(words).replication_factor == replicas


@each_overlay
def test_a_command_is_one_that_the_parser_knows(overlay):
    """Each container runs a command line that `inferwatch` accepts, on files that are mounted."""
    for workload, container in containers(overlay):
        words = container["args"]
        assert "command" not in container
        parsed = parser([words[0]]).parse_args(words)
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        paths = [word.rpartition("=")[2] for word in words if "/" in word]
        assert paths and all(str(Path(path).parent) in mounts for path in paths)
        if workload["kind"] != "Job":
            assert parsed.http_listen == f"0.0.0.0:{dict(IMAGE)['EXPOSE']}"


def test_the_files_of_the_base_load():
    """Monitor and channels file are valid, and are those that the ConfigMaps carry."""
    assert monitors.load([K8S / "base" / "monitors" / "monitors.yaml"])
    assert channel_file.load(K8S / "base" / "channels.yaml")
    carried = {name for one in resources("prod", "ConfigMap") for name in one["data"]}
    assert {"monitors.yaml", "channels.yaml", "client.properties"} <= carried
