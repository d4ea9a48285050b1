#!/usr/bin/env python3
"""A real Kafka 4.1 on loopback: one KRaft node from Maven artifacts, data in a temporary folder.

`scripts/kafka.py` prints `host:port` once the broker answers and runs until its standard input is
closed, Ctrl-C or SIGTERM. `--folder DIR` keeps data and broker.log there; `--settings FILE` adds
lines to the broker's settings, in which the last of a name rules. Lines on standard input break it
on purpose: `kill` (-9), `start` (same data, same port), `freeze`, `thaw`; each is answered with
`done`. Needs Java 17 or newer and Maven; the jars (45 MB) are kept under `$INFERWATCH_KAFKA_HOME`,
by default `~/.cache/inferwatch/kafka-4.1.0`. Standard library only.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
JAVA_OPTIONS = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
START_S = 60.0
SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
log.cleaner.backoff.ms=1000
log.initial.task.delay.ms=1000
"""


def missing() -> str:
    """What this machine lacks for a real broker; empty where nothing is."""
    lacking = [name for name in ("java", "mvn") if shutil.which(name) is None]
    return f"a real Kafka needs {' and '.join(lacking)}" if lacking else ""


def jars() -> Path:
    """The folder of the broker's jars, fetched once."""
    default = Path.home() / ".cache" / "inferwatch" / "kafka-4.1.0"
    folder = Path(os.environ.get("INFERWATCH_KAFKA_HOME") or default)
    if any(folder.glob("kafka_2.13-*.jar")):
        return folder
    with tempfile.TemporaryDirectory(dir=_parent(folder)) as fresh:
        command = [
            "mvn",
            "-q",
            "-B",
            "-f",
            str(HERE / "kafka.xml"),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={fresh}/libs",
        ]
        subprocess.run(command, check=True, stdout=sys.stderr)
        with contextlib.suppress(OSError):  # another process may have been faster
            Path(fresh, "libs").replace(folder)
    return folder


def _parent(folder: Path) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder.parent


def free_ports(count: int) -> list[int]:
    """Ports on loopback that were free a moment ago."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Broker:
    """One node with its data in `folder`; port and data outlive a kill."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.port, controller = free_ports(2)
        self._java = ["java", *JAVA_OPTIONS, "-cp", f"{jars()}/*"]
        self._settings, self._log = folder / "server.properties", folder / "broker.log"
        self._settings.write_text(
            (SETTINGS + more).format(broker=self.port, controller=controller, data=folder / "data")
        )
        tool = [*self._java, "kafka.tools.StorageTool"]
        made = subprocess.run([*tool, "random-uuid"], check=True, capture_output=True, text=True)
        subprocess.run(
            [*tool, "format", "-t", made.stdout.strip(), "-c", str(self._settings)],
            check=True,
            capture_output=True,
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self._settings)],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        _wait(self._process, self.port, self._log)

    def kill(self) -> None:
        """SIGKILL: nothing is flushed."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in order."""
        if self._process is None:
            return
        self.thaw()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


@contextlib.contextmanager
def broker(place: Path | None = None, more: str = "") -> Iterator[Broker]:
    """A running broker for the length of a block; `more` is added to its settings."""
    with tempfile.TemporaryDirectory(prefix="inferwatch-kafka-") as folder:
        made = Broker(place or Path(folder), more)
        try:
            made.start()
            yield made
        finally:
            made.stop()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        if "Kafka Server started" in log.read_text(errors="replace"):
            return
        time.sleep(0.1)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
    raise SystemExit(f"the broker did not start on port {port}:\n{tail}")


def main() -> None:
    """Run until nobody needs it."""
    if lacking := missing():
        raise SystemExit(lacking)
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--settings", type=Path)
    asked = parser.parse_args()
    more = asked.settings.read_text() if asked.settings else ""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), broker(asked.folder, more) as made:
        print(f"127.0.0.1:{made.port}", flush=True)
        orders = {name: getattr(made, name) for name in ("kill", "start", "freeze", "thaw")}
        for line in sys.stdin:
            orders[line.strip()]()
            print("done", flush=True)


if __name__ == "__main__":
    main()
