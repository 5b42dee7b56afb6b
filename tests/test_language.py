"""The language of the project: words that stay out of every text that users, models and engineers read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

BANNED = re.compile(
    r"\b(mend(s|ed|ing)?|anew|dearest|whoever|somebody|someone else|nobody|anybody|everybody|offline twin|the twin"
    r"|is none of|as it must be|thereby|for ever)\b",
    re.IGNORECASE,
)
"""Each has a plain English equivalent: fix, again, most expensive, a user or the caller, sandbox, is not in …"""

DOCUMENTS = sorted(
    path
    for pattern in (
        "*.md",
        "docs/*.md",
        "plugin/**/*.md",
        "memories_mcp/definitions/*.json",
        "server.json",
        "mcpb/*.json",
    )
    for path in ROOT.glob(pattern)
)
SOURCES = sorted(
    path
    for folder in ("memories_mcp", "langchain_tools", "examples", "tools", "benchmarks", "interop")
    for path in (ROOT / folder).rglob("*.py")
)


def quoted_from_the_sandbox(line: str) -> bool:
    """Whether a line of docs/tools.md shows speech of the demo library, where people talk as people do."""
    return bool(re.match(r"\s*(\d+:\d\d|•|\[\d+\]|>|summary:|answer:)", line))


def texts_of(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line numbers and texts: every line of a document; comments and string constants of a source."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from (
            (number, line)
            for number, line in enumerate(source.splitlines(), 1)
            if not (path.name == "tools.md" and quoted_from_the_sandbox(line))
        )
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    for number, line in enumerate(source.splitlines(), 1):
        if "#" in line:
            yield number, line.partition("#")[2]


def test_a_text_has_no_banned_word() -> None:
    offenders = {
        f"{path.relative_to(ROOT)}:{number}": match[0]
        for path in (*DOCUMENTS, *SOURCES)
        for number, text in texts_of(path)
        if (match := BANNED.search(text))
    }

    assert offenders == {}


def names_stored_by(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno


def test_a_variable_is_named_by_a_noun() -> None:
    sources = [*SOURCES, *(ROOT / "tests").glob("*.py")]
    offenders = {
        f"{path.relative_to(ROOT)}:{line}": name
        for path in sources
        for name, line in names_stored_by(path)
        if name in {"each", "found", "made", "told", "said"}
    }

    assert offenders == {}


@pytest.mark.parametrize("text", ["Nobody could tell", "mended", "is none of this server's names", "the offline twin"])
def test_the_check_finds_a_banned_word(text: str) -> None:
    assert BANNED.search(text)
