"""What live workers have published, taken together: a digest to hold a replay against."""

from inferwatch.connection import Connection
from inferwatch.records.outputs import word
from inferwatch.replay.digest import Digest
from inferwatch.replay.log import LogReader

TOPICS = ("windows.v1", "alerts.v1")


def digest(connection: Connection) -> Digest:
    """Everything on the output topics now; repeats with equal ids count once.

    :raises ConflictError: an id came with two contents.
    """
    found = Digest()
    for topic in TOPICS:
        with LogReader(connection, topic) as reader:
            for raw in reader.read_all():
                found.add(word(raw.headers), raw.headers["ce_id"].decode(), raw.value or b"")
    return found
