"""A model's state as bytes and back: msgpack with arrays inside, no pickle.

The bytes carry a format number; an older one is migrated here, a newer one is refused.
"""

from typing import Any, get_origin

import msgspec
import numpy as np

from inferwatch.core.model import FORMAT, Model, ModelState
from inferwatch.core.reference import Values
from inferwatch.errors import ConfigError


class _Head(msgspec.Struct):
    format: int


def _encode(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        return [little.dtype.str, list(little.shape), little.tobytes()]
    raise TypeError(f"state cannot hold {type(value).__name__}")


def _decode(kind: Any, value: Any) -> Any:
    if get_origin(kind) is np.ndarray or kind is np.ndarray:
        dtype, shape, data = value
        return np.frombuffer(data, dtype).reshape(shape).copy()
    raise TypeError(f"state cannot hold {kind}")


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode)
_decoder = msgspec.msgpack.Decoder(ModelState, dec_hook=_decode)
_head = msgspec.msgpack.Decoder(_Head)


def dump(model: Model) -> bytes:
    """The whole state. Equal states give equal bytes."""
    model.dump_detectors()
    return _encoder.encode(model.state)


def load(data: bytes, values: dict[str, Values] | None = None) -> Model:
    """The model as it was dumped.

    :raises ConfigError: a newer inferwatch wrote it.
    :raises ValueError: the bytes are damaged.
    """
    try:
        written = _head.decode(data).format
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ValueError(f"a model's state cannot be read: {error}") from None
    if written > FORMAT:
        raise ConfigError(
            f"the state has format {written}, this version reads up to {FORMAT}",
            fix="start the version that wrote it, or a newer one",
        )
    try:
        return Model(_decoder.decode(data), values or {})
    except (msgspec.DecodeError, msgspec.ValidationError, TypeError) as error:
        raise ValueError(f"a model's state cannot be read: {error}") from None
