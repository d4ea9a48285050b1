"""Has the input changed? By window against a reference, and online, row by row.

A row method is a class with `PARAMS` (name to default), `make(scale, params)`, `update_many`,
`dump` to a state whose tag is the method's name and which carries its checksum, and `load` of it,
which refuses a damaged one. Its line below makes it known to monitor files, to the fold and to
checkpoints.
"""

from inferwatch.core.drift.adwin import Adwin, AdwinState
from inferwatch.core.drift.page_hinkley import PageHinkley, PageHinkleyState

WINDOW_METHODS = frozenset({"psi", "ks", "chisquare"})
ROW_METHODS: dict[str, type[Adwin] | type[PageHinkley]] = {
    "adwin": Adwin,
    "page_hinkley": PageHinkley,
}
Detector = Adwin | PageHinkley
DetectorState = AdwinState | PageHinkleyState


def load(state: DetectorState) -> Detector:
    """The detector that was dumped.

    :raises ValueError: the state is damaged or of another library version.
    """
    return ROW_METHODS[str(state.__struct_config__.tag)].load(state)  # type: ignore[arg-type]
