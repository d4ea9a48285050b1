"""What to say where a monitor file names a metric that there is not: the likely one, and families.

There are about a hundred; a line of all their names is read by nobody.
"""

from collections.abc import Iterable

from inferwatch.config.document import meant, suggestion
from inferwatch.core.metrics import LABEL_METRICS

LISTED_MAX = 12
SHOWN = 3
PAGE = "docs/monitors.md#methods-and-metrics"


def fix(name: str, names: Iterable[str]) -> str:
    """ "did you mean …?", the families of `names`, and where all stand; few are simply named."""
    allowed = sorted(names)
    if len(allowed) <= LISTED_MAX:
        return suggestion(name, allowed)
    labelled = [one for one in allowed if one in LABEL_METRICS]
    others = [one for one in allowed if one not in LABEL_METRICS]
    families = list(dict.fromkeys(_family(one) for one in others))
    if labelled:
        families.append(f"figures on labels ({', '.join(labelled[:SHOWN])}, …)")
    return f"{meant(name, allowed)}there are {', '.join(families)}; all are in {PAGE}"


def _family(name: str) -> str:
    """`latency.*` for `latency.p99`."""
    family, dot, _ = name.rpartition(".")
    return f"{family}.*" if dot else name
