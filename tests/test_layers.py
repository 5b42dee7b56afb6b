"""Who may import whom: the lines of the architecture, held by the imports themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [*(ROOT / "memories_mcp").rglob("*.py"), *(ROOT / "langchain_tools").rglob("*.py")]


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def importers(name: str) -> set[str]:
    return {
        module(path) for path in FILES if any(each == name or each.startswith(f"{name}.") for each in imported(path))
    }


def below(prefix: str, modules: set[str]) -> bool:
    return all(each == prefix or each.startswith(f"{prefix}.") for each in modules)


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("mcp", ["memories_mcp.server", "memories_mcp.demo"]),
        ("mcp_types", ["memories_mcp.server", "memories_mcp.demo"]),
        ("httpx2", ["memories_mcp.api"]),
        ("langchain_core", ["langchain_tools"]),
        ("starlette", ["memories_mcp.sandbox", "memories_mcp.server"]),
        ("uvicorn", ["memories_mcp.sandbox", "memories_mcp.server"]),
        ("sqlite3", ["memories_mcp.sandbox"]),
        ("rich", ["memories_mcp.cli", "memories_mcp.terminal", "memories_mcp.demo"]),
        ("opentelemetry", ["memories_mcp.api"]),
        ("pythonjsonlogger", ["memories_mcp.logs"]),
        ("os.environ", []),
    ],
)
def test_a_library_is_imported_only_at_home(library: str, homes: list[str]) -> None:
    strangers = {each for each in importers(library) if not any(below(home, {each}) for home in homes)}

    assert strangers == set()


def test_the_environment_is_read_in_one_place() -> None:
    readers = {module(path) for path in FILES if "os.environ" in path.read_text(encoding="utf-8")}

    assert readers == {"memories_mcp.settings", "memories_mcp.demo"}  # the demo passes it on without ours


# What a layer may import of ours; every layer may import errors.
ALLOWED = {
    "memories_mcp.errors": [],
    "memories_mcp.settings": [],
    "memories_mcp.wire": [],
    "memories_mcp.schema": [],
    "memories_mcp.files": [],
    "memories_mcp.ids": [],
    "memories_mcp.uris": [],
    "memories_mcp.logs": [],
    "memories_mcp.pool": [],
    "memories_mcp.signals": [],
    "memories_mcp.shapes": ["memories_mcp.ids", "memories_mcp.schema", "memories_mcp.wire"],
    "memories_mcp.api": ["memories_mcp.api", "memories_mcp.wire"],
    "memories_mcp.operation": [
        "memories_mcp.api", "memories_mcp.files", "memories_mcp.schema", "memories_mcp.shapes", "memories_mcp.wire",
    ],
    "memories_mcp.sandbox": ["memories_mcp.sandbox"],
    "langchain_tools": [
        "langchain_tools", "memories_mcp.call", "memories_mcp.operations", "memories_mcp.operation",
        "memories_mcp.render", "memories_mcp.confirmation", "memories_mcp.api", "memories_mcp.settings",
        "memories_mcp.pool", "memories_mcp.models", "memories_mcp.uris", "memories_mcp.ids",
    ],
}  # fmt: skip


@pytest.mark.parametrize("layer", ALLOWED)
def test_a_layer_imports_only_what_lies_below_it(layer: str) -> None:
    allowed = [*ALLOWED[layer], "memories_mcp.errors"]
    for path in FILES:
        if not below(layer, {module(path)}):
            continue
        ours = {each for each in imported(path) if each.startswith(("memories_mcp.", "langchain_tools."))}
        too_far = {each for each in ours if not any(below(home, {each}) for home in allowed)}
        assert too_far == set(), module(path)


SHARED = {"shared", "waiting", "asking", "finding", "importing", "toolsets"}


def test_no_toolset_imports_another_ones_module() -> None:
    toolsets = {path.stem for path in (ROOT / "memories_mcp/operations").glob("*.py")} - {"__init__", *SHARED}
    for name in toolsets:
        ours = imported(ROOT / f"memories_mcp/operations/{name}.py")
        others = {each for each in toolsets - {name} if f"memories_mcp.operations.{each}" in ours}
        assert others == set(), name


def test_a_module_is_one_idea() -> None:
    long = {module(path): count for path in FILES if (count := len(path.read_text().splitlines())) > 350}

    assert long == {}


def test_langchain_tools_bring_neither_mcp_nor_langgraph() -> None:
    code = "import sys, langchain_tools; print({'mcp', 'langgraph', 'memories_mcp.server'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == "set()", done.stderr


def test_the_server_brings_no_langchain_and_nothing_it_need_not() -> None:
    code = (
        "import sys, memories_mcp.cli, memories_mcp.server.stdio;"
        "print({'langchain_core', 'langchain_tools', 'sqlite3', 'rich', 'itsdangerous', 'tenacity',"
        " 'memories_mcp.sandbox', 'memories_mcp.people', 'memories_mcp.terminal', 'memories_mcp.doctor',"
        " 'memories_mcp.install'}"
        " & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)

    assert done.stdout.strip() == "set()", done.stderr
