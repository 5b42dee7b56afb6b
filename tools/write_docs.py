"""Writes the tables of the documents from the registry and the settings; `--check` only compares.

A table stands between `<!-- NAME: … -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from memories_mcp.operations import TOOLSETS
from memories_mcp.settings import Settings

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


def settings() -> Iterator[str]:
    """Each variable with its option."""
    yield "| Variable | Option | Meaning |"
    yield "| --- | --- | --- |"
    for each in fields(Settings):
        yield f"| `{each.metadata['variable']}` | {OPTIONS.get(each.name, '')} | {each.metadata['help']} |"


TABLES = {"toolsets": toolsets, "settings": settings}


def written(text: str) -> str:
    """The text with every table made anew."""

    def table(found: re.Match[str]) -> str:
        return "\n".join([found[1], *TABLES[found[2]](), "<!-- end -->"])

    return re.sub(r"(<!-- (\w+): [^>]*-->)\n.*?<!-- end -->", table, text, flags=re.DOTALL)


def main() -> int:
    """Write, or with `--check` say what is not current."""
    stale: list[str] = []
    for name in DOCUMENTS:
        path = ROOT / name
        before = path.read_text(encoding="utf-8")
        after = written(before)
        if before != after:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(after, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.stdout.write(f"not current, run make docs: {', '.join(stale)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
