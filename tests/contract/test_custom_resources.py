"""Resources of Strimzi, KEDA and the Prometheus operator: their fields, and that they fit ours.

No schema of theirs is installable here: the models below are of the fields that we use, as their
references document them, so that a misspelt one is refused.
"""

import importlib.util
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from kustomize import Resource, resources, workloads
from ruamel.yaml import YAML

from inferwatch.cli.main import main
from inferwatch.connection import PREFIX, Connection
from inferwatch.errors import Exit
from inferwatch.runtime import rights, strimzi, topics
from inferwatch.runtime.settings import WorkerSettings

ROOT = Path(__file__).parent.parent.parent
PROD = ROOT / "k8s" / "overlays" / "prod"
Operation = Literal[
    *("All", "Alter", "AlterConfigs", "ClusterAction", "Create", "Delete", "Describe"),
    *("DescribeConfigs", "IdempotentWrite", "Read", "Write"),
]
Digits = Annotated[str, msgspec.Meta(pattern=r"^\d+$")]
Span = Annotated[str, msgspec.Meta(pattern=r"^\d+[smh]$")]


class Strict(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """The fields that we use of a resource: any other is refused."""


class Topic(Strict):
    """`KafkaTopic.spec` of kafka.strimzi.io/v1."""

    topic_name: str
    partitions: Annotated[int, msgspec.Meta(ge=1)]
    replicas: Annotated[int, msgspec.Meta(ge=3)]
    config: dict[str, str]


class Tls(Strict):
    """`KafkaUser.spec.authentication`."""

    type: Literal["tls", "tls-external", "scram-sha-512"]


class Place(Strict):
    """What an access rule is about."""

    type: Literal["topic", "group", "cluster", "transactionalId"]
    name: str
    pattern_type: Literal["literal", "prefix"]


class Acl(Strict):
    """One access rule."""

    resource: Place
    operations: Annotated[list[Operation], msgspec.Meta(min_length=1)]


class Simple(Strict):
    """`KafkaUser.spec.authorization`."""

    type: Literal["simple"]
    acls: list[Acl]


class User(Strict):
    """`KafkaUser.spec` of kafka.strimzi.io/v1."""

    authentication: Tls
    authorization: Simple


class Target(Strict):
    """What is scaled."""

    api_version: str
    kind: str
    name: str


class Policy(Strict):
    """One step of a HorizontalPodAutoscaler."""

    type: Literal["Pods", "Percent"]
    value: int
    period_seconds: int


class Scaling(Strict):
    """One direction of a HorizontalPodAutoscaler."""

    stabilization_window_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)]
    policies: list[Policy]


class Behavior(Strict):
    """Both directions."""

    scale_up: Scaling
    scale_down: Scaling


class Autoscaler(Strict):
    """`advanced.horizontalPodAutoscalerConfig`."""

    behavior: Behavior


class Advanced(Strict):
    """`ScaledObject.spec.advanced`."""

    horizontal_pod_autoscaler_config: Autoscaler


class Lag(Strict):
    """Metadata of KEDA's trigger `kafka`; all values are texts."""

    bootstrap_servers: str
    consumer_group: str
    topic: str
    lag_threshold: Digits
    activation_lag_threshold: Digits
    offset_reset_policy: Literal["earliest", "latest"]
    allow_idle_consumers: Literal["true", "false"]
    exclude_persistent_lag: Literal["true", "false"]
    tls: Literal["enable", "disable"]


class Named(Strict):
    """A reference by name."""

    name: str


class Trigger(Strict):
    """One of `ScaledObject.spec.triggers`."""

    type: Literal["kafka"]
    metadata: Lag
    authentication_ref: Named


class Scaled(Strict):
    """`ScaledObject.spec` of keda.sh/v1alpha1."""

    scale_target_ref: Target
    min_replica_count: Annotated[int, msgspec.Meta(ge=1)]
    max_replica_count: int
    polling_interval: int
    cooldown_period: Annotated[int, msgspec.Meta(ge=300)]
    advanced: Advanced
    triggers: Annotated[list[Trigger], msgspec.Meta(min_length=1)]


class SecretKey(Strict):
    """One of `secretTargetRef`."""

    parameter: Literal["ca", "cert", "key"]
    name: str
    key: str


class Credentials(Strict):
    """`TriggerAuthentication.spec` of keda.sh/v1alpha1."""

    secret_target_ref: list[SecretKey]


class Selector(Strict):
    """A label selector."""

    match_labels: dict[str, str]


class Endpoint(Strict):
    """One of `podMetricsEndpoints`."""

    port: str
    path: str
    interval: Span


class Monitor(Strict):
    """`PodMonitor.spec` of monitoring.coreos.com/v1."""

    job_label: str
    selector: Selector
    pod_metrics_endpoints: list[Endpoint]


class Alert(msgspec.Struct, forbid_unknown_fields=True):
    """One rule; Prometheus writes its keys with underscores."""

    alert: str
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]
    for_: Span = msgspec.field(name="for", default="0s")
    keep_firing_for: Span = "0s"


class Group(Strict):
    """A group of rules."""

    name: str
    rules: list[Alert]
    interval: Span = "1m"


class Rules(Strict):
    """`PrometheusRule.spec` of monitoring.coreos.com/v1."""

    groups: list[Group]


KINDS: dict[str, tuple[str, type[Strict]]] = {
    "KafkaTopic": (strimzi.API_VERSION, Topic),
    "KafkaUser": (strimzi.API_VERSION, User),
    "ScaledObject": ("keda.sh/v1alpha1", Scaled),
    "TriggerAuthentication": ("keda.sh/v1alpha1", Credentials),
    "PodMonitor": ("monitoring.coreos.com/v1", Monitor),
    "PrometheusRule": ("monitoring.coreos.com/v1", Rules),
}


def one(kind: str):
    """The only resource of a kind in `prod`, as its model."""
    [found] = resources("prod", kind)
    return msgspec.convert(found["spec"], KINDS[kind][1])


def scaled_workload() -> Resource:
    """What the ScaledObject scales."""
    target = one("ScaledObject").scale_target_ref
    [found] = [
        workload
        for workload in workloads("prod")
        if (workload["kind"], workload["metadata"]["name"]) == (target.kind, target.name)
    ]
    assert found["apiVersion"] == target.api_version
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_resource_has_the_fields_of_its_kind(kind):
    """Group, version and every field are known to the model; a misspelt field is refused."""
    api_version, model = KINDS[kind]
    found = resources("prod", kind)
    assert found
    for resource in found:
        assert resource["apiVersion"] == api_version
        msgspec.convert(resource["spec"], model)
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(resource["spec"] | {"misspelt": 1}, model)


def test_generated_files_are_what_they_are_made_from():
    """Topics, users and rules in k8s/ are the output of `scripts/manifests.py`."""
    place = ROOT / "scripts" / "manifests.py"
    spec = importlib.util.spec_from_file_location("manifests", place)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    for path, text in script.files().items():
        assert path.read_text(encoding="utf-8") == text, script.REMEDY


def test_the_command_prints_what_is_committed(capsys, monkeypatch):
    """`topics render --strimzi` asks no broker and gives k8s/overlays/prod/topics.yaml."""
    monkeypatch.delenv("INFERWATCH_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("INFERWATCH_PREFIX", raising=False)
    assert main(["topics", "render", "--strimzi"]) == Exit.DONE
    comment, committed = (PROD / "topics.yaml").read_text().split("\n", 1)
    assert capsys.readouterr().out == committed
    assert "`inferwatch topics render --strimzi`" in comment


def test_users_have_passwords_where_that_is_asked_for(capsys, monkeypatch):
    """`--scram` changes how users prove who they are, and nothing else."""
    monkeypatch.delenv("INFERWATCH_PREFIX", raising=False)
    assert main(["topics", "render", "--strimzi", "--scram"]) == Exit.DONE
    printed = capsys.readouterr().out
    for document in YAML(typ="safe").load_all(printed):
        msgspec.convert(document["spec"], KINDS[document["kind"]][1])
    assert printed.count("type: scram-sha-512") == len(strimzi.COMPONENTS)
    assert main(["topics", "render", "--strimzi"]) == Exit.DONE
    assert printed.replace("type: scram-sha-512", "type: tls") == capsys.readouterr().out


def test_only_render_has_users(capsys):
    """A plan asks for no passwords, and apply makes no users."""
    assert main(["topics", "plan", "--scram"]) == Exit.USAGE
    assert "only render takes --scram" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["render"], ["plan", "--strimzi"], ["apply", "--strimzi", "x"]])
def test_only_render_takes_the_option(words, capsys):
    """Whoever plans or applies gets no resources, and render has one format, which is named."""
    assert main(["topics", *words]) == Exit.USAGE
    assert "--strimzi" in capsys.readouterr().err


def test_topics_are_those_that_apply_makes():
    """Names, partitions and settings are the same, whoever makes them."""
    found = [msgspec.convert(topic["spec"], Topic) for topic in resources("prod", "KafkaTopic")]
    made = {topic.topic_name: (topic.partitions, topic.config) for topic in found}
    wanted = topics.wanted(PREFIX)
    assert made == {topic.name: (topic.partitions, dict(topic.config)) for topic in wanted}


def test_users_have_the_rights_that_are_printed():
    """SDK, worker and notifier may do what `topics plan --acls` prints for them, and no more."""
    for component in strimzi.COMPONENTS:
        [user] = [
            msgspec.convert(user["spec"], User)
            for user in resources("prod", "KafkaUser")
            if user["metadata"]["name"] == f"inferwatch-{component}"
        ]
        granted = [
            rights.Right(
                acl.resource.type,
                acl.resource.name,
                tuple(acl.operations),
                acl.resource.pattern_type,
            )
            for acl in user.authorization.acls
        ]
        assert granted == rights.rights(PREFIX)[component]


def test_a_prefix_that_kubernetes_cannot_name_is_kept_in_the_spec():
    """Names of resources are lower case without underscores; the topics' own names are not."""
    made = strimzi.resources("Team_A.", "main", partitions=4, replicas=1)
    assert made[0]["metadata"] == {
        "name": "team-a.events.v1",
        "labels": {"strimzi.io/cluster": "main"},
    }
    assert made[0]["spec"]["topicName"] == "Team_A.events.v1"
    assert (made[0]["spec"]["partitions"], made[0]["spec"]["replicas"]) == (4, 1)
    assert made[-1]["metadata"]["name"] == "team-a-notifier"
    assert list(YAML(typ="safe").load_all(strimzi.text(made))) == made


def test_workers_scale_by_the_lag_of_their_own_group():
    """Group and topic are the worker's; never more workers than partitions, and down slowly."""
    scaled = one("ScaledObject")
    [trigger] = scaled.triggers
    settings = WorkerSettings(Connection(trigger.metadata.bootstrap_servers))
    assert trigger.metadata.consumer_group == settings.group
    assert trigger.metadata.topic == settings.connection.topic("events.v1")
    assert trigger.metadata.allow_idle_consumers == "false"
    assert scaled.max_replica_count == topics.PARTITIONS
    down = scaled.advanced.horizontal_pod_autoscaler_config.behavior.scale_down
    assert down.stabilization_window_seconds >= 600
    assert [policy.value for policy in down.policies] == [1]
    assert "replicas" not in scaled_workload()["spec"]


def test_the_scaler_may_only_look():
    """KEDA has a user of its own, which may describe the topic and the group and nothing else."""
    [trigger] = one("ScaledObject").triggers
    [found] = resources("prod", "TriggerAuthentication")
    assert trigger.authentication_ref.name == found["metadata"]["name"]
    names = {key.name for key in one("TriggerAuthentication").secret_target_ref}
    [user] = [user for user in resources("prod", "KafkaUser") if user["metadata"]["name"] in names]
    acls = msgspec.convert(user["spec"], User).authorization.acls
    assert [(acl.resource.type, acl.resource.name, acl.operations) for acl in acls] == [
        ("topic", trigger.metadata.topic, ["Describe"]),
        ("group", trigger.metadata.consumer_group, ["Describe"]),
    ]


def test_scrapes_meet_every_pod_under_the_name_that_the_rules_have():
    """The pods' label gives the job its name, and rules ask for jobs of these names."""
    monitor = one("PodMonitor")
    rules = (ROOT / "deploy" / "prometheus" / "rules" / "inferwatch.yml").read_text()
    for workload in workloads("prod"):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        assert monitor.selector.match_labels.items() <= labels.items()
        assert f'job="{labels[monitor.job_label]}"' in rules
        [container] = workload["spec"]["template"]["spec"]["containers"]
        ports = [port["name"] for port in container["ports"]]
        assert [end.port for end in monitor.pod_metrics_endpoints] == ports


def test_rules_are_those_of_prometheus():
    """The operator gets the same groups that promtool has tested."""
    source = YAML(typ="safe").load((ROOT / "deploy/prometheus/rules/inferwatch.yml").read_text())
    [found] = resources("prod", "PrometheusRule")
    assert found["spec"]["groups"] == source["groups"]
