"""The demo on a terminal: one live table; as plain lines where nobody watches a terminal."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from inferwatch.demo.board import Board
from inferwatch.records.outputs import WindowRecord, percent

REFRESH_S = 0.25
DRIFTS = 0.25
CONVINCING = "SegmentAccuracyDrop"  # told in full: what the average hid


class Screen:
    """Shows a board, and what the story says."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._console = Console(highlight=False)
        self._started_s = time.monotonic()
        self._said: list[str] = []
        self._shown: set[tuple[int, int]] = set()
        self._messages_shown = 0
        self._live: Live | None = None
        self._lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator["Screen"]:
        """Keep the view up to date meanwhile."""
        over = threading.Event()
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._view,
                console=self._console,
                refresh_per_second=4,
                vertical_overflow="visible",
            )
            with self._live:
                yield self
            self._live = None
            return
        thread = threading.Thread(target=self._lines, args=(over,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()
            self._new_lines()

    def say(self, text: str) -> None:
        """A step of the story."""
        line = f"{self._clock()}  {text}"
        self._said.append(line)
        if self._live is None:
            self._print(line)

    def after(self, text: str) -> None:
        """What stands below the view when it is over."""
        self._print(text)

    def _print(self, text: str) -> None:
        with self._lock:
            self._console.print(Text(text), soft_wrap=True)
            sys.stdout.flush()

    def _clock(self) -> str:
        elapsed_s = int(time.monotonic() - self._started_s)
        return f"{elapsed_s // 60:02}:{elapsed_s % 60:02}"

    # ── a terminal ───────────────────────────────────────────────────────────────────────────────

    def _view(self) -> RenderableType:
        board = self._board
        head = Text(
            f"lending/car-loan  {self._clock()}  rows sent {board.rows_sent:,}  "
            f"labels sent {board.labels_sent:,}",
            style="bold",
        )
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("rows", "coverage", "accuracy", "lowest segment", "drift (PSI)"):
            table.add_column(name, justify="right" if name == "coverage" else "left")
        for record in board.whole():
            table.add_row(*self._cells(record))
        parts: list[RenderableType] = [head, table, Text()]
        for message in board.messages:
            whole = message if CONVINCING in message else message.splitlines()[0]
            parts.append(Text(whole, style="red" if "critical" in message else "yellow"))
        if board.messages:
            parts.append(Text())
        parts += [Text(line, style="cyan") for line in self._said]
        return Group(*parts)

    def _cells(self, record: WindowRecord) -> list[Text]:
        drifting = drifts(record)
        accuracy = figure(record, "accuracy")
        lowest = self._board.lowest_segment(record.window.start)
        return [
            Text(f"{record.window.start:,}–{record.window.end:,}"),
            Text(percent(record.coverage or 0.0)),
            Text(accuracy, style="yellow" if accuracy.startswith("unknown") else ""),
            Text(f"{lowest[0]} {lowest[1]:.3f}" if lowest else ""),
            Text(", ".join(drifting) or "quiet", style="red" if drifting else "green"),
        ]

    # ── no terminal ──────────────────────────────────────────────────────────────────────────────

    def _lines(self, over: threading.Event) -> None:
        while not over.wait(REFRESH_S):
            self._new_lines()

    def _new_lines(self) -> None:
        for record in self._board.whole():
            key = record.window.start, record.revision
            if key not in self._shown:
                self._shown.add(key)
                drifting = ", ".join(drifts(record)) or "none"
                accuracy = figure(record, "accuracy")
                if "accuracy" in record.metrics:
                    accuracy += f", coverage {percent(record.coverage or 0.0)}"
                self._print(
                    f"{self._clock()}  rows {record.window.start:,}–{record.window.end:,}: "
                    f"accuracy {accuracy}; drift {drifting}"
                )
        messages = self._board.messages
        while self._messages_shown < len(messages):
            self._print(messages[self._messages_shown].replace("\n", "\n       "))
            self._messages_shown += 1


def figure(record: WindowRecord, metric: str) -> str:
    """The figure, or why it is not known."""
    if metric in record.metrics:
        return f"{record.metrics[metric]:.3f}"
    return f"unknown, {record.unknown.get(metric, 'no labels')}"


def drifts(record: WindowRecord) -> list[str]:
    """Features past the usual limit, largest first."""
    moved = [
        (figures.psi, name)
        for name, figures in record.features.items()
        if figures.psi is not None and figures.psi > DRIFTS
    ]
    return [f"{name} {psi:.2f}" for psi, name in sorted(moved, reverse=True)]
