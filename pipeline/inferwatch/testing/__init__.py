"""Tools to test what you build on inferwatch; our own tests use the same."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inferwatch.testing.conformance import check_detector

__all__ = ["check_detector"]


def __getattr__(name: str) -> Any:
    """Load the check at first use, for it needs numpy and the other tools do not."""
    if name != "check_detector":
        raise AttributeError(name)
    from inferwatch.testing.conformance import check_detector

    return check_detector
