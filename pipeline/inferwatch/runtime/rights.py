"""Rights as data: what each component may ask of the brokers, and nothing more.

`inferwatch topics plan --acls` prints them; on a real broker, `tests/integration/test_security.py`
takes each one away. In Kafka, Read and Write on a topic include Describe.
"""

from dataclasses import dataclass

from inferwatch.runtime import topics

READ, WRITE, CREATE = "Read", "Write", "Create"
DESCRIBE, DESCRIBE_CONFIGS = "Describe", "DescribeConfigs"
SOURCE = "SOURCE"


@dataclass(frozen=True)
class Right:
    """Operations that a principal may do on one resource.

    `resource` is `topic` or `group`, `name` its full name, `pattern` is `literal` (the name is the
    whole name). `operations` are Kafka's words, as `kafka-acls --operation` takes them.
    """

    resource: str
    name: str
    operations: tuple[str, ...]
    pattern: str = "literal"


def user(prefix: str, component: str) -> str:
    """Name of a component's own user, such as `inferwatch-topics-apply` for `topics apply`."""
    return f"{prefix.rstrip('.')}-{component.replace(' ', '-')}"


def rights(prefix: str, source: str = SOURCE) -> dict[str, list[Right]]:
    """What each component needs, by its command (`sdk` for the SDK).

    `prefix` begins the names of topics and groups; `source` is the full name of the topic that
    `ingest` reads.
    """

    def topic(name: str, *operations: str) -> Right:
        return Right("topic", f"{prefix}{name}", operations)

    def group(name: str) -> Right:
        return Right("group", f"{prefix}{name}", (READ,))

    def every_topic(*operations: str) -> list[Right]:
        return [Right("topic", one.name, operations) for one in topics.wanted(prefix)]

    return {
        "sdk": [topic("events.v1", WRITE)],
        "worker": [
            topic("events.v1", READ, WRITE),
            topic("state.v1", READ, WRITE),
            topic("windows.v1", WRITE),
            topic("alerts.v1", WRITE),
            topic("dlq.v1", WRITE),
            group("worker"),
        ],
        "notifier": [
            topic("alerts.v1", READ),
            topic("notified.v1", READ, WRITE),
            topic("dlq.v1", WRITE),
            group("notifier"),
        ],
        "ingest": [
            Right("topic", source, (READ,)),
            topic("events.v1", WRITE),
            group("ingest"),
        ],
        "replay": [topic("events.v1", READ)],
        "models": [topic("windows.v1", READ), topic("state.v1", READ)],
        "reference show": [topic("windows.v1", READ)],
        "reference accept": [topic("windows.v1", READ), topic("events.v1", WRITE)],
        "reference reset": [topic("windows.v1", READ), topic("events.v1", WRITE)],
        "alerts": [topic("alerts.v1", READ)],
        "alerts ack": [topic("alerts.v1", READ), topic("events.v1", WRITE)],
        "dlq list": [topic("dlq.v1", READ)],
        "dlq show": [topic("dlq.v1", READ), topic("events.v1", READ)],
        "dlq requeue": [topic("dlq.v1", READ), topic("events.v1", READ, WRITE)],
        "topics plan": every_topic(DESCRIBE, DESCRIBE_CONFIGS),
        "topics apply": every_topic(CREATE, DESCRIBE, DESCRIBE_CONFIGS),
    }
