"""Writes each tool's definition from its code, as the server serves it; `--check` only compares."""

from __future__ import annotations

import json
import sys

from memories_mcp import schema

schema.READ_DOCSTRINGS = True

from memories_mcp.operations import OPERATIONS  # noqa: E402 -- the models read their docstrings as they are imported


def main() -> int:
    """Write, or with `--check` say what is not current."""
    wanted = {each.name: json.dumps(each.definition, indent=1, ensure_ascii=False) + "\n" for each in OPERATIONS}
    there = {path.stem: path.read_text(encoding="utf-8") for path in schema.DEFINITIONS.glob("*.json")}
    stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    if "--check" in sys.argv:
        if stale:
            sys.stdout.write(f"not current, run make definitions: {', '.join(stale)}\n")
        return bool(stale)
    for name in stale:
        path = schema.DEFINITIONS / f"{name}.json"
        if name in wanted:
            path.write_text(wanted[name], encoding="utf-8")
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
