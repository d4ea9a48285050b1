"""Has the input changed? By window against a reference, and online, row by row.

A row method is a class with `PARAMS` (name to default), `make(scale, params)`, `update_many`,
`dump` to a state whose tag is the method's name and which carries its checksum, and `load` of it,
which refuses a damaged one. Its line below makes it known to monitor files, to the fold and to
checkpoints.
"""

from inferwatch.core.drift.adwin import Adwin, AdwinState
from inferwatch.core.drift.page_hinkley import PageHinkley, PageHinkleyState

WINDOW_METHODS = {
    "psi": 0.25,
    "ks": 0.2,
    "chisquare": 0.1,
    "jensenshannon": 0.2,
    "hellinger": 0.2,
    "wasserstein": 0.5,
    "total_variation": 0.2,
    "l_infinity": 0.1,
}
"""By name, as Evidently has them: from which size on `drift_share` counts a feature as drifted.

About what a shift by half a standard deviation gives, that of 0.25 for PSI.
"""
NUMBERS_ONLY = frozenset({"wasserstein"})
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
