"""The worker: a Faust app that folds `events.v1`.

`inferwatch worker` runs it with settings from the command line; `faust -A inferwatch.runtime.worker
worker --without-web` takes them from the environment.
"""

import logging
import sys
import threading
from typing import Any

import faust

from inferwatch import reach
from inferwatch.config import monitors as monitor_files
from inferwatch.kernels.warm import warm
from inferwatch.runtime import app as apps
from inferwatch.runtime import denied, health, heap, watchdog
from inferwatch.runtime.delivery import Delivery
from inferwatch.runtime.inspector import Inspector
from inferwatch.runtime.kafka_link import KafkaLink
from inferwatch.runtime.settings import WorkerSettings
from inferwatch.runtime.shell import Shell, attach, die
from inferwatch.runtime.status import Status
from inferwatch.runtime.unmatched import WorkerRules
from inferwatch.telemetry.worker import Metrics

log = logging.getLogger("inferwatch.worker")
COMPILES_S = 2.0
"""Kernels that take longer than that are not read from the cache."""


def make(settings: WorkerSettings) -> faust.App:
    """The app with everything attached: shell, watchdog, health endpoints.

    :raises ConfigError: a monitor file, the connection or the listening address cannot be used.
    :raises DeniedError: the brokers refuse a right, or who asks.
    :raises TransientError: no broker answers.
    """
    kept = heap.keep()
    monitors = monitor_files.load(settings.monitors)
    reach.check(settings.connection)
    denied.check_topics(settings.connection, "worker")
    events = settings.connection.topic("events.v1")
    denied.check_group(settings.connection, settings.group, events)
    status = Status(Metrics(settings.series_models_max))
    app = apps.make(
        settings.group,
        settings.connection,
        component="worker",
        embedded=settings.embedded,
        session_timeout_s=settings.session_timeout_s,
    )
    link = KafkaLink(app, settings.connection, settings.group, die)
    delivery = Delivery(
        link,
        WorkerRules(monitors),
        status,
        Inspector(),
        on_embedded=settings.embedded,
        accept_state_loss=settings.accept_state_loss,
        models_max=settings.models_max,
    )
    attach(
        app,
        Shell(app, events, link, delivery, status),
        checkpoint_every_s=settings.checkpoint_every_s,
        tick_every_s=settings.tick_every_s,
    )
    address = health.serve(settings.http_listen, status)
    watchdog.start(status, lambda: bool(app.should_stop), die)
    _compile(status)
    servers = settings.connection.bootstrap_servers
    log.info("worker on %s, health on http://%s, heap %s", servers, address, kept)
    return app


def _compile(status: Status) -> None:
    """Have the kernels ready, or the first rows would wait for the compiler; say so if it does."""
    told = threading.Timer(
        COMPILES_S, log.info, ["compiling kernels, once: on a busy machine that takes minutes"]
    )
    told.daemon = status.compiling = True
    told.start()
    warm()
    told.cancel()
    status.compiled()


def run(settings: WorkerSettings) -> int:
    """Run one worker until SIGTERM; the exit code. Raises what `make` raises."""
    apps.configure_logging()
    return apps.run(make(settings))


def __getattr__(name: str) -> Any:
    """`app` is made when `faust -A` asks for it, so that importing this module starts nothing."""
    if name != "app":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    apps.configure_logging()
    app = make(WorkerSettings.from_environment())
    sys.modules[__name__].app = app
    return app
