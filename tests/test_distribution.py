"""What people install: one version everywhere, manifests that their readers accept, a wheel that works by itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from memories_mcp.operations import OPERATIONS
from memories_mcp.settings import Settings

ROOT = Path(__file__).parents[1]
SHARED_SCHEMA = ROOT.parent / "shared/checks/server.schema.json"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
VERSION: str = PROJECT["project"]["version"]
OWNER: str = PROJECT["project"]["urls"]["Homepage"].split("/")[-2]


def data(name: str) -> dict[str, Any]:
    return json.loads((ROOT / name).read_text(encoding="utf-8"))


def test_the_version_is_the_same_everywhere() -> None:
    changelog = re.search(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert changelog
    told = {
        "installed": version("memories-mcp"),
        "server.json": data("server.json")["version"],
        "its package": data("server.json")["packages"][0]["version"],
        "bundle": data("mcpb/manifest.json")["version"],
        "plugin": data("plugin/.claude-plugin/plugin.json")["version"],
        "changelog": changelog[1],
    }

    assert told == dict.fromkeys(told, VERSION)


def test_the_owner_is_the_one_of_the_project_wherever_it_stands() -> None:
    places = ["server.json", "mcpb/manifest.json", "plugin/.claude-plugin/plugin.json", "README.md", "pyproject.toml"]
    for place in places:
        text = (ROOT / place).read_text(encoding="utf-8")
        found = set(re.findall(r"(?:github\.com/|io\.github\.)([\w-]+)/memories-mcp", text))
        assert found == {OWNER}, place


def test_server_json_tells_the_registry_how_to_start_it_and_what_can_be_set() -> None:
    server = data("server.json")
    [package] = server["packages"]
    variables = {each["name"]: each for each in package["environmentVariables"]}

    assert server["name"] == f"io.github.{OWNER}/memories-mcp"
    assert len(server["description"]) <= 100
    assert (package["registryType"], package["identifier"]) == ("pypi", "memories-mcp")
    assert package["transport"] == {"type": "stdio"}
    assert variables["MEMORIES_API_KEY"]["isSecret"] is True
    assert "default" not in variables["MEMORIES_API_KEY"]
    assert f"mcp-name: {server['name']}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(not SHARED_SCHEMA.is_file(), reason="the registry's schema is not ours and lies beside the project")
def test_server_json_is_valid_by_the_schema_of_the_registry() -> None:
    schema = json.loads(SHARED_SCHEMA.read_text(encoding="utf-8"))
    problems = [each.message for each in jsonschema.Draft7Validator(schema).iter_errors(data("server.json"))]  # pyright: ignore[reportUnknownMemberType] -- jsonschema is partly typed

    assert problems == []
    assert data("server.json")["$schema"] == schema["$id"]


def test_the_bundle_asks_for_what_the_server_reads() -> None:
    manifest = data("mcpb/manifest.json")
    config, asked = manifest["server"]["mcp_config"], manifest["user_config"]
    used = {name for value in config["env"].values() for name in re.findall(r"\$\{user_config\.(\w+)\}", value)}

    assert used == set(asked)
    assert (manifest["manifest_version"], manifest["server"]["type"]) == ("0.4", "uv")
    assert asked["api_key"]["sensitive"] is True
    assert asked["files_root"]["type"] == "directory"
    assert (ROOT / manifest["server"]["entry_point"]).is_file()
    left_empty = Settings.from_environment(config["env"])
    assert (left_empty.api_key, left_empty.files_root, left_empty.sandbox) == ("", None, False)


def test_the_plugin_starts_the_server_and_brings_its_skill() -> None:
    entry = data("plugin/.mcp.json")["mcpServers"]["memories"]
    skill = (ROOT / "plugin/skills/memories/SKILL.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z]+_[a-z_]+)`", skill))

    assert entry["command"] == "uvx"
    assert entry["env"]["MEMORIES_API_KEY"] == "${MEMORIES_API_KEY:-}"
    assert re.match(r"---\nname: memories\ndescription: .{50,1000}\n---\n", skill)
    parameters = {name for each in OPERATIONS for name in each.input.model_fields}
    assert named <= {each.name for each in OPERATIONS} | parameters
    assert data(".claude-plugin/marketplace.json")["plugins"][0]["source"] == "./plugin"


def test_the_image_serves_as_nobody_and_is_looked_after() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    command = json.loads("[" + re.search(r"HEALTHCHECK.*?CMD \[(.*?)\]", dockerfile, re.DOTALL)[1] + "]")  # type: ignore[index]

    assert re.search(r"^USER \d+$", dockerfile, re.MULTILINE)
    assert "compileall" in dockerfile
    refused = subprocess.run([sys.executable, *command[1:]], capture_output=True, timeout=60)
    assert refused.returncode != 0  # nobody serves here


def test_the_workflow_calls_the_recipes_that_there_are() -> None:
    called = re.findall(r"run: make ([\w-]+)", (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    there = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)

    assert {"setup", "lint", "types", "test", "test-lowest"} <= set(called) <= set(there)


def test_the_readme_is_short_enough_to_read() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_importing_the_packages_says_nothing() -> None:
    command = [sys.executable, "-W", "error", "-c", "import memories_mcp, langchain_tools"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_every_dependency_has_bounds_on_both_sides() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    for each in [*PROJECT["project"]["dependencies"], *extras["langchain"], *extras["adapter"]]:
        assert re.fullmatch(r"[\w-]+(\[\w+\])?>=[\d.]+,<\d+", each), each


# ---- the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--disable-pip-version-check",
        "-w",
        str(folder),
        str(ROOT),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and what it asks for, and nothing of this folder."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "env", with_pip=True)
    programs = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    command = [str(programs / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    command += ["-c", str(ROOT / "constraints.txt"), str(wheel)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return programs


def test_nothing_is_in_the_wheel_that_should_not_be_and_nothing_is_missing(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = {each.filename: each.file_size for each in archive.infolist()}
        texts = {name: archive.read(name) for name in sizes}

    assert {name.split("/")[0] for name in sizes} == {
        "memories_mcp", "langchain_tools", f"memories_mcp-{VERSION}.dist-info"
    }  # fmt: skip
    assert max(sizes.values()) < 1_000_000
    assert "memories_mcp/py.typed" in sizes
    assert "langchain_tools/py.typed" in sizes
    definitions = {Path(name).stem for name in sizes if name.startswith("memories_mcp/definitions/")}
    assert definitions == {operation.name for operation in OPERATIONS}
    assert not [name for name in sizes if "__pycache__" in name or name.endswith((".env", ".pem", ".key"))]
    for name, text in texts.items():
        assert not re.search(rb"sk-[A-Za-z0-9]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY", text), name
        assert str(ROOT).encode() not in text, name


def test_the_wheel_runs_the_demo_and_a_call_without_this_folder(elsewhere: Path, tmp_path: Path) -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MEMORIES_", "PYTHON"))}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(elsewhere / "memories-mcp"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=variables, cwd=tmp_path, timeout=120)

    demo = run("demo")
    call = run("--sandbox", "call", "search_videos", '{"query": "price of the Team plan"}', "--json")

    assert demo.returncode == 0, demo.stderr
    assert "twenty-four euros" in demo.stdout
    assert 'pip install "memories-mcp[langchain]"' in demo.stdout
    assert call.returncode == 0, call.stderr
    assert json.loads(call.stdout)["moments"]
    assert run("doctor").returncode == 1
    assert list(tmp_path.iterdir()) == []
