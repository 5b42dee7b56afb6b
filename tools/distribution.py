"""The manifests for the MCP registry, Claude Desktop and Claude Code, made from `pyproject.toml` and the package."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from memories_mcp.operations import TOOLSETS
from memories_mcp.settings import Settings

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]
# The owner is set only in the project's homepage.
REPOSITORY: str = PROJECT["urls"]["Homepage"]
OWNER = REPOSITORY.split("/")[-2]
NAME = f"io.github.{OWNER}/memories-mcp"
TITLE = "Memories.ai"
SHORT = "Search, question and read videos with Memories.ai; answers cite the moments that support them."
HTTP_SETTINGS = {
    "http_token", "allowed_hosts", "allowed_origins", "http_files", "max_sessions", "max_all_sessions",
    "session_idle_seconds", "replica", "stop_delay", "drain_seconds",
}  # fmt: skip
"""The settings that have no effect over stdio."""


def variables() -> list[dict[str, Any]]:
    """Return the variables of a server over stdio, in the form of the MCP registry."""
    return [_variable(setting) for setting in fields(Settings) if setting.name not in HTTP_SETTINGS]


def _variable(setting: Field[Any]) -> dict[str, Any]:
    variable: dict[str, Any] = {"name": setting.metadata["variable"], "description": setting.metadata["help"]}
    if setting.metadata["secret"]:
        variable["isSecret"] = True
    if isinstance(setting.default, bool):
        variable |= {"format": "boolean", "default": str(setting.default).lower()}
    elif setting.name == "files_root":
        variable["format"] = "filepath"
    elif isinstance(setting.default, str) and setting.default:
        variable["default"] = setting.default
    return variable


def server() -> dict[str, Any]:
    """Return `server.json` for the MCP registry."""
    package = {
        "registryType": "pypi",
        "identifier": PROJECT["name"],
        "version": PROJECT["version"],
        "runtimeHint": "uvx",
        "packageArguments": [
            {
                "type": "named",
                "name": "--toolsets",
                "description": f"Toolsets to offer: default, all, {', '.join(toolset.name for toolset in TOOLSETS)}",
                "format": "string",
                "isRequired": False,
            },
        ],
        "environmentVariables": variables(),
        "transport": {"type": "stdio"},
    }
    return {
        "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
        "name": NAME,
        "title": TITLE,
        "description": SHORT,
        "version": PROJECT["version"],
        "repository": {"url": REPOSITORY, "source": "github"},
        "websiteUrl": "https://memories.ai",
        "packages": [package],
    }


def bundle() -> dict[str, Any]:
    """Return `manifest.json` of the MCPB bundle for Claude Desktop, which installs Python through uv."""
    return {
        "manifest_version": "0.4",
        "name": PROJECT["name"],
        "display_name": TITLE,
        "version": PROJECT["version"],
        "description": SHORT,
        "author": {"name": OWNER, "url": REPOSITORY},
        "repository": {"type": "git", "url": REPOSITORY},
        "documentation": f"{REPOSITORY}#readme",
        "license": PROJECT["license"],
        "keywords": PROJECT["keywords"],
        "server": {
            "type": "uv",
            "entry_point": "memories_mcp/__main__.py",
            "mcp_config": {
                "command": "uv",
                "args": ["run", "--directory", "${__dirname}", "memories-mcp"],
                "env": {
                    "MEMORIES_API_KEY": "${user_config.api_key}",
                    "MEMORIES_FILES_ROOT": "${user_config.files_root}",
                    "MEMORIES_UNIQUE_ID": "${user_config.unique_id}",
                    "MEMORIES_READ_ONLY": "${user_config.read_only}",
                    "MEMORIES_SANDBOX": "${user_config.sandbox}",
                },
            },
        },
        "tools": [
            {"name": operation.name, "description": operation.description.split("\n\n")[0].replace("\n", " ")}
            for toolset in TOOLSETS
            if toolset.default
            for operation in toolset.operations
        ],
        "prompts_generated": True,
        "user_config": {
            "api_key": {
                "type": "string",
                "title": "API key",
                "description": "Key of your Memories.ai account. To try it without one, turn on Sandbox below.",
                "sensitive": True,
                "required": False,
            },
            "files_root": {
                "type": "directory",
                "title": "Folder for files",
                "description": "The folder for uploads and downloads; no other folder is used.",
                "required": False,
            },
            "unique_id": {
                "type": "string",
                "title": "Namespace",
                "description": "Fixes the namespace of the library; leave it empty for the default one.",
                "required": False,
            },
            "read_only": {
                "type": "boolean",
                "title": "Read only",
                "description": "Offer only tools that change nothing.",
                "default": False,
                "required": False,
            },
            "sandbox": {
                "type": "boolean",
                "title": "Sandbox",
                "description": "Use the offline demo library instead of your account.",
                "default": False,
                "required": False,
            },
        },
        "compatibility": {
            "platforms": ["darwin", "win32", "linux"],
            "runtimes": {"python": PROJECT["requires-python"]},
        },
    }


def plugin() -> dict[str, Any]:
    """Return `plugin.json` of the plugin for Claude Code."""
    return {
        "name": "memories",
        "version": PROJECT["version"],
        "description": SHORT,
        "author": {"name": OWNER},
        "homepage": REPOSITORY,
        "repository": REPOSITORY,
        "license": PROJECT["license"],
        "keywords": PROJECT["keywords"],
    }


def plugin_servers() -> dict[str, Any]:
    """Return the plugin's server entry; the key comes from the environment of Claude Code."""
    entry = {
        "command": "uvx",
        "args": [PROJECT["name"]],
        "env": {name: f"${{{name}:-}}" for name in ("MEMORIES_API_KEY", "MEMORIES_FILES_ROOT", "MEMORIES_SANDBOX")},
    }
    return {"mcpServers": {"memories": entry}}


def marketplace() -> dict[str, Any]:
    """Return `marketplace.json`, which makes the repository a marketplace with this plugin."""
    return {
        "name": "memories-mcp",
        "owner": {"name": OWNER},
        "plugins": [{"name": "memories", "source": "./plugin", "description": SHORT}],
    }


FILES: dict[str, Callable[[], dict[str, Any]]] = {
    "server.json": server,
    "mcpb/manifest.json": bundle,
    "plugin/.claude-plugin/plugin.json": plugin,
    "plugin/.mcp.json": plugin_servers,
    ".claude-plugin/marketplace.json": marketplace,
}


def content(name: str) -> str:
    """Return the content of one of `FILES`."""
    return json.dumps(FILES[name](), indent=2, ensure_ascii=False) + "\n"
