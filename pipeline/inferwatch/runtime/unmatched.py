"""The monitor files of a worker, which say once where one of them watches nothing."""

import logging
from collections.abc import Mapping

from inferwatch.config.monitors import Monitors
from inferwatch.core.reference import Values
from inferwatch.records.definition import Definition

log = logging.getLogger("inferwatch.worker")


class WorkerRules:
    """What the files say, as `ports.Rules`.

    With the first model that no file matches, the files that match no model so far are logged, once
    a process: one of them may have been meant for it. While every model has its file, a file
    without a model is no news: its models may be on another worker.
    """

    def __init__(self, monitors: Monitors) -> None:
        self._monitors, self._told = monitors, False

    def definition(self, model: str) -> Definition:
        """What the files say about a model."""
        found = self._monitors.definition(model)
        if not self._told and self._monitors.by_default():
            self._told = True
            for said in self._monitors.unmatched("so far"):
                log.info(said)
        return found

    def values(self) -> Mapping[str, Values]:
        """Reference columns by digest."""
        return self._monitors.values()
