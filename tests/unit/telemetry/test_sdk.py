"""The SDK's counters on a model server's own /metrics."""

import gc

from prometheus_client import CollectorRegistry

from inferwatch import Monitor
from inferwatch.sdk.buffer import Drop
from inferwatch.telemetry import sdk
from inferwatch.telemetry.catalogue import OTHER


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    """One sample."""
    return registry.get_sample_value(f"inferwatch_sdk_{name}", labels)


def dropped(registry: CollectorRegistry, model: str) -> float:
    """Rows of a model that were given up, whatever the reason."""
    found = [value(registry, "dropped_total", model=model, reason=one.value) for one in Drop]
    return sum(one or 0.0 for one in found)


def closed(model: str, rows: int) -> Monitor:
    """A monitor that has dropped `rows` rows, because it was closed."""
    from inferwatch.connection import Connection

    monitor = Monitor(model, "1", connection=Connection("127.0.0.1:1"))
    monitor.close(0)
    for _ in range(rows):
        monitor.log(prediction=1)
    return monitor


def test_a_monitor_s_rows_are_shown_and_add_up():
    """Emitted = delivered + dropped + pending, by model, with the reason of each drop."""
    registry = CollectorRegistry()
    sdk.register(registry)
    kept = [closed("team/shown", 3), closed("team/shown", 4)]
    assert value(registry, "emitted_total", model="team/shown") == 7
    assert value(registry, "dropped_total", model="team/shown", reason="closed") == 7
    assert value(registry, "delivered_total", model="team/shown") == 0
    assert value(registry, "pending", model="team/shown") == 0
    assert len(kept) == 2


def test_a_counter_does_not_fall_with_a_monitor_that_goes():
    """What a collected monitor had counted stays: Prometheus takes a fall for a restart."""
    registry = CollectorRegistry()
    sdk.register(registry)
    kept, gone = closed("team/falls", 3), closed("team/falls", 4)
    assert value(registry, "emitted_total", model="team/falls") == 7
    del gone
    gc.collect()
    assert value(registry, "emitted_total", model="team/falls") == 7
    kept.log(prediction=1)
    assert value(registry, "emitted_total", model="team/falls") == 8


def test_more_models_than_the_cap_share_one_label():
    """A process with a monitor a customer does not make a series a customer."""
    registry = CollectorRegistry()
    sdk.register(registry, models_max=2)
    kept = [closed(f"team/many{number}", 1) for number in range(9)]
    families = {family.name: family for family in registry.collect()}
    models = {one.labels["model"] for one in families["inferwatch_sdk_emitted"].samples}
    assert len(models) == 3 and OTHER in models
    assert len(kept) == 9
