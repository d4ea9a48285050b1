"""Which partition a model belongs to: murmur2 of its name, as Java and aiokafka place keys.

librdkafka's own default (crc32) differs for most keys; a producer that forgets
`partitioner=murmur2_random` would split a model over two owners.

Source: A. Appleby, MurmurHash2 (public domain), in the form of Kafka's `Utils.murmur2`.
"""

from functools import lru_cache

_M, _R, _SEED, _MASK = 0x5BD1E995, 24, 0x9747B28C, 0xFFFFFFFF


@lru_cache(maxsize=100_000)
def partition_of(model: str, partitions: int) -> int:
    """The partition of a model's records among `partitions`."""
    return (murmur2(model.encode()) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """32 bits of the key, unsigned."""
    length = len(data)
    found = (_SEED ^ length) & _MASK
    for at in range(0, length - length % 4, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _M & _MASK
        word = (word ^ word >> _R) * _M & _MASK
        found = (found * _M & _MASK) ^ word
    rest = data[length - length % 4 :]
    if rest:
        found = (found ^ int.from_bytes(rest, "little")) * _M & _MASK
    found = (found ^ found >> 13) * _M & _MASK
    return found ^ found >> 15
