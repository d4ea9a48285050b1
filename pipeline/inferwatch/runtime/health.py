"""`/livez`, `/readyz`, `/startupz`, `/metrics`, on loopback unless told otherwise; `/` lists them.

`/metrics?name[]=A&name[]=B` gives the samples of those names only, as Prometheus' own clients do.

Served by a thread of its own, so that a blocked event loop is seen and not waited for.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs

from inferwatch import __version__
from inferwatch.errors import ConfigError
from inferwatch.telemetry.exposition import expose
from inferwatch.telemetry.metrics import Served

IDLE_S = 150.0
"""How long a connection may wait for its next request: scrapers ask every minute at most."""
INDEX = b"""inferwatch: health and metrics of one process

/livez      503 when a restart would help
/readyz     503 when it does not do its work
/startupz   503 until it has an assignment
/metrics    figures for Prometheus
"""


class Shown(Protocol):
    """How a process is doing, asked from the server's thread."""

    metrics: Served
    assigned: bool

    def alive(self) -> bool:
        """False only when a restart would help."""

    def ready(self) -> bool:
        """Whether it does its work."""

    def health(self) -> dict[str, Any]:
        """The figures behind both."""


def serve(listen: str, status: Shown) -> str:
    """Start the server; gives the address it listens on.

    :raises ConfigError: `listen` is no free host:port.
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal():
        raise ConfigError(f"'{listen}' is no address", key="--http-listen", fix="write host:port")
    try:
        server = ThreadingHTTPServer((host, int(port)), _handler(status))
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"cannot listen on {listen}: {getattr(error, 'strerror', error)}",
            key="--http-listen",
            fix="choose a free port",
        ) from None
    status.metrics.began(__version__)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return f"{host}:{server.server_address[1]}"


def _handler(status: Shown) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers GET on five paths."""

        protocol_version = "HTTP/1.1"  # a scraper keeps its connection, and the thread behind it
        timeout = IDLE_S
        wbufsize = -1  # one packet an answer: a second one would wait for the first's receipt

        def do_GET(self) -> None:
            checks = {
                "/livez": status.alive,
                "/readyz": status.ready,
                "/startupz": lambda: status.assigned,
            }
            path, _, query = self.path.partition("?")
            if path == "/metrics":
                accept, names = self.headers.get("Accept", ""), parse_qs(query).get("name[]", ())
                self._answer(200, *expose(status.metrics.registry, accept, names))
            elif self.path in checks:
                good = checks[self.path]()
                body = json.dumps(status.health()).encode()
                self._answer(200 if good else 503, "application/json", body)
            elif path == "/":
                self._answer(200, "text/plain", INDEX)
            else:
                self._answer(404, "text/plain", b"not found\n")

        def _answer(self, code: int, kind: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Probes every few seconds are no news."""

    return Handler
