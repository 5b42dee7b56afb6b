"""Writes what is made from the registry and the settings: tables, documents, manifests; `--check` only compares.

A table stands between `<!-- NAME: … -->` and `<!-- end -->`. Whole documents come from `reference.py`, manifests from
`distribution.py`.
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
    """Each toolset with its tools."""
    yield "| Toolset | Tools |"
    yield "| --- | --- |"
    for toolset in TOOLSETS:
        names = ", ".join(f"`{operation.name}`" for operation in toolset.operations)
        yield f"| `{toolset.name}`{'' if toolset.default else ' (off unless named)'} | {names} |"


def registry() -> Iterator[str]:
    """What the MCP registry looks for, to know that the package belongs to the name."""
    yield f"<!-- mcp-name: {distribution.NAME} -->"


TABLES = {"toolsets": toolsets, "registry": registry}


def written(text: str) -> str:
    """The text with every table made anew."""

    def table(found: re.Match[str]) -> str:
        return "\n".join([found[1], *TABLES[found[2]](), "<!-- end -->"])

    return re.sub(r"(<!-- (\w+): [^>]*-->)\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def made() -> Iterator[tuple[str, str]]:
    """Every file that is made, with what it must hold."""
    for name in DOCUMENTS:
        yield name, written((ROOT / name).read_text(encoding="utf-8"))
    yield "docs/tools.md", "\n".join(reference.tools())
    yield "docs/coverage.md", "\n".join(reference.coverage()) + "\n"
    yield "docs/configuration.md", "\n".join(reference.configuration(OPTIONS)) + "\n"
    for name in distribution.FILES:
        yield name, distribution.written(name)


def main() -> int:
    """Write, or with `--check` say what is not current."""
    stale: list[str] = []
    for name, wanted in made():
        path = ROOT / name
        if path.is_file() and path.read_text(encoding="utf-8") == wanted:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.write_text(wanted, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.stdout.write(f"not current, run make docs: {', '.join(stale)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
