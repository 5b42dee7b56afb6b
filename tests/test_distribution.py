"""The distribution: one version everywhere, valid manifests, a wheel that works on its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib.metadata import Distribution, distribution, version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from packaging.requirements import Requirement

from memories_mcp.operations import OPERATIONS
from memories_mcp.operations.viewer import viewer
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
    versions = {
        "installed": version("memories-mcp"),
        "server.json": data("server.json")["version"],
        "its package": data("server.json")["packages"][0]["version"],
        "bundle": data("mcpb/manifest.json")["version"],
        "plugin": data("plugin/.claude-plugin/plugin.json")["version"],
        "changelog": changelog[1],
    }

    assert versions == dict.fromkeys(versions, VERSION)


def test_the_owner_is_the_same_everywhere() -> None:
    places = ["server.json", "mcpb/manifest.json", "plugin/.claude-plugin/plugin.json", "README.md", "pyproject.toml"]
    for place in places:
        text = (ROOT / place).read_text(encoding="utf-8")
        owners = set(re.findall(r"(?:github\.com/|io\.github\.)([\w-]+)/memories-mcp", text))
        assert owners == {OWNER}, place


def test_server_json_describes_the_start_and_the_settings() -> None:
    server = data("server.json")
    [package] = server["packages"]
    variables = {variable["name"]: variable for variable in package["environmentVariables"]}

    assert server["name"] == f"io.github.{OWNER}/memories-mcp"
    assert len(server["description"]) <= 100
    assert (package["registryType"], package["identifier"]) == ("pypi", "memories-mcp")
    assert package["transport"] == {"type": "stdio"}
    assert variables["MEMORIES_API_KEY"]["isSecret"] is True
    assert "default" not in variables["MEMORIES_API_KEY"]
    assert f"mcp-name: {server['name']}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.skipif(not SHARED_SCHEMA.is_file(), reason="the registry's schema is not part of the project")
def test_server_json_is_valid_by_the_schema_of_the_registry() -> None:
    schema = json.loads(SHARED_SCHEMA.read_text(encoding="utf-8"))
    problems = [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(data("server.json"))]  # pyright: ignore[reportUnknownMemberType] -- jsonschema is partly typed

    assert problems == []
    assert data("server.json")["$schema"] == schema["$id"]


def test_the_bundle_asks_for_settings_of_the_server() -> None:
    manifest = data("mcpb/manifest.json")
    config, questions = manifest["server"]["mcp_config"], manifest["user_config"]
    used = {name for value in config["env"].values() for name in re.findall(r"\$\{user_config\.(\w+)\}", value)}

    assert used == set(questions)
    assert (manifest["manifest_version"], manifest["server"]["type"]) == ("0.4", "uv")
    assert questions["api_key"]["sensitive"] is True
    assert questions["files_root"]["type"] == "directory"
    assert (ROOT / manifest["server"]["entry_point"]).is_file()
    settings = Settings.from_environment(config["env"])
    assert (settings.api_key, settings.files_root, settings.sandbox) == ("", None, False)


def test_the_plugin_starts_the_server_and_contains_its_skill() -> None:
    entry = data("plugin/.mcp.json")["mcpServers"]["memories"]
    skill = (ROOT / "plugin/skills/memories/SKILL.md").read_text(encoding="utf-8")
    names = set(re.findall(r"`([a-z]+_[a-z_]+)`", skill))

    assert entry["command"] == "uvx"
    assert entry["env"]["MEMORIES_API_KEY"] == "${MEMORIES_API_KEY:-}"
    assert re.match(r"---\nname: memories\ndescription: .{50,1000}\n---\n", skill)
    parameters = {name for operation in OPERATIONS for name in operation.input.model_fields}
    assert names <= {operation.name for operation in OPERATIONS} | parameters
    assert data(".claude-plugin/marketplace.json")["plugins"][0]["source"] == "./plugin"


def test_the_image_runs_without_root_and_has_a_health_check() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    command = json.loads("[" + re.search(r"HEALTHCHECK.*?CMD \[(.*?)\]", dockerfile, re.DOTALL)[1] + "]")  # type: ignore[index]

    assert re.search(r"^USER \d+$", dockerfile, re.MULTILINE)
    assert "compileall" in dockerfile
    refused = subprocess.run([sys.executable, *command[1:]], capture_output=True, timeout=60)
    assert refused.returncode != 0  # no server runs here


def test_the_workflow_and_the_local_run_call_the_same_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    called = re.findall(r"run: make ([\w-]+)", (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    lists = dict(re.findall(r"^([a-z]+): CHECKS = (.*)$", makefile, re.MULTILINE))

    assert set(called) == {"ci", "check", "test-lowest", "test-newest"}
    assert re.findall(r"^make (.*)$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE) == ["ci"]
    assert set(called) <= targets
    assert set(lists["check"].split()) < set(lists["ci"].split()) <= targets
    assert lists["ci"].split()[-1] == "test"  # the summary of pytest ends the output


def test_the_workflow_pins_each_action_to_a_commit() -> None:
    actions = re.findall(r"uses: (.*)", (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))

    assert len(actions) == 5
    assert [action for action in actions if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)] == []


def test_the_readme_is_short_enough_to_read() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_every_dependency_has_bounds_on_both_sides() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    for requirement in [*PROJECT["project"]["dependencies"], *extras["langchain"], *extras["adapter"]]:
        assert re.fullmatch(r"[\w-]+(\[\w+\])?>=[\d.]+,<\d+", requirement), requirement


# ---- the wheel


def build_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "uv", "build", "-q", "--wheel", "-o", str(folder), str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    [built] = folder.glob("*.whl")
    return built


def dependencies_of(wheel: Path) -> dict[str, Distribution]:
    """What an installation of the wheel without extras brings along, by the metadata of what is installed here."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"memories_mcp-{VERSION}.dist-info/METADATA").decode()
    needed = dict[str, Distribution]()
    pending = [(line, "") for line in re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)]
    visited = set[tuple[str, str]]()
    while pending:
        line, extra = pending.pop()
        requirement = Requirement(line)
        if (requirement.marker and not requirement.marker.evaluate({"extra": extra})) or (line, extra) in visited:
            continue
        visited.add((line, extra))
        installed = needed.setdefault(requirement.name.lower(), distribution(requirement.name))
        pending += [(other, name) for other in installed.requires or () for name in ("", *requirement.extras)]
    return needed


def install_wheel(wheel: Path, folder: Path) -> Path:
    """Return the programs of an environment with the wheel and its dependencies, and nothing else of this one."""
    venv.create(folder / "env", symlinks=os.name != "nt")
    path = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    python = str(path / "python")
    uv = [sys.executable, "-m", "uv", "pip"]  # pip takes ten times as long
    command = [*uv, "install", "-q", "--offline", "--no-cache", "--no-deps", "--python", python, str(wheel)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    [packages] = {Path(file).parent for file in (folder / "env").rglob("memories_mcp/__init__.py")}
    for dependency in dependencies_of(wheel).values():
        for file in dependency.files or ():
            target = packages.parent / file
            source = Path(str(dependency.locate_file(file)))
            if ".." not in file.parts and source.exists() and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)  # with its time, by which what is compiled is known to be current
    checked = subprocess.run([*uv, "check", "--python", python], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr
    return path


def check_content(wheel: Path) -> None:
    """Check that the wheel holds the packages and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        sizes = {member.filename: member.file_size for member in archive.infolist()}
        texts = {name: archive.read(name) for name in sizes}

    assert {name.split("/")[0] for name in sizes} == {
        "memories_mcp", "langchain_tools", f"memories_mcp-{VERSION}.dist-info"
    }  # fmt: skip
    assert max(sizes.values()) < 1_000_000
    assert "memories_mcp/py.typed" in sizes
    assert "langchain_tools/py.typed" in sizes
    definitions = {Path(name).stem for name in sizes if name.startswith("memories_mcp/definitions/")}
    assert definitions == {operation.name for operation in (*OPERATIONS, *viewer.operations)}
    assert "memories_mcp/server/viewer/evidence.html" in sizes
    assert not [name for name in sizes if "__pycache__" in name or name.endswith((".env", ".pem", ".key"))]
    for name, text in texts.items():
        assert not re.search(rb"sk-[A-Za-z0-9]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY", text), name
        assert str(ROOT).encode() not in text, name


def test_the_wheel_holds_the_packages_alone_and_runs_the_demo_without_this_folder(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path / "wheel")
    check_content(wheel)
    programs = install_wheel(wheel, tmp_path)
    folder = tmp_path / "current"
    folder.mkdir()
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MEMORIES_", "PYTHON"))}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(programs / "memories-mcp"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=variables, cwd=folder, timeout=120)

    demo = run("demo")

    assert demo.returncode == 0, demo.stderr
    assert "twenty-four euros" in demo.stdout
    assert 'pip install "memories-mcp[langchain]"' in demo.stdout
    assert run("doctor").returncode == 1
    assert list(folder.iterdir()) == []
