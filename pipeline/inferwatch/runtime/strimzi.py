"""Topics and users as resources of Strimzi, the operator that runs Kafka on Kubernetes.

The same topics that `topics apply` makes, and for each process a user with the rights that
`topics plan --acls` prints. Fields as of `kafka.strimzi.io/v1`.
"""

import io
import re
from collections.abc import Iterable
from typing import Any

from ruamel.yaml import YAML

from inferwatch.runtime import rights, topics

API_VERSION = "kafka.strimzi.io/v1"
TLS, SCRAM = "tls", "scram-sha-512"
COMPONENTS = ("sdk", "worker", "notifier")
Resource = dict[str, Any]


def resources(
    prefix: str,
    cluster: str,
    *,
    partitions: int = topics.PARTITIONS,
    replicas: int = 3,
    authentication: str = TLS,
) -> list[Resource]:
    """A KafkaTopic for each topic and a KafkaUser for SDK, worker and notifier.

    Strimzi puts the users' certificates or passwords into Secrets of their names.

    :param cluster: name of the Kafka resource.
    :param authentication: of users, `TLS` (a certificate) or `SCRAM` (a password).
    """
    labels = {"strimzi.io/cluster": cluster}
    made = [
        _resource("KafkaTopic", topic.name, labels, _topic(topic, replicas))
        for topic in topics.wanted(prefix, partitions)
    ]
    granted = rights.rights(prefix)
    return made + [
        _resource(
            "KafkaUser", rights.user(prefix, name), labels, _user(granted[name], authentication)
        )
        for name in COMPONENTS
    ]


def text(documents: Iterable[Resource]) -> str:
    """Resources as a YAML stream."""
    yaml, stream = YAML(), io.StringIO()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 100
    # ruamel.yaml infers None's type from the default of the attribute
    yaml.explicit_start = True  # type: ignore[assignment]
    yaml.dump_all(documents, stream)
    return stream.getvalue()


def _resource(kind: str, name: str, labels: dict[str, str], spec: Resource) -> Resource:
    """Kubernetes allows fewer names than Kafka: others are told apart in the spec alone."""
    safe = re.sub(r"[^a-z0-9.-]", "-", name.lower()).strip("-.")
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": safe, "labels": dict(labels)},
        "spec": spec,
    }


def _topic(topic: topics.Topic, replicas: int) -> Resource:
    return {
        "topicName": topic.name,
        "partitions": topic.partitions,
        "replicas": replicas,
        "config": dict(topic.config),
    }


def _user(needed: Iterable[rights.Right], authentication: str) -> Resource:
    acls = [
        {
            "resource": {"type": one.resource, "name": one.name, "patternType": one.pattern},
            "operations": list(one.operations),
        }
        for one in needed
    ]
    return {
        "authentication": {"type": authentication},
        "authorization": {"type": "simple", "acls": acls},
    }
