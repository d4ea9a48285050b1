"""Settings of the worker and the notifier: from the command line, or from the environment under
`faust`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inferwatch.connection import Connection
from inferwatch.core.fold import MODELS_MAX
from inferwatch.errors import ConfigError
from inferwatch.telemetry import catalogue


@dataclass(frozen=True)
class WorkerSettings:
    """What one worker process needs to know. `embedded` is true on the embedded broker only."""

    connection: Connection
    monitors: tuple[Path, ...] = ()
    embedded: bool = False
    checkpoint_every_s: float = 2.0
    tick_every_s: float = 5.0
    session_timeout_s: float = 10.0
    http_listen: str = "127.0.0.1:0"
    accept_state_loss: bool = False
    models_max: int = MODELS_MAX
    series_models_max: int = catalogue.MODELS_MAX

    @property
    def group(self) -> str:
        """The consumer group: one for each set of topics."""
        return f"{self.connection.prefix}worker"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "WorkerSettings":
        """What `INFERWATCH_*` says.

        :raises ConfigError: no broker is named, or a number is none.
        """
        connection = Connection.from_environment(environment)
        if connection is None:
            raise ConfigError(
                "no broker is configured",
                key="INFERWATCH_BOOTSTRAP_SERVERS",
                fix="set it to host:port",
            )
        listed = environment.get("INFERWATCH_MONITORS", "")
        embedded = environment.get("INFERWATCH_EMBEDDED", "") == "1"
        return cls(
            connection=connection,
            monitors=tuple(Path(path) for path in listed.split(os.pathsep) if path),
            embedded=embedded,
            session_timeout_s=3.0 if embedded else 10.0,
            http_listen=environment.get("INFERWATCH_HTTP_LISTEN", "127.0.0.1:0"),
            models_max=_models(environment, "INFERWATCH_MODELS_MAX", MODELS_MAX),
            series_models_max=_models(
                environment, "INFERWATCH_SERIES_MODELS_MAX", catalogue.MODELS_MAX
            ),
        )


def _models(environment: Mapping[str, str], name: str, default: int) -> int:
    said = environment.get(name, str(default))
    if not said.isdecimal() or int(said) < 1:
        raise ConfigError(
            f"'{said}' is no number of models",
            key=name,
            fix=f"leave it out for {default}, or name a positive number",
        )
    return int(said)


@dataclass(frozen=True)
class NotifierSettings:
    """What a notifier process needs to know; without a channels file it prints."""

    connection: Connection
    channels: Path | None = None
    embedded: bool = False
    session_timeout_s: float = 10.0
    http_listen: str = "127.0.0.1:0"

    @property
    def group(self) -> str:
        """The consumer group: one for each set of topics."""
        return f"{self.connection.prefix}notifier"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "NotifierSettings":
        """What `INFERWATCH_*` says.

        :raises ConfigError: no broker is named.
        """
        shared = WorkerSettings.from_environment(environment)
        channels = environment.get("INFERWATCH_CHANNELS", "")
        return cls(
            connection=shared.connection,
            channels=Path(channels) if channels else None,
            embedded=shared.embedded,
            session_timeout_s=shared.session_timeout_s,
            http_listen=shared.http_listen,
        )
