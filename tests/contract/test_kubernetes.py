"""k8s/: both overlays build, are valid, and hold together. No cluster is asked."""

import subprocess
import sys
from pathlib import Path

import pytest
from dockerfile import IMAGE
from kustomize import OVERLAYS, Resource, resources, text, workloads

from inferwatch import __version__
from inferwatch.cli.main import parser
from inferwatch.config import monitors
from inferwatch.connection import Connection, read_properties
from inferwatch.notify import channel_file
from inferwatch.runtime import status, watchdog

K8S = Path(__file__).parent.parent.parent / "k8s"
CUSTOM = ("kafka.strimzi.io/", "keda.sh/", "monitoring.coreos.com/")
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
    assert {one["kind"] for one in resources("dev")} == {
        *("Namespace", "ServiceAccount", "ConfigMap", "Secret", "Service", "NetworkPolicy"),
        *("PodDisruptionBudget", "StatefulSet", "Deployment", "Job"),
    }
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
    """Service accounts, ConfigMaps and Secrets: in the overlay, made by Strimzi, or optional."""
    there = {(one["kind"], one["metadata"]["name"]) for one in resources(overlay)}
    users = resources(overlay, "KafkaUser")
    there |= {("Secret", one["metadata"]["name"]) for one in users}
    there |= {
        ("Secret", f"{one['metadata']['labels']['strimzi.io/cluster']}-cluster-ca-cert")
        for one in users
    }
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
    """`prod` generates none; `dev` has a placeholder that opens nothing."""
    assert not resources("prod", "Secret")
    assert len(resources("dev", "Secret")) == 2
    found = read_properties(K8S / "overlays" / "dev" / "client.properties")
    assert found["sasl.password"] == "placeholder"


@each_overlay
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
