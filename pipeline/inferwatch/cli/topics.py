"""`inferwatch topics plan|apply|render`"""

import argparse
import os
import shlex

from inferwatch.cli.amounts import count
from inferwatch.cli.connect import add_connection, connection, prefix
from inferwatch.cli.table import table
from inferwatch.errors import Exit, UsageError
from inferwatch.runtime import rights, strimzi, topics


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of all three."""
    parser.add_argument(
        "action",
        choices=["plan", "apply", "render"],
        help="plan: what differs (exit 1 if anything); apply: create what is missing; "
        "render: print them as resources, asking no broker",
    )
    add_connection(parser)
    parser.add_argument(
        "--partitions", type=count, default=topics.PARTITIONS, help="of events, windows and state"
    )
    parser.add_argument("--replication-factor", type=count, default=3)
    parser.add_argument(
        "--acls",
        nargs="?",
        const="table",
        choices=["table", "commands"],
        help="of plan: only print the rights that each component needs, as a table or as commands "
        "that grant them to a user a component; asks no broker",
    )
    parser.add_argument(
        "--strimzi",
        nargs="?",
        const="kafka",
        metavar="CLUSTER",
        help="of render: KafkaTopics and KafkaUsers for the Strimzi cluster of this name, kafka",
    )
    parser.add_argument(
        "--scram",
        action="store_true",
        help="of render: users have passwords (scram-sha-512), not certificates",
    )


def run(arguments: argparse.Namespace) -> int:
    """Compare, or create, or print rights or resources."""
    if (arguments.action == "render") != (arguments.strimzi is not None):
        raise UsageError("render takes --strimzi, and nothing else does")
    if arguments.scram and arguments.action != "render":
        raise UsageError("only render takes --scram")
    if arguments.acls:
        return _rights(arguments)
    if arguments.action == "render":
        return _render(arguments)
    there = connection(arguments)
    wanted = topics.wanted(there.prefix, arguments.partitions)
    if arguments.action == "apply":
        for name in topics.apply(there, wanted, arguments.replication_factor):
            print(f"created {name}")
    found = topics.differences(there, wanted)
    for difference in found:
        print(
            f"{difference.topic}: {difference.what} is {difference.found}, "
            f"wanted {difference.wanted}"
        )
    if not found:
        print(f"{len(wanted)} topics are as they should be")
    return Exit.FINDINGS if found else Exit.DONE


def _rights(arguments: argparse.Namespace) -> int:
    if arguments.action != "plan":
        raise UsageError("only plan takes --acls")
    granted = [
        (component, right)
        for component, needed in rights.rights(prefix(arguments)).items()
        for right in needed
    ]
    if arguments.acls == "commands":
        for component, right in granted:
            print(_grant(arguments, component, right))
        return Exit.DONE
    lines = [
        [component, right.resource, right.name, right.pattern, ", ".join(right.operations)]
        for component, right in granted
    ]
    print(table(["COMPONENT", "RESOURCE", "NAME", "PATTERN", "OPERATIONS"], lines))
    return Exit.DONE


def _grant(arguments: argparse.Namespace, component: str, right: rights.Right) -> str:
    """The command of Kafka's own tool; it may be run again."""
    named = arguments.bootstrap_server or os.environ.get("INFERWATCH_BOOTSTRAP_SERVERS")
    words = ["kafka-acls", "--bootstrap-server", named or "BROKERS"]
    words += ["--command-config", "admin.properties"]
    words += ["--add", "--allow-principal", f"User:{rights.user(prefix(arguments), component)}"]
    for operation in right.operations:
        words += ["--operation", operation]
    words += [f"--{right.resource}", right.name, "--resource-pattern-type", right.pattern]
    return shlex.join(words)


def _render(arguments: argparse.Namespace) -> int:
    made = strimzi.resources(
        prefix(arguments),
        arguments.strimzi,
        partitions=arguments.partitions,
        replicas=arguments.replication_factor,
        authentication=strimzi.SCRAM if arguments.scram else strimzi.TLS,
    )
    print(strimzi.text(made), end="")
    return Exit.DONE
