"""Generate tables, documents and manifests from the registry and the settings; `--check` only compares them.

A table is the text between `<!-- NAME: … -->` and `<!-- end -->`. `reference.py` generates whole documents,
`distribution.py` generates manifests.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from memories_mcp.operations import TOOLSETS
from tools import distribution, reference

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md",)
OPTIONS = {
    "toolsets": "`--toolsets`",
    "tools": "`--tools`",
    "exclude_tools": "`--exclude-tools`",
    "read_only": "`--read-only`",
    "sandbox": "`--sandbox`",
    "log_level": "`--log-level`",
}


def toolsets() -> Iterator[str]:
    """List each toolset with its tools."""
    yield "| Toolset | Tools |"
    yield "| --- | --- |"
    for toolset in TOOLSETS:
        names = ", ".join(f"`{operation.name}`" for operation in toolset.operations)
        availability = "" if toolset.default else " (off by default)"
        yield f"| `{toolset.name}`{availability} | {names} |"


def registry() -> Iterator[str]:
    """Yield the line by which the MCP registry verifies that the package belongs to the server name."""
    yield f"<!-- mcp-name: {distribution.NAME} -->"


TABLES = {"toolsets": toolsets, "registry": registry}


def with_tables(text: str) -> str:
    """Return the text with every table generated from the current code."""

    def table(match: re.Match[str]) -> str:
        return "\n".join([match[1], *TABLES[match[2]](), "<!-- end -->"])

    return re.sub(r"(<!-- (\w+): [^>]*-->)\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def generate() -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every generated file."""
    for name in DOCUMENTS:
        yield name, with_tables((ROOT / name).read_text(encoding="utf-8"))
    yield "docs/tools.md", "\n".join(reference.tools())
    yield "docs/coverage.md", "\n".join(reference.coverage()) + "\n"
    yield "docs/configuration.md", "\n".join(reference.configuration(OPTIONS)) + "\n"
    for name in distribution.FILES:
        yield name, distribution.content(name)


def main() -> int:
    """Write the files, or with `--check` name those that are out of date."""
    stale: list[str] = []
    for name, text in generate():
        path = ROOT / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.stdout.write(f"Out of date: {', '.join(stale)}. Run `make docs`.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
