"""The rows that both sides of the throughput benchmark are fed: the same, in two forms."""

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferwatch.records.batch import InferenceBatch, encode
from inferwatch.records.columns import Float32Block, Float64Block, Numbers, pack_texts
from inferwatch.records.raw import JSON, MSGPACK, headers

FEATURES = 20
BATCH_ROWS = 500
EMITTER = "a1b2c3-12345-9f8e7d6c"  # as long as the SDK's own
NAMES = [f"feature_{number:02d}" for number in range(500)]
Record = tuple[bytes, dict[str, bytes]]


@dataclass(frozen=True)
class Chunk:
    """Rows of one model, a row a millisecond, as many as a full batch of the SDK or fewer."""

    model: str
    seq: int
    time_ms: NDArray[np.int64]
    numeric: NDArray[np.float32]  # [features, n]
    score: NDArray[np.float64]
    latency_ms: NDArray[np.float32]

    def ids(self) -> list[str]:
        """Prediction ids, in the SDK's form."""
        first = self.seq * BATCH_ROWS
        return [f"{EMITTER}-{first + row}" for row in range(len(self.score))]


def chunk(
    model: str, seq: int, first_ms: int, n: int = BATCH_ROWS, features: int = FEATURES
) -> Chunk:
    """The `seq`-th rows of a model: normal features, no drift, no failure. Equal on every call."""
    chance = np.random.default_rng([*model.encode(), seq])
    return Chunk(
        model,
        seq,
        first_ms + np.arange(n, dtype=np.int64),
        chance.normal(size=(features, n)).astype(np.float32),
        chance.random(n),
        chance.lognormal(2.0, 0.5, n).astype(np.float32),
    )


def batch(rows: Chunk) -> list[Record]:
    """One columnar record."""
    body = InferenceBatch(
        model=rows.model,
        version="1",
        emitter=EMITTER,
        seq=rows.seq,
        rows=len(rows.score),
        emitted=(rows.seq + 1) * BATCH_ROWS,
        time_ms=rows.time_ms.astype("<i8").tobytes(),
        ids=pack_texts(rows.ids()),
        numeric=Float32Block(NAMES[: len(rows.numeric)], rows.numeric.astype("<f4").tobytes()),
        prediction=Numbers((rows.score > 0.5).astype("<f8").tobytes()),
        scores=Float64Block(["score"], rows.score.astype("<f8").tobytes()),
        latency_ms=rows.latency_ms.astype("<f4").tobytes(),
    )
    return [(encode(body), _described(rows, MSGPACK))]


def events(rows: Chunk) -> list[Record]:
    """A JSON event for each row."""
    described = _described(rows, JSON)
    columns = zip(
        rows.ids(),
        rows.time_ms.tolist(),
        rows.numeric.T.tolist(),
        rows.score.tolist(),
        rows.latency_ms.tolist(),
        strict=True,
    )
    return [
        (
            msgspec.json.encode(
                {
                    "model": rows.model,
                    "version": "1",
                    "prediction_id": id_,
                    "timestamp": time_ms,
                    "features": dict(zip(NAMES, features, strict=False)),
                    "prediction": int(score > 0.5),
                    "proba": score,
                    "latency_ms": latency_ms,
                }
            ),
            described,
        )
        for id_, time_ms, features, score, latency_ms in columns
    ]


def _described(rows: Chunk, content_type: str) -> dict[str, bytes]:
    id_ = f"{EMITTER}-{rows.seq}"
    return headers("inference", id=id_, source="benchmark", time="", content_type=content_type)
