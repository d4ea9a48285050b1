"""The newest checkpoint of one model on the topic, for commands that say how its checks stand."""

from inferwatch.connection import Connection
from inferwatch.core import snapshot
from inferwatch.core.model import ModelState
from inferwatch.core.placement import partition_of
from inferwatch.replay.log import LogReader
from inferwatch.runtime import checkpoint


def read(connection: Connection, model: str) -> ModelState | None:
    """What `snapshot.glance` gives of it, None where no worker has written one.

    Reads the model's partition of the state topic from its beginning, and keeps the model's own
    records. Raises what `LogReader` raises, and:

    :raises ConfigError: a newer inferwatch wrote it.
    :raises ValueError: it is damaged.
    """
    with LogReader(connection, "state.v1") as reader:
        partitions = reader.partitions()
        partition = partitions[partition_of(model, len(partitions))]
        records = [
            (raw.key, raw.value)
            for raw in reader.read(partition, *reader.ends(partition))
            if raw.key and checkpoint.model_of(raw.key) == model
        ]
    try:
        found = checkpoint.gather(records).states.get(model)
    except checkpoint.BrokenStateError as error:
        raise ValueError(str(error)) from None
    return snapshot.glance(found) if found else None
