"""The layers: one ordered list of every module, and the homes of the libraries, checked against the imports."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LAYERS = """
    memories_mcp
    memories_mcp.errors
    memories_mcp.observer
    memories_mcp.audit
    memories_mcp.signals
    memories_mcp.logs
    memories_mcp.pool
    memories_mcp.sign_in_values
    memories_mcp.setting_values
    memories_mcp.settings
    memories_mcp.loopback
    memories_mcp.json_schema
    memories_mcp.media_types
    memories_mcp.folders

    memories_mcp.models
    memories_mcp.models.tolerance
    memories_mcp.models.coercions
    memories_mcp.models.spellings
    memories_mcp.models.argument_names
    memories_mcp.models.uris
    memories_mcp.models.platforms
    memories_mcp.models.ids
    memories_mcp.models.base
    memories_mcp.models.recordings
    memories_mcp.models.evidence
    memories_mcp.models.media
    memories_mcp.models.chat
    memories_mcp.models.sessions
    memories_mcp.models.transcripts

    memories_mcp.api.endpoints
    memories_mcp.api.prices
    memories_mcp.api.large_json
    memories_mcp.api.responses
    memories_mcp.api.explanations
    memories_mcp.api.retry
    memories_mcp.api.connections
    memories_mcp.api.documents
    memories_mcp.api.deadlines
    memories_mcp.api.bodies
    memories_mcp.api.rate_limits
    memories_mcp.api.event_stream
    memories_mcp.api.streaming
    memories_mcp.api.tracing
    memories_mcp.api.spending
    memories_mcp.api.transfers
    memories_mcp.api.downloads
    memories_mcp.api.client
    memories_mcp.api

    memories_mcp.file_names
    memories_mcp.file_access
    memories_mcp.file_listing
    memories_mcp.validation
    memories_mcp.transcript_cache
    memories_mcp.media
    memories_mcp.media.threads
    memories_mcp.media.video_file
    memories_mcp.media.pictures
    memories_mcp.media.clips
    memories_mcp.media.private_folder
    memories_mcp.media.cache
    memories_mcp.key_frames
    memories_mcp.context
    memories_mcp.operation
    memories_mcp.confirmation

    memories_mcp.rendering
    memories_mcp.rendering.fence
    memories_mcp.rendering.text
    memories_mcp.rendering.budget
    memories_mcp.rendering.subtitles
    memories_mcp.rendering.markdown

    memories_mcp.operations.toolsets
    memories_mcp.operations.common
    memories_mcp.operations.common.paging
    memories_mcp.operations.common.transfers
    memories_mcp.operations.common.lookups
    memories_mcp.operations.common.newest
    memories_mcp.operations.common.name_search
    memories_mcp.operations.common.posts
    memories_mcp.operations.common.names
    memories_mcp.operations.common.transcripts
    memories_mcp.operations.common.polling
    memories_mcp.operations.common.search
    memories_mcp.operations.common.filters
    memories_mcp.operations.common.moments
    memories_mcp.operations.common.coverage
    memories_mcp.operations.common.chat
    memories_mcp.operations.common.imports
    memories_mcp.operations.common.media
    memories_mcp.operations.search
    memories_mcp.operations.chat
    memories_mcp.operations.transcripts
    memories_mcp.operations.library
    memories_mcp.operations.library_changes
    memories_mcp.operations.sessions
    memories_mcp.operations.upload
    memories_mcp.operations.local_files
    memories_mcp.operations.public
    memories_mcp.operations.public_upload
    memories_mcp.operations.captions
    memories_mcp.operations.evidence
    memories_mcp.operations.folders
    memories_mcp.operations.frames
    memories_mcp.operations.chatgpt
    memories_mcp.operations.viewer
    memories_mcp.operations

    memories_mcp.sandbox.faults
    memories_mcp.sandbox.demo_data
    memories_mcp.sandbox.ranking
    memories_mcp.sandbox.store
    memories_mcp.sandbox.accounts
    memories_mcp.sandbox.uploads
    memories_mcp.sandbox.routing
    memories_mcp.sandbox.replies
    memories_mcp.sandbox.routes.common
    memories_mcp.sandbox.routes.search
    memories_mcp.sandbox.routes.chat
    memories_mcp.sandbox.routes.transcripts
    memories_mcp.sandbox.routes.library
    memories_mcp.sandbox.routes.folders
    memories_mcp.sandbox.routes.sessions
    memories_mcp.sandbox.routes.upload
    memories_mcp.sandbox.routes.public
    memories_mcp.sandbox.routes.public_upload
    memories_mcp.sandbox.routes.captions
    memories_mcp.sandbox.routes
    memories_mcp.sandbox.app
    memories_mcp.sandbox

    memories_mcp.run_context
    memories_mcp.runner

    memories_mcp.server
    memories_mcp.server.icon
    memories_mcp.server.viewer
    memories_mcp.server.apps
    memories_mcp.server.elicitation
    memories_mcp.server.recent
    memories_mcp.server.subscriptions
    memories_mcp.server.http
    memories_mcp.server.http.credentials
    memories_mcp.server.http.shares
    memories_mcp.server.resource_types
    memories_mcp.server.prompts
    memories_mcp.server.extension
    memories_mcp.server.narrowing
    memories_mcp.server.protocol_errors
    memories_mcp.server.metrics
    memories_mcp.server.oversight
    memories_mcp.server.tenants
    memories_mcp.server.resources
    memories_mcp.server.resource_links
    memories_mcp.server.completions
    memories_mcp.server.tools
    memories_mcp.server.app
    memories_mcp.server.http.cors
    memories_mcp.server.http.messages
    memories_mcp.server.http.calls
    memories_mcp.server.http.metrics
    memories_mcp.server.http.protected_resource
    memories_mcp.server.http.issuer_keys
    memories_mcp.server.http.access_map
    memories_mcp.server.http.sign_in
    memories_mcp.server.http.authentication
    memories_mcp.server.http.sessions
    memories_mcp.server.http.middleware
    memories_mcp.server.http.peers
    memories_mcp.server.http.routing
    memories_mcp.server.http.supervisor
    memories_mcp.server.http.app
    memories_mcp.server.http.workers
    memories_mcp.server.stdio_messages
    memories_mcp.server.stdio_streams
    memories_mcp.server.stdio

    langchain_tools.bridge
    langchain_tools.human_in_the_loop
    langchain_tools.run_context
    langchain_tools.credentials
    langchain_tools.lifetime
    langchain_tools.base
    langchain_tools.documents
    langchain_tools.tools
    langchain_tools.toolkit
    langchain_tools.retriever
    langchain_tools.loader
    langchain_tools.citations
    langchain_tools.history
    langchain_tools.ingestion
    langchain_tools
    memories_mcp.sandbox.testing

    memories_mcp.cli
    memories_mcp.cli.progress
    memories_mcp.cli.parser
    memories_mcp.cli.jsonc
    memories_mcp.cli.mcp_clients
    memories_mcp.cli.install
    memories_mcp.cli.doctor
    memories_mcp.cli.calls
    memories_mcp.cli.show
    memories_mcp.cli.commands
    memories_mcp.cli.library_commands
    memories_mcp.cli.tool_commands
    memories_mcp.cli.serve
    memories_mcp.cli.demo
    memories_mcp.cli.main
    memories_mcp.__main__
""".split()
"""Every module, lowest first: each may import those above it in this list and no others."""

ONLY = {
    # Fixtures for the tests of applications, which may use LangChain; nothing of the sandbox imports them.
    "memories_mcp.sandbox.testing": ("memories_mcp.sandbox", "langchain_tools"),
    # The sandbox stands for another program: it shares no code with the client that it answers.
    "memories_mcp.sandbox": ("memories_mcp.sandbox", "memories_mcp.errors", "memories_mcp.loopback"),
    # LangChain tools run in process, without MCP in between.
    "langchain_tools": ("langchain_tools", "memories_mcp"),
}
NEVER = {
    "langchain_tools": ("memories_mcp.server", "memories_mcp.sandbox"),
    "memories_mcp.server": ("langchain_tools",),
}
SHARED_BY_TOOLSETS = ("memories_mcp.operations.common", "memories_mcp.operations.toolsets")


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def sources() -> dict[str, str]:
    paths = [*(ROOT / "memories_mcp").rglob("*.py"), *(ROOT / "langchain_tools").rglob("*.py")]
    return {module_of(path): path.read_text(encoding="utf-8") for path in paths}


@cache
def imports_of(source: str) -> set[str]:
    """Every imported module; a name taken from a package counts as a module of it, which it may be."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_inside(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def own_imports_of(source: str) -> set[str]:
    """The imported modules of ours; a package whose module was taken does not count for itself."""
    names = imports_of(source) & set(LAYERS)
    return {name for name in names if not any(other.startswith(f"{name}.") for other in names)}


def violations(modules: Mapping[str, str]) -> list[str]:
    """What breaks the layers, one line an import."""
    problems = [f"{module} is not listed" for module in modules if module not in LAYERS]
    rank = {module: number for number, module in enumerate(LAYERS)}
    for module, source in modules.items():
        for name in sorted(own_imports_of(source)):
            allowed = next((packages for package, packages in ONLY.items() if is_inside(module, (package,))), None)
            forbidden = next((packages for package, packages in NEVER.items() if is_inside(module, (package,))), ())
            too_high = rank[name] >= rank.get(module, -1)
            if too_high or is_inside(name, forbidden) or (allowed and not is_inside(name, allowed)):
                problems.append(f"{module} imports {name}")
    return problems


def test_every_module_is_listed_and_imports_only_from_below() -> None:
    assert violations(sources()) == []


def test_the_list_names_only_modules_that_exist() -> None:
    assert set(LAYERS) - set(sources()) == set()
    assert len(LAYERS) == len(set(LAYERS))


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("memories_mcp.rendering.text", "from memories_mcp.server.app import make_server"),
        ("memories_mcp.rendering.text", "from memories_mcp.cli import main"),
        ("memories_mcp.rendering.text", "import memories_mcp.cli.main"),
        ("memories_mcp.errors", "from memories_mcp.settings import Settings"),
        ("memories_mcp.models.base", "from memories_mcp.api import Api"),
        ("memories_mcp.api.client", "def late():\n    from memories_mcp.operations import OPERATIONS"),
        ("memories_mcp.operations.search", "from memories_mcp.runner import Runner"),
        ("memories_mcp.sandbox.store", "from memories_mcp.models.ids import is_public"),
        ("memories_mcp.server.tools", "from langchain_tools import MemoriesToolkit"),
        ("langchain_tools.tools", "from memories_mcp.server.app import make_server"),
        ("memories_mcp.pool", "from memories_mcp import pool"),
    ],
)
def test_an_import_upwards_is_found(module: str, line: str) -> None:
    modules = sources()
    changed = {**modules, module: f"{modules[module]}\n{line}\n"}

    assert [problem.split()[0] for problem in violations(changed)] == [module]


def test_a_module_that_is_not_listed_is_found() -> None:
    assert violations({**sources(), "memories_mcp.helpers": ""}) == ["memories_mcp.helpers is not listed"]


def test_no_toolset_imports_another_ones_module() -> None:
    operations = "memories_mcp.operations"
    for module, source in sources().items():
        if module.startswith(f"{operations}.") and not is_inside(module, SHARED_BY_TOOLSETS):
            others = {name for name in own_imports_of(source) if name.startswith(f"{operations}.")}
            assert {name for name in others if not is_inside(name, SHARED_BY_TOOLSETS)} == set(), module


def importers(library: str) -> set[str]:
    return {
        module
        for module, source in sources().items()
        if any(is_inside(name, (library,)) for name in imports_of(source))
    }


@pytest.mark.parametrize(
    ("library", "homes"),
    [
        ("mcp", ("memories_mcp.server", "memories_mcp.cli.demo")),
        ("mcp_types", ("memories_mcp.server", "memories_mcp.cli.demo")),
        ("httpx2", ("memories_mcp.api",)),
        ("langchain_core", ("langchain_tools",)),
        ("starlette", ("memories_mcp.sandbox", "memories_mcp.server")),
        ("uvicorn", ("memories_mcp.loopback", "memories_mcp.sandbox", "memories_mcp.server.http")),
        ("prometheus_client", ("memories_mcp.server.metrics",)),
        ("jwt", ("memories_mcp.server.http.sign_in", "memories_mcp.server.http.issuer_keys")),
        ("sqlite3", ("memories_mcp.sandbox",)),
        ("rich", ("memories_mcp.cli",)),
        ("av", ("memories_mcp.media",)),
        ("opentelemetry", ("memories_mcp.api",)),
        ("pythonjsonlogger", ("memories_mcp.logs",)),
        ("os.environ", ()),
    ],
)
def test_a_library_is_imported_only_at_home(library: str, homes: tuple[str, ...]) -> None:
    assert {module for module in importers(library) if not is_inside(module, homes)} == set()


def test_the_environment_is_read_in_one_place() -> None:
    readers = {module for module, source in sources().items() if "os.environ" in source}

    # The demo passes the environment on to its server, and the fixtures unset in a test, both without our variables.
    assert readers == {"memories_mcp.settings", "memories_mcp.cli.demo", "memories_mcp.sandbox.testing"}


def test_a_module_is_one_idea() -> None:
    assert {module: lines for module, source in sources().items() if (lines := source.count("\n")) > 350} == {}


def modules_loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has after running some code, which warns of nothing and prints nothing."""
    command = [sys.executable, "-W", "error", "-c", f"{code}\nimport sys; print(*sys.modules)"]
    # Coverage would load modules of its own, sqlite3 among them.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    [modules] = done.stdout.splitlines()
    return set(modules.split())


def test_a_server_over_http_loads_packages_of_the_extra_only_when_they_are_used() -> None:
    assert not {"jwt", "prometheus_client"} & modules_loaded_by("import memories_mcp.server.http.app")


def test_langchain_tools_bring_neither_mcp_nor_langgraph() -> None:
    assert not {"mcp", "langgraph", "memories_mcp.server"} & modules_loaded_by("import langchain_tools")


def test_the_server_brings_no_langchain_and_nothing_that_its_start_does_not_need() -> None:
    loaded = modules_loaded_by("import memories_mcp.cli.main, memories_mcp.server.stdio")

    assert not {
        "langchain_core", "langchain_tools", "sqlite3", "rich", "itsdangerous", "tenacity", "jwt",
        "memories_mcp.sandbox", "memories_mcp.loopback", "memories_mcp.cli.commands", "memories_mcp.cli.progress",
        "memories_mcp.cli.tool_commands",
        "memories_mcp.cli.doctor", "memories_mcp.cli.install",
    } & loaded  # fmt: skip
