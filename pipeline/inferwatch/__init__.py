"""inferwatch watches machine-learning models in production, on Kafka.

`Monitor` connects a model server; it is loaded on first use, so that importing the package costs a
server next to nothing.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["Monitor", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Monitor":
        from inferwatch.sdk.monitor import Monitor

        return Monitor
    raise AttributeError(f"module 'inferwatch' has no attribute '{name}'")
