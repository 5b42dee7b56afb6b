"""Lints what only a cluster or Docker can run: the chart by Helm and Kubernetes' schemas, compose.yaml by its own.

`make team` runs this program in an environment of its own, with the packages of `manifests.txt`. Prints a line for each
problem, and the number of checked documents last.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

# They are in the other environment only, and without types.
compose_spec: Any = importlib.import_module("compose_spec")
helm_python: Any = importlib.import_module("helm_python")
kubernetes_validate: Any = importlib.import_module("kubernetes_validate")

FOLDER = Path(__file__).parents[2] / "deploy"
LEAST: dict[str, Any] = {"existingSecret": "memories", "image": {"repository": "registry.example.com/memories-mcp"}}
MOST: dict[str, Any] = LEAST | {
    "image": {"repository": "registry.example.com/memories-mcp", "digest": f"sha256:{'0' * 64}"},
    "imagePullSecrets": [{"name": "registry"}],
    "autoscaling": {"enabled": True},
    "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "tls"},
    "networkPolicy": {
        "from": [{"namespaceSelector": {"matchLabels": {"name": "ingress"}}}],
        "egress": [{"ports": [{"port": 8443, "protocol": "TCP"}]}],
    },
    "extraVolumes": [{"name": "more", "configMap": {"name": "more"}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
    "podAnnotations": {"a": "b"},
    "metrics": {"enabled": True, "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}},
    "secretKeys": {"MEMORIES_HTTP_TOKEN": None, "MEMORIES_REDIS_URL": "redis-url"},
    "nodeSelector": {"a": "b"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
}
LEAST_OPTIONS: dict[str, Any] = LEAST | {
    name: {"enabled": False} for name in ("podDisruptionBudget", "networkPolicy", "affinity")
}
REFUSED: list[dict[str, Any]] = [
    {},
    {"existingSecret": "memories"},
    LEAST | {"settings": {"MEMORIES_API_KEY": "sk-in-the-values"}},
    LEAST | {"replicas": 0},
]
VERSIONS = ("1.27", "1.37")


def rendered(chart: Any, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the documents of the chart."""
    manifests = chart.render(values, name="team", namespace="mcp")
    return [document for text in manifests.values() for document in yaml.safe_load_all(text) if document]


def problems_of(documents: list[dict[str, Any]]) -> Iterator[str]:
    """Check documents with the strict schemas of the oldest and of the newest Kubernetes."""
    kinds = {document["kind"]: document for document in documents}
    for document in documents:
        if document["kind"] == "ServiceMonitor":  # not Kubernetes' own; it must find the service and its port
            service, endpoints = kinds["Service"], document["spec"]["endpoints"]
            if not document["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items():
                yield "the ServiceMonitor selects another service"
            if {endpoint["port"] for endpoint in endpoints} - {port["name"] for port in service["spec"]["ports"]}:
                yield "the ServiceMonitor names a port that the service lacks"
            continue
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except Exception as error:  # the package has a class for each kind of problem
                yield f"{document.get('kind')} in Kubernetes {version}: {str(error).partition(chr(10))[0]}"


def main() -> int:
    """Check the chart and compose.yaml."""
    problems: list[str] = []
    count = 0
    path = FOLDER / "chart"
    for message in helm_python.lint(str(path), LEAST, strict=True)["messages"]:
        if message["severity"] > 1:
            problems.append(f"helm lint: {message['path']}: {message['error']}")
    with helm_python.Chart.load(str(path)) as chart:
        for values in (LEAST, MOST, LEAST_OPTIONS):
            chart.validate_schema(values)
            documents = rendered(chart, values)
            problems += problems_of(documents)
            count += len(documents)
        for values in REFUSED:
            try:
                chart.validate_schema(values)
                rendered(chart, values)
            except helm_python.HelmError:
                continue
            problems.append(f"the chart takes {values}")
    try:
        compose = yaml.safe_load(
            (FOLDER / "compose.yaml").read_text(encoding="utf-8")
        )  # the other reader knows no `<<`
        compose_spec.PyCompose.from_yaml(yaml.safe_dump(compose)).validate()
    except ValueError as error:
        problems.append(f"compose.yaml: {error}")
    sys.stdout.write("\n".join([*problems, f"{count} documents of the chart, and compose.yaml"]) + "\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
