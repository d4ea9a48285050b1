"""What happens in the demo, act by act, and the sums at its end."""

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from inferwatch.config import monitors
from inferwatch.connection import PREFIX, Connection
from inferwatch.demo.board import Board, Follower, follow_lines
from inferwatch.demo.screen import Screen
from inferwatch.errors import Exit, UsageError
from inferwatch.notify.text import header
from inferwatch.replay import driver, published, topic
from inferwatch.replay.log import LogReader
from inferwatch.runtime import embedded, topics
from inferwatch.runtime.processes import Child, compiling, free_port, ready, wait_for

MODEL = "lending/car-loan"
ROWS = 50_000
DRIFT_FROM_ROW = 25_000
KILL_AT_ROW = 18_000
HELD_WINDOW_START = 30_000
PARTITIONS = 4
PATIENCE_S = 60.0
CONNECT = "To watch your own model: `inferwatch dev` prints the six lines that connect it."


@dataclass(frozen=True)
class Options:
    """Where the example's files are, how fast to send, and a broker, embedded if None."""

    folder: Path
    rows_per_s: float = 1_500.0
    connection: Connection | None = None


class Demo:
    """The processes of one run and what is known of them."""

    def __init__(self, options: Options, connection: Connection, logs: Path) -> None:
        self.options, self.connection, self.logs = options, connection, logs
        self.board = Board()
        self.screen = Screen(self.board)
        self.health = f"127.0.0.1:{free_port()}"
        self.monitors = options.folder / "monitors.yaml"
        self.broker = connection.arguments()
        self.embedded = options.connection is None

    def start_worker(self) -> Child:
        """The worker, as `inferwatch worker` runs it."""
        session = "3" if self.embedded else "6"
        kind = "embedded" if self.embedded else "real"
        return Child(
            "worker",
            "inferwatch.cli.main",
            [
                "worker",
                *self.broker,
                "--broker",
                kind,
                "--monitors",
                str(self.monitors),
                "--http-listen",
                self.health,
                "--tick-every",
                "1",
                "--session-timeout",
                session,
            ],
            self.logs,
        )

    def start_notifier(self) -> Child:
        """The notifier with its console channel, whose output is kept for the screen."""
        kind = "embedded" if self.embedded else "real"
        child = Child(
            "notifier",
            "inferwatch.cli.main",
            ["notifier", *self.broker, "--broker", kind],
            self.logs,
            piped=True,
        )
        assert child.process.stdout is not None
        follow_lines(child.process.stdout, self.board.message)
        return child

    def start_producer(self) -> Child:
        """The model server: another process, which knows the SDK only."""
        child = Child(
            "producer",
            "inferwatch.demo.producer",
            [
                str(self.options.folder),
                "--rows-per-s",
                str(self.options.rows_per_s),
            ],
            self.logs,
            piped=True,
            environment=self.connection.environment(),
        )
        assert child.process.stdout is not None
        follow_lines(child.process.stdout, self.board.progress)
        return child


def run(options: Options) -> int:
    """The whole demo; 0 when every promise held, else 1.

    :raises TransientError: something did not come up.
    :raises UsageError: the example is not there, or the topics are not fresh.
    """
    if not (options.folder / "analysis.csv.gz").is_file():
        raise UsageError(f"{options.folder} does not hold the example; name it with --data")
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="inferwatch-demo-")))
        connection = options.connection or _embedded(stack)
        if options.connection is not None:
            _fresh_topics(connection)
        demo = Demo(options, connection, logs)
        with demo.screen.running():
            sums = _acts(demo, stack)
        return _report(demo, sums)


def _embedded(stack: ExitStack) -> Connection:
    broker = embedded.start()
    stack.callback(broker.stop)
    return Connection(broker.bootstrap_servers)


def _fresh_topics(connection: Connection) -> None:
    topics.apply(connection, topics.wanted(connection.prefix, PARTITIONS), replication_factor=1)
    with LogReader(connection, "events.v1") as reader:
        used = any(reader.ends(partition)[1] for partition in reader.partitions())
    if used:
        hint = "" if connection.prefix == PREFIX else " other"
        raise UsageError(
            f"{connection.topic('events.v1')} holds records already; give the demo "
            f"a prefix{hint} of its own: --prefix demo1."
        )


@dataclass
class Sums:
    """What the run is held to at its end."""

    away_s: float
    worker_exit: int
    live: str
    replayed: driver.Summary


def _acts(demo: Demo, stack: ExitStack) -> Sums:
    board, screen = demo.board, demo.screen
    kind = "embedded broker" if demo.embedded else "broker"
    screen.say(f"{kind} at {demo.connection.bootstrap_servers}; starting worker and notifier")
    worker = demo.start_worker()
    stack.callback(lambda: worker.stop())
    notifier = stack.enter_context(demo.start_notifier())
    both, compiles = [worker, notifier], lambda: compiling(demo.health)
    wait_for(lambda: ready(demo.health), PATIENCE_S, "the worker", both, compiles)
    follower = Follower(demo.connection, board)
    stack.callback(follower.close)
    screen.say("a model server sends 50,000 loan decisions; labels trail behind, out of order")
    producer = stack.enter_context(demo.start_producer())

    wait_for(lambda: board.rows_sent >= KILL_AT_ROW, PATIENCE_S, "rows", [worker, notifier])
    screen.say(f"{board.rows_sent:,} rows sent: the worker is killed with -9")
    worker.kill()
    killed_s = time.monotonic()
    worker = demo.start_worker()
    wait_for(lambda: ready(demo.health), PATIENCE_S, "the worker's return", [worker])
    away_s = time.monotonic() - killed_s
    screen.say(f"the worker is back after {away_s:.1f} s, from its checkpoint; nothing is lost")

    watched = [worker, notifier]
    held = HELD_WINDOW_START
    wait_for(lambda: held in board.blind, PATIENCE_S, "the window without labels", watched)
    screen.say(f"labels fall behind: accuracy is unknown, {board.blind[held]}, until they arrive")
    wait_for(lambda: board.producer_done, PATIENCE_S, "the last row", watched)
    screen.say(f"the model server stops after {board.rows_sent:,} rows")
    producer.process.wait()
    wait_for(lambda: _complete(board), PATIENCE_S, "the last window's labels", watched)
    wait_for(lambda: board.condition("Silent") == "firing", PATIENCE_S, "no data", watched)
    screen.say("no rows for 10 s: the model is `no data`, not fine")
    wait_for(lambda: _delivered(board), PATIENCE_S, "the last notification", watched)
    code = worker.stop()
    screen.say("worker stopped; the same topic is replayed through the same fold")
    return Sums(away_s, code, published.digest(demo.connection).hex(), _replay(demo))


def _complete(board: Board) -> bool:
    whole = board.whole()
    return sum(record.labels for record in whole) >= ROWS


def to_tell(board: Board) -> list[str]:
    """Headers of the alerts to be told: what fires. Nothing in this story recovers."""
    return sorted(
        header(record) for record in board.alerts.values() if record.condition == "firing"
    )


def _delivered(board: Board) -> bool:
    return len(board.messages) >= len(to_tell(board))


def _replay(demo: Demo) -> driver.Summary:
    found = topic.survey(demo.connection)
    values = monitors.load([demo.monitors]).values()
    records = topic.records(demo.connection, found, recorded_rules=True)
    return driver.run(
        records, found.definition, values, lambda *_: None, found.skipped, len(found.spans)
    )


def _report(demo: Demo, sums: Sums) -> int:
    board, say = demo.board, demo.screen.after
    whole = board.whole()
    rows, labels = sum(record.rows for record in whole), sum(record.labels for record in whole)
    told = sorted(message.splitlines()[0] for message in board.messages)
    early = [
        record
        for record in board.alerts.values()
        if record.window is not None and record.window.start < DRIFT_FROM_ROW
    ]
    fired = {
        (record.alert, record.feature or record.segment)
        for record in board.alerts.values()
        if record.condition == "firing"
    }
    segment = ("SegmentAccuracyDrop", "salary_range=0 - 20K €")
    away = f"across the kill (worker away {sums.away_s:.1f} s)"
    delivered = f"each was delivered once ({len(told)} messages)"
    same = f"the same windows and alerts: digest {sums.live[:16]}…"
    promises = [
        (
            board.rows_sent == rows == ROWS,
            f"rows sent {board.rows_sent:,} = rows folded {rows:,}, {away}",
        ),
        (
            board.labels_sent == labels == ROWS,
            f"labels sent {board.labels_sent:,} = labels joined {labels:,}",
        ),
        (("FeatureDrift", "car_value") in fired, "drift on car_value after row 25,000"),
        (segment in fired, "the segment that the average hid: salary_range = 0 - 20K €"),
        (not early, f"no alert before row 25,000 (found {len(early)})"),
        (told == to_tell(board), f"{len(to_tell(board))} alerts fired, {delivered}"),
        (sums.live == sums.replayed.digest, f"replay of the topic gives {same}"),
        (sums.worker_exit == Exit.DONE, "the worker stopped in order"),
    ]
    say("")
    for held, promise in promises:
        say(f"{'yes' if held else 'NO '}  {promise}")
    if sums.live != sums.replayed.digest:
        say(f"     live   {sums.live}\n     replay {sums.replayed.digest}")
    say("")
    say(CONNECT)
    return Exit.DONE if all(held for held, _ in promises) else Exit.FINDINGS
