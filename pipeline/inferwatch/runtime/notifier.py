"""The notifier: a Faust app that tells channels what `alerts.v1` says, each alert in order.

`inferwatch notifier` runs it; `faust -A inferwatch.runtime.notifier worker --without-web` takes its
settings from the environment.
"""

import logging
from typing import Any

import faust

from inferwatch import reach
from inferwatch.notify import channel_file
from inferwatch.runtime import app as apps
from inferwatch.runtime import denied, health, heap, watchdog
from inferwatch.runtime.dispatcher import Dispatcher, attach
from inferwatch.runtime.settings import NotifierSettings
from inferwatch.runtime.shell import die
from inferwatch.runtime.status import Status
from inferwatch.telemetry.metrics import NotifierMetrics

log = logging.getLogger("inferwatch.notifier")


def make(settings: NotifierSettings) -> faust.App:
    """The app with everything attached: lanes, watchdog, health endpoints.

    :raises ConfigError: the channels file, the connection or the listening address cannot be used.
    :raises DeniedError: the brokers refuse a right, or who asks.
    :raises TransientError: no broker answers.
    """
    kept = heap.keep()
    channels = channel_file.load(settings.channels)
    reach.check(settings.connection)
    denied.check_topics(settings.connection, "notifier")
    alerts = settings.connection.topic("alerts.v1")
    denied.check_group(settings.connection, settings.group, alerts)
    metrics = NotifierMetrics([channel.name for channel in channels])
    status = Status(metrics)
    app = apps.make(
        settings.group,
        settings.connection,
        component="notifier",
        embedded=settings.embedded,
        session_timeout_s=settings.session_timeout_s,
    )
    attach(app, Dispatcher(app, settings, channels, status, metrics))
    address = health.serve(settings.http_listen, status)
    watchdog.start(status, lambda: bool(app.should_stop), die)
    servers = settings.connection.bootstrap_servers
    log.info("notifier on %s, health on http://%s, heap %s", servers, address, kept)
    return app


def run(settings: NotifierSettings) -> int:
    """Run one notifier until SIGTERM; the exit code. Raises what `make` raises."""
    apps.configure_logging()
    return apps.run(make(settings))


def __getattr__(name: str) -> Any:
    """`app` is made when `faust -A` asks for it, so that importing this module starts nothing."""
    if name != "app":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    apps.configure_logging()
    app = globals()["app"] = make(NotifierSettings.from_environment())
    return app
