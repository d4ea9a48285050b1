"""Faust apps with every setting that matters passed explicitly: Faust also reads bare environment
names.
"""

import asyncio
import gc
import logging
import os
import tempfile
from pathlib import Path
from typing import Any

import faust
from aiokafka.errors import KafkaError

from inferwatch.connection import Connection
from inferwatch.errors import Exit
from inferwatch.runtime import aiokafka_private, denied, faust_private
from inferwatch.runtime.shell import die
from inferwatch.telemetry.logs import Thinned

FETCH_MAX_BYTES = 4 << 20
RUN_MESSAGES = 128  # three runs at most: folded, in the queue, waiting for room there


def make(
    name: str,
    connection: Connection,
    *,
    component: str,
    embedded: bool,
    session_timeout_s: float,
) -> faust.App:
    """A Faust app as a delivery shell: no tables, no acks, no web, no declared topics.

    `component` is whose rights it needs (`runtime/rights.py`).

    :raises ConfigError: the connection cannot be used by aiokafka.
    """
    denied.Speaker.connection, denied.Speaker.component = connection, component
    if embedded:
        faust_private.slow_assignor(0.25)
    app = faust.App(
        name,
        broker=[f"kafka://{server}" for server in connection.bootstrap_servers.split(",")],
        broker_credentials=_credentials(connection),
        broker_client_id=name,
        broker_session_timeout=session_timeout_s,
        broker_heartbeat_interval=min(3.0, session_timeout_s / 4),
        broker_rebalance_timeout=session_timeout_s if embedded else 60.0,
        broker_request_timeout=max(15.0, session_timeout_s * 3),
        broker_max_poll_records=RUN_MESSAGES,
        stream_buffer_maxsize=1,
        consumer_max_fetch_size=FETCH_MAX_BYTES,
        consumer_auto_offset_reset="earliest",
        stream_recovery_delay=0,
        stream_wait_empty=False,
        producer_threaded=False,
        producer_request_timeout=30.0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        store="memory://",
        table_standby_replicas=0,
        datadir=str(scratch_folder()),
        web_enabled=False,
        # `faust worker` switches the web on over our setting: then at least on loopback only
        web_bind="127.0.0.1",
        web_host="127.0.0.1",
        processing_guarantee="at_least_once",
        autodiscover=False,
    )
    faust_private.in_runs(app)
    aiokafka_private.read_whole_answers()
    return app


def scratch_folder() -> Path:
    """A folder that Faust insists on and never writes to: there is no local state.

    One for all processes of a user, so that a killed one leaves nothing behind.
    """
    folder = Path(tempfile.gettempdir()) / f"inferwatch-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _credentials(connection: Connection) -> Any:
    settings = connection.aiokafka()
    context = settings.get("ssl_context")
    if connection.mechanism == "OAUTHBEARER":
        provider = settings["sasl_oauth_token_provider"]
        return faust.OAuthCredentials(oauth_cb=provider, ssl_context=context)
    if connection.mechanism:
        return faust.SASLCredentials(
            username=settings["sasl_plain_username"],
            password=settings["sasl_plain_password"],
            mechanism=connection.mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context is not None else None


def configure_logging(level: int = logging.INFO) -> None:
    """One line an event on standard error; libraries only when something is wrong, and then
    thinned.
    """
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for handler in logging.getLogger().handlers:
        if not any(isinstance(one, Thinned) for one in handler.filters):
            handler.addFilter(Thinned(handler.emit))
    for noisy in ("faust", "mode", "aiokafka", "kafka"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def run(app: faust.App) -> int:
    """Run a Faust app in this process, without its command line or banner."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = faust.Worker(
        app, loop=loop, loglevel="ERROR", override_logging=False, quiet=True, redirect_stdouts=False
    )
    worker.spinner = None  # it would write terminal codes into log files
    gc.freeze()  # what is here stays: the collector need not walk all modules again and again
    try:
        worker.execute_from_commandline()
    except SystemExit as ended:
        crash = worker.crash_reason
        if crash is None:  # 1: a client of Faust's did not start, whose traceback it has told
            code = int(ended.code or 0)
            return Exit.UNAVAILABLE if code == 1 else code
        # one of Faust's own services: it has told the traceback
        die(Exit.UNAVAILABLE if isinstance(crash, KafkaError) else Exit.BUG, f"Faust: {crash!r}")
    return 0
