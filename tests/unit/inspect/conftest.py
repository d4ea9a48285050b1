"""What tests of inspectors share."""

import pytest

from inferwatch.inspect import domain_classifier, isolation_forest, random_forest


@pytest.fixture
def few_trees(monkeypatch):
    """Forests of a tenth of their trees, for claims in which their number has no part."""
    for module in (domain_classifier, isolation_forest, random_forest):
        monkeypatch.setattr(module, "TREES", module.TREES // 10)
