"""The embedded broker: librdkafka's mock cluster in a process of its own.

It speaks Kafka's protocol, keeps about 5 MB a partition in memory and forgets everything when it
ends: good for a first look and for tests, not for data. It ends by itself when the process that
started it is gone. Lines on its standard input break it on purpose: see `EmbeddedBroker.order`.
"""

import argparse
import ctypes
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inferwatch.errors import TransientError

REBALANCE_DELAY_MS = 200
PARTITION_BYTES = 5_000_000
PENDING_MAX_BYTES = 1_250_000
PENDING_MIN_BYTES = 16_000
STATE_MAX_BYTES = 1_700_000
REWRITE_BYTES = PARTITION_BYTES // 3  # nothing compacts: all state is written anew before it drops
TOPICS = {
    "events.v1": 4,
    "windows.v1": 4,
    "state.v1": 4,
    "alerts.v1": 1,
    "notified.v1": 1,
    "dlq.v1": 1,
}


@dataclass
class EmbeddedBroker:
    """A running broker; `stop` ends it, and so does the end of this process."""

    bootstrap_servers: str
    process: "subprocess.Popen[bytes]"

    def order(self, *words: object) -> None:
        """Break it on purpose, as tests do. One of

        - `down` and `up`: no broker answers; what they hold stays;
        - `rtt MS`: every answer comes so much later;
        - `errors API_KEY CODE…`: the next requests of that kind fail, one for each code;
        - `clear API_KEY`: errors that nobody has met are forgotten;
        - `leader TOPIC PARTITION BROKER`, `coordinator GROUP BROKER`: move to broker 1, 2, ….
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(" ".join(map(str, words)).encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        assert answer == b"done", f"{words}: {answer.decode()}"

    def stop(self) -> None:
        """End the broker; everything it held is gone."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(
    topics: Mapping[str, int] | None = None, prefix: str = "inferwatch.", brokers: int = 1
) -> EmbeddedBroker:
    """Start a cluster with our topics, or with `topics` (full names and partition counts).

    :raises TransientError: it did not come up.
    """
    wanted = topics or {f"{prefix}{name}": count for name, count in TOPICS.items()}
    listed = ",".join(f"{name}:{count}" for name, count in wanted.items())
    process = subprocess.Popen(
        [sys.executable, "-m", "inferwatch.runtime.embedded", listed, str(brokers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C reaches the one that started it, which ends its clients first
        start_new_session=True,
    )
    assert process.stdout is not None
    address = process.stdout.readline().decode().strip()
    if not address:
        process.kill()
        raise TransientError("the embedded broker did not start; its own message stands above")
    return EmbeddedBroker(address, process)


def _library() -> ctypes.CDLL:
    import confluent_kafka

    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    found = sorted(folder.glob("librdkafka*.so*")) + sorted(folder.glob("librdkafka*.dylib"))
    if not found:
        sys.exit(
            "the embedded broker needs the confluent-kafka wheel, which carries librdkafka; "
            "use --bootstrap-server with a real broker instead"
        )
    library = ctypes.CDLL(str(found[0]))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    codes = ctypes.POINTER(ctypes.c_int)
    signatures = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_set": (number, [pointer, text, text, text, ctypes.c_size_t]),
        "rd_kafka_new": (pointer, [number, pointer, text, ctypes.c_size_t]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, number]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_topic_create": (number, [pointer, text, number, number]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_down": (number, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_up": (number, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_rtt": (number, [pointer, ctypes.c_int32, number]),
        "rd_kafka_mock_push_request_errors_array": (
            None,
            [pointer, ctypes.c_int16, ctypes.c_size_t, codes],
        ),
        "rd_kafka_mock_clear_request_errors": (None, [pointer, ctypes.c_int16]),
        "rd_kafka_mock_partition_set_leader": (
            number,
            [pointer, text, ctypes.c_int32, ctypes.c_int32],
        ),
        "rd_kafka_mock_coordinator_set": (number, [pointer, text, text, ctypes.c_int32]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def serve(topics: Mapping[str, int], brokers: int = 1) -> None:
    """Run the cluster until standard input is closed."""
    library = _library()
    problem = ctypes.create_string_buffer(512)
    settings = library.rd_kafka_conf_new()
    library.rd_kafka_conf_set(settings, b"log_level", b"2", problem, 512)
    client = library.rd_kafka_new(0, settings, problem, 512)
    if not client:
        sys.exit(f"librdkafka cannot start: {problem.value.decode()}")
    cluster = library.rd_kafka_mock_cluster_new(client, brokers)
    library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, REBALANCE_DELAY_MS)
    for name, partitions in topics.items():
        if library.rd_kafka_mock_topic_create(cluster, name.encode(), partitions, 1):
            sys.exit(f"librdkafka cannot create topic {name}")
    print(library.rd_kafka_mock_cluster_bootstraps(cluster).decode(), flush=True)
    for line in sys.stdin:
        _obey(library, cluster, range(1, brokers + 1), line.split())
        print("done", flush=True)


def _obey(library: ctypes.CDLL, cluster: int, brokers: Sequence[int], words: Sequence[str]) -> None:
    """Carry out one order."""
    match words:
        case ["down" | "up" as way]:
            for broker in brokers:
                getattr(library, f"rd_kafka_mock_broker_set_{way}")(cluster, broker)
        case ["rtt", delay_ms]:
            for broker in brokers:
                library.rd_kafka_mock_broker_set_rtt(cluster, broker, int(delay_ms))
        case ["errors", api_key, *codes]:
            errors = (ctypes.c_int * len(codes))(*map(int, codes))
            library.rd_kafka_mock_push_request_errors_array(
                cluster, int(api_key), len(codes), errors
            )
        case ["clear", api_key]:
            library.rd_kafka_mock_clear_request_errors(cluster, int(api_key))
        case ["leader", topic, partition, broker]:
            library.rd_kafka_mock_partition_set_leader(
                cluster, topic.encode(), int(partition), int(broker)
            )
        case ["coordinator", group, broker]:
            library.rd_kafka_mock_coordinator_set(cluster, b"group", group.encode(), int(broker))
        case _:
            sys.exit(f"no such order: {' '.join(words)}")


def main() -> None:
    """`python -m inferwatch.runtime.embedded topic:partitions,… [brokers]`"""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("topics", help="name:partitions, separated by commas")
    parser.add_argument("brokers", type=int, nargs="?", default=1)
    arguments = parser.parse_args()
    listed = (entry.rsplit(":", 1) for entry in arguments.topics.split(","))
    serve({name: int(count) for name, count in listed}, arguments.brokers)


if __name__ == "__main__":
    main()
