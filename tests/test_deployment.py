"""The files of `deploy/` name settings, ports, paths and files that exist; `make team` runs and renders them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from memories_mcp.server.http.metrics import METRICS_PATH
from memories_mcp.server.http.middleware import HEALTH_PATH, READY_PATH
from memories_mcp.setting_values import FILE_SUFFIX
from memories_mcp.settings import Settings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
FILES = [ROOT / "Dockerfile", *sorted(path for path in DEPLOY.rglob("*") if path.is_file())]
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
REPLICAS = {name: service for name, service in COMPOSE["services"].items() if "MEMORIES_REPLICA" in str(service)}
PORT = "8000"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_variable_is_a_setting(path: Path) -> None:
    secret = {field.metadata["variable"]: field.metadata["secret"] for field in fields(Settings)}
    known = set(secret) | {f"{variable}{FILE_SUFFIX}" for variable, is_secret in secret.items() if is_secret}
    used = set(re.findall(r"MEMORIES_[A-Z_]*[A-Z]", path.read_text(encoding="utf-8")))

    assert used <= known


def test_secrets_are_files_everywhere() -> None:
    secrets = {field.metadata["variable"] for field in fields(Settings) if field.metadata["secret"]}
    values = yaml.safe_load(read("deploy/chart/values.yaml"))
    schema = json.loads(read("deploy/chart/values.schema.json"))["properties"]
    unit = read("deploy/memories-mcp.service")
    credentials = dict(re.findall(r"^LoadCredential=([\w-]+):(.*)$", unit, re.MULTILINE))

    for service in REPLICAS.values():
        # Redis has no password in Compose's own network.
        assert secrets & set(service["environment"]) == {"MEMORIES_REDIS_URL"}
        assert "@" not in service["environment"]["MEMORIES_REDIS_URL"]
        files = {value for name, value in service["environment"].items() if name.endswith(FILE_SUFFIX)}
        assert files == {f"/run/secrets/{name}" for name in service["secrets"]}
    assert set(COMPOSE["secrets"]) == set(COMPOSE["x-replica"]["secrets"])
    assert set(values["secretKeys"]) <= secrets == set(schema["secretKeys"]["propertyNames"]["enum"])
    assert secrets <= set(schema["settings"]["propertyNames"]["not"]["enum"])
    assert set(re.findall(r"=%d/([\w-]+)$", unit, re.MULTILINE)) == set(credentials)


def test_the_replicas_of_compose_are_those_of_nginx() -> None:
    replicas = read("deploy/nginx/replicas.conf")
    addresses = {
        f"{service['networks']['replicas']['ipv4_address']}:{PORT}": name for name, service in REPLICAS.items()
    }
    blocks = dict(re.findall(r"^upstream (\w+) \{\n(.*?)^\}", replicas, re.MULTILINE | re.DOTALL))
    servers = {name: re.findall(r"server (\S+) max_fails=0( backup)?;", block) for name, block in blocks.items()}

    assert {name: service["environment"]["MEMORIES_REPLICA"] for name, service in REPLICAS.items()} == {
        name: name for name in REPLICAS
    }
    assert {address for address, _ in servers.pop("memories")} == set(addresses)
    for upstream, listed in servers.items():
        own = [addresses[address] for address, backup in listed if not backup]
        assert [f"memories_{name}" for name in own] == [upstream]
        assert {address for address, _ in listed} == set(addresses)
        assert re.search(rf"^    {own[0]} +{upstream};$", replicas, re.MULTILINE)


def test_a_replica_has_time_to_stop() -> None:
    compose = COMPOSE["x-environment"]
    unit = read("deploy/memories-mcp.service")
    drain = float(compose["MEMORIES_DRAIN_SECONDS"])

    assert COMPOSE["x-replica"]["stop_grace_period"] == f"{drain + 10:.0f}s"
    drain = float(re.findall(r"MEMORIES_DRAIN_SECONDS=(\d+)", unit)[0])
    assert f"TimeoutStopSec={drain + 10:.0f}\n" in unit
    assert "add .Values.stopping.delaySeconds .Values.stopping.drainSeconds 10" in read(
        "deploy/chart/templates/deployment.yaml"
    )


def test_ports_and_paths_are_those_of_the_server() -> None:
    nginx, dockerfile = read("deploy/nginx.conf"), read("Dockerfile")
    deployment = read("deploy/chart/templates/deployment.yaml")
    command = json.loads(re.findall(r"^CMD (.*)$", dockerfile, re.MULTILINE)[0])

    assert command == COMPOSE["x-replica"]["command"] == json.loads(re.findall(r"args: (\[.*\])", deployment)[0])
    assert command[-1] == PORT
    assert f"containerPort: {PORT}" in deployment
    assert re.findall(r"httpGet: \{path: (\S+),", deployment) == [READY_PATH, HEALTH_PATH, HEALTH_PATH]
    assert f"127.0.0.1:{PORT}{READY_PATH}" in COMPOSE["x-replica"]["healthcheck"]["test"][-1]
    hidden = re.findall(r"location ~ (\S+) \{\n\s+return 404;", nginx)[0]
    assert [bool(re.search(hidden, path)) for path in (HEALTH_PATH, f"{READY_PATH}/", METRICS_PATH, "/mcp")] == [
        True, True, True, False,
    ]  # fmt: skip
    assert f"path: {METRICS_PATH}\n" in read("deploy/chart/templates/servicemonitor.yaml")
    assert "non_idempotent" not in re.sub(r"#.*", "", nginx)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_takes_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    unit = tmp_path / "memories-mcp.service"
    text = read("deploy/memories-mcp.service").replace("/opt/memories-mcp/bin/memories-mcp", sys.executable)
    unit.write_text(text, encoding="utf-8")
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)]
    security = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (verified.returncode, verified.stderr) == (0, "")
    assert security.returncode == 0, security.stdout[-200:]


def test_the_image_brings_no_installer_and_can_be_pinned() -> None:
    build, final = re.split(r"^FROM \$\{BASE\}$", read("Dockerfile"), flags=re.MULTILINE)

    assert "venv --without-pip /app" in build
    assert "pip uninstall" in final
    assert "ensurepip" in final
    assert "ARG BASE=python:3.13-slim\nFROM ${BASE} AS build" in build
    assert "@sha256:" in build
    assert re.findall(r"org\.opencontainers\.image\.(\w+)=", final) == [
        "title", "description", "licenses", "version", "revision", "source",
    ]  # fmt: skip


def test_the_chart_has_the_version_of_the_package() -> None:
    chart = yaml.safe_load(read("deploy/chart/Chart.yaml"))
    version = re.findall(r'^version = "(.*)"$', read("pyproject.toml"), re.MULTILINE)[0]

    assert (chart["version"], chart["appVersion"]) == (version, version)
