"""Health over HTTP: where it listens, what it tells scrapers, and which addresses it refuses."""

import socket
from http.client import HTTPConnection
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from inferwatch.errors import ConfigError
from inferwatch.runtime import health
from inferwatch.runtime.status import Status
from inferwatch.telemetry.metrics import NotifierMetrics
from inferwatch.telemetry.worker import Metrics


@pytest.mark.parametrize("metrics", [Metrics(), NotifierMetrics(["console"])])
def test_it_listens_on_the_port_that_it_names(metrics):
    """Port 0 takes a free one; worker and notifier alike."""
    address = health.serve("127.0.0.1:0", Status(metrics))
    host, port = address.split(":")
    assert host == "127.0.0.1" and int(port) > 0
    with urlopen(f"http://{address}/livez", timeout=5) as answer:
        assert answer.status == 200


def test_a_scraper_keeps_its_connection():
    """Asked again, the same one answers: a thread and a handshake each time cost more than that."""
    connection = HTTPConnection(health.serve("127.0.0.1:0", Status(Metrics())), timeout=5)
    sockets = set()
    for path in ("/metrics", "/nowhere", "/livez", "/metrics"):
        connection.request("GET", path)
        assert connection.getresponse().read()
        sockets.add(connection.sock)
    assert len(sockets) == 1 and None not in sockets
    connection.close()


def test_metrics_are_given_in_the_format_that_is_asked_for():
    """Prometheus' text by default, OpenMetrics where the scraper names it."""
    address = health.serve("127.0.0.1:0", Status(Metrics()))
    with urlopen(f"http://{address}/metrics", timeout=5) as answer:
        plain = answer.read().decode()
        assert answer.headers["Content-Type"].startswith("text/plain")
    wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}
    with urlopen(Request(f"http://{address}/metrics", headers=wanted), timeout=5) as answer:
        open_metrics = answer.read().decode()
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert open_metrics.endswith("# EOF\n") and not plain.endswith("# EOF\n")
    assert "inferwatch_in_total 0.0" in plain and "inferwatch_in_total 0.0" in open_metrics


def test_single_metrics_can_be_asked_for():
    """By the names of their samples, in both formats; a name that there is not gives none."""
    metrics = Metrics()
    metrics.series.replace(0, "team/model", "model_rows", {(): 7.0})
    address = health.serve("127.0.0.1:0", Status(metrics))

    def ask(*names: str, accept: str = "") -> list[str]:
        query = "&".join(f"name[]=inferwatch_{name}" for name in names)
        request = Request(f"http://{address}/metrics?{query}", headers={"Accept": accept})
        with urlopen(request, timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return sorted(line for line in lines if not line.startswith("#"))

    two = ["inferwatch_in_total 0.0", 'inferwatch_model_rows{model="team/model"} 7.0']
    assert ask("in_total", "model_rows") == two
    assert ask("in_total", "model_rows", accept="application/openmetrics-text") == two
    assert ask("nothing") == []
    assert len(ask("event_delay_seconds_bucket")) > 10


def test_the_root_lists_what_there_is():
    """Whoever opens the address finds the paths; each of them is answered."""
    address = health.serve("127.0.0.1:0", Status(Metrics()))
    with urlopen(f"http://{address}/", timeout=5) as answer:
        paths = [line.split()[0] for line in answer.read().decode().splitlines()[2:]]
    assert paths == ["/livez", "/readyz", "/startupz", "/metrics"]
    for path in paths:
        try:
            urlopen(f"http://{address}{path}", timeout=5).close()
        except HTTPError as error:
            assert error.code == 503


@pytest.mark.parametrize("path", ["/metrics/", "/livez?x=1", "/../etc/passwd"])
def test_nothing_else_is_there(path):
    """404 for every other path."""
    address = health.serve("127.0.0.1:0", Status(Metrics()))
    with pytest.raises(HTTPError) as caught:
        urlopen(f"http://{address}{path}", timeout=5)
    assert caught.value.code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_it_can_only_be_read(method):
    """No request changes anything."""
    address = health.serve("127.0.0.1:0", Status(Metrics()))
    with pytest.raises(HTTPError) as caught:
        urlopen(Request(f"http://{address}/livez", method=method), timeout=5)
    assert caught.value.code == 501


@pytest.mark.parametrize(
    ("listen", "says"),
    [
        ("8080", "'8080' is no address (write host:port)"),
        (":8080", "':8080' is no address"),
        ("127.0.0.1:", "is no address"),
        ("127.0.0.1:http", "is no address"),
        ("127.0.0.1:²", "is no address"),
        ("127.0.0.1:99999", "cannot listen on 127.0.0.1:99999: "),
        ("no.such.host.invalid:0", "cannot listen on no.such.host.invalid:0: "),
    ],
)
def test_an_address_that_cannot_be_used_is_told(listen, says):
    """One sentence that names the option."""
    with pytest.raises(ConfigError) as caught:
        health.serve(listen, Status(Metrics()))
    assert str(caught.value).startswith("--http-listen: ") and says in str(caught.value)
    assert caught.value.fix


def test_a_port_that_is_taken_is_told():
    """Two workers on one machine need two ports."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=r"Address already in use \(choose a free port\)"):
            health.serve(f"127.0.0.1:{port}", Status(Metrics()))
