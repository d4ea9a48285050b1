"""Whether log, state and placement still fit together when a partition is taken over.

Where they do not, an operator must act (exit 78): nothing is reset silently, and no model is split
over two owners. No I/O here.
"""

from collections.abc import Iterable

from inferwatch.core import placement
from inferwatch.errors import ConfigError
from inferwatch.records.events import Gap

CHOSEN_ONCE = (
    "partitions are chosen once: make topics with as many as you need under another --prefix, and "
    "send there"
)


def check_growth(started: int, now: int) -> None:
    """The events topic has the partitions that placement counts with.

    :param started: partitions when this process began.
    :raises ConfigError: it has others now. What was folded until now is right and safe; from here
        on a model's records would come where its state is not.
    """
    if now != started:
        raise ConfigError(
            f"the topic has {now} partitions, {started} when this worker started: a model's "
            "records now go where its state is not",
            key="events.v1",
            fix=CHOSEN_ONCE,
        )


def check_placement(number: int, models: Iterable[str], partitions: int) -> None:
    """The models whose state lies in partition `number` have their records there.

    :raises ConfigError: one belongs elsewhere: events and state topic were both made larger.
    """
    for model in models:
        home = placement.partition_of(model, partitions)
        if home != number:
            raise ConfigError(
                f"the state of {model} lies in partition {number}, of {partitions} its records go "
                f"to {home}: the topics have grown",
                key="events.v1",
                fix=CHOSEN_ONCE,
            )


def check_log(
    number: int, offset: int, bounds: tuple[int, int, int], *, accept_loss: bool
) -> Gap | None:
    """What the log must still hold is there, and the state holds what was committed.

    :param offset: up to which the state of partition `number` reaches, -1 for none.
    :param bounds: oldest offset left in the log, its end, the group's offset.
    :returns: the records that nobody will fold, where `accept_loss` says to go on without them.
    :raises ConfigError: records or states are missing.
    """
    head, end, committed = bounds
    if offset + 1 > end:
        raise ConfigError(
            f"partition {number} ends at {end}, its state at {offset}: the topic was made anew or "
            "has lost its tail",
            key="events.v1",
            fix="restore it, or make state.v1 anew too and start from nothing",
        )
    lost = committed > offset + 1
    if not lost and head <= offset + 1:
        return None
    why = (
        f"the group has folded partition {number} up to {committed - 1}, its state only up to "
        f"{offset}"
        if lost
        else f"partition {number} begins at {head}, its state ends at {offset}"
    )
    if not accept_loss:
        raise ConfigError(
            why, key="--accept-state-loss", fix="restore the topic, or start once with that option"
        )
    return Gap(from_offset=offset + 1, to_offset=max(head, committed), why=why)
