"""Grafana's dashboards as plain dictionaries.

`scripts/telemetry.py` writes them to deploy/grafana/dashboards; nothing is edited there by hand.
"""

from collections.abc import Sequence
from typing import Any

from panels import FLEET, MODEL, PIPELINE, Panel

SOURCE = {"type": "prometheus", "uid": "prometheus"}
COLUMNS, HEIGHT = 24, 8
Json = dict[str, Any]


def dashboards() -> dict[str, Json]:
    """Every dashboard by its file name."""
    model = {
        "name": "model",
        "label": "Model",
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": "label_values(inferwatch_model_rows, model)", "refId": "model"},
        "refresh": 2,
        "sort": 1,
        "hide": 0,
        "multi": False,
        "includeAll": False,
    }
    return {
        "fleet.json": _dashboard("inferwatch-fleet", "inferwatch: fleet", FLEET),
        "model.json": _dashboard("inferwatch-model", "inferwatch: one model", MODEL, [model]),
        "pipeline.json": _dashboard("inferwatch-pipeline", "inferwatch: pipeline", PIPELINE),
    }


def _dashboard(
    uid: str, title: str, panels: Sequence[Panel], variables: Sequence[Json] = ()
) -> Json:
    return {
        "uid": uid,
        "title": title,
        "tags": ["inferwatch"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": list(variables)},
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards",
                "tags": ["inferwatch"],
                "title": "inferwatch",
                "asDropdown": True,
            }
        ],
        "panels": _placed(panels),
    }


def _placed(panels: Sequence[Panel]) -> list[Json]:
    """Panels from left to right, a new row where one is full."""
    found, x, y, height = [], 0, 0, 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > COLUMNS:
            x, y = 0, y + height
        height = HEIGHT // 2 if panel.kind == "stat" else HEIGHT
        place = {"x": x, "y": y, "w": panel.width, "h": height}
        found.append(_panel(number, panel, place))
        x += panel.width
    return found


def _panel(number: int, panel: Panel, place: Json) -> Json:
    now = panel.kind != "timeseries"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + at),
                "datasource": SOURCE,
                "expr": query,
                "legendFormat": legend or "__auto",
                "instant": now,
                "range": not now,
                "exemplar": not now and "_bucket" in query,
                **({"format": "table"} if panel.kind == "table" else {}),
            }
            for at, (query, legend) in enumerate(panel.queries)
        ],
    }
