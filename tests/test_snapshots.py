"""One JSON file a tool: a change of what models see is reviewed as a diff."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from memories_mcp.operation import Operation
from memories_mcp.operations import OPERATIONS

FOLDER = Path(__file__).parent / "snapshots"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_the_tool_is_as_recorded(operation: Operation[Any, Any]) -> None:
    path = FOLDER / f"{operation.name}.json"
    tool = {
        "name": operation.name,
        "title": operation.title,
        "description": operation.description,
        "annotations": operation.effect.hints,
        "inputSchema": operation.input_schema,
        "outputSchema": operation.output_schema,
    }
    text = json.dumps(tool, indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(text, encoding="utf-8")

    assert path.is_file(), "no snapshot yet: make snapshots"
    assert path.read_text(encoding="utf-8") == text, "if the change is meant: make snapshots"


def test_no_snapshot_is_left_of_a_tool_that_is_gone() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {operation.name for operation in OPERATIONS}
