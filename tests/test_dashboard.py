"""The Grafana dashboard: it asks only for metrics and labels that the server has."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from test_layers import ROOT

from memories_mcp.observer import ApiRequest
from memories_mcp.server.http.app import http_app
from memories_mcp.server.tenants import Tenants
from memories_mcp.settings import Settings

DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8"))
SELECTOR = re.compile(r"([a-z_]+)\{([^}]*)\}")
OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that Prometheus adds."""


def served() -> dict[str, set[str]]:
    """The labels of each series of a server where everything has happened once."""
    settings = Settings(metrics=True)
    tenants = Tenants(settings, over_http=True)
    http_app(settings, tenants, "127.0.0.1")
    metrics = tenants.oversight.metrics
    assert metrics
    metrics.record_operation("tools/call", "search_videos", "", 1)
    metrics.record_request(ApiRequest(endpoint_class="search", error_type="", waited=0, seconds=1, sent=1, received=1))
    metrics.record_confirmation("delete_videos", "asked")
    metrics.record_spending("chat", "spent")
    metrics.record_response(200)
    return {sample.name: set(sample.labels) for family in metrics.registry.collect() for sample in family.samples}


def expressions() -> Iterator[str]:
    variables: list[Any] = DASHBOARD["templating"]["list"]
    yield from (variable["query"]["query"] for variable in variables if variable["type"] == "query")
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def test_every_metric_and_label_of_the_dashboard_exists() -> None:
    series, asked = served(), set[str]()
    for expression in expressions():
        names = SELECTOR.findall(expression) or [("memories_tenants", "")]
        grouped = {label for labels in re.findall(r"by \(([^)]*)\)", expression) for label in labels.split(", ")}
        for name, filters in names:
            asked.add(name)
            if name.startswith("process_") and sys.platform != "linux":
                continue
            assert name in series, expression
            labels = grouped | set(re.findall(r"(\w+)!?=", filters))
            assert labels <= series[name] | OF_PROMETHEUS, expression

    own = {name for name in series if not name.startswith("process_")}
    shown = {name.rsplit("_", 1)[0] if name.endswith(("_bucket", "_count", "_sum")) else name for name in asked}
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in own} <= shown


def test_the_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    panels = DASHBOARD["panels"]
    places = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) < 24
