"""A webhook receiver on loopback, for tests: it keeps what comes and answers as told."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Request:
    """One POST: its path, headers (names in lower case) and body."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What to answer. `how`: "hang" never does, "reset" cuts the line, "endless" goes on."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    how: str = ""
    body: bytes = b""


class Receiver:
    """Use as a context manager. `answer` gives the answer to each request; port 0 takes any."""

    def __init__(
        self, answer: Callable[[Request], Answer] = lambda _: Answer(), port: int = 0
    ) -> None:
        self.requests: list[Request] = []
        self.answer = answer
        self._arrived = threading.Condition()
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, count: int, timeout_s: float = 30.0) -> list[Request]:
        """The requests once there are `count` of them.

        :raises TimeoutError: they did not come.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self.requests) >= count, timeout_s):
                raise TimeoutError(f"{len(self.requests)} of {count} requests came")
            return list(self.requests)

    def _take(self, request: Request) -> Answer:
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
        return self.answer(request)


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers POST as the receiver says."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = receiver._take(Request(self.path, headers, body))
            self.close_connection = bool(answer.how)
            if answer.how == "hang":
                receiver._closing.wait()
            elif answer.how != "reset":
                self._reply(answer)

        def _reply(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.how != "endless":
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            try:
                self.wfile.write(answer.body)
                while answer.how == "endless" and not receiver._closing.is_set():
                    self.wfile.write(b"x" * 65_536)
            except OSError:
                receiver._closing.wait(0)  # the client has had enough, as it should

        def log_message(self, *_: Any) -> None:
            """Tests read `requests` instead."""

    return Handler
