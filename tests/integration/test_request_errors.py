"""Workers that meet one unexpected error: twelve of 54; all by `python scripts/chaos.py f08`."""

import pytest
import request_errors

pytestmark = [pytest.mark.slow, pytest.mark.processes, pytest.mark.timeout(400)]


def test_one_unexpected_error_is_survived_or_ends_the_worker(tmp_path):
    """After each error all is folded, by the worker that met it or by the one after it: none is
    alive and idle.
    """
    found = request_errors.outcomes(request_errors.IN_CI, tmp_path)
    assert [line for line in found if line.startswith("FAILED")] == []
