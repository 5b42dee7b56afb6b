"""The definitions: one JSON file a tool, served as written, so that a change is reviewed as a diff."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memories_mcp.context import Context
from memories_mcp.errors import ConfigurationError
from memories_mcp.json_schema import DEFINITIONS
from memories_mcp.models.base import Input, Output
from memories_mcp.operation import Effect, Toolset
from memories_mcp.operations import OPERATIONS
from memories_mcp.operations.viewer import viewer

ROOT = Path(__file__).parents[1]


def test_every_tool_has_one_definition_and_every_definition_a_tool() -> None:
    operations = (*OPERATIONS, *viewer.operations)

    assert {path.stem for path in DEFINITIONS.glob("*.json")} == {operation.name for operation in operations}


def test_the_definitions_are_those_of_the_code_and_the_check_finds_what_is_stale(tmp_path: Path) -> None:
    for path in DEFINITIONS.glob("*.json"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    changed = json.loads((tmp_path / "search_videos.json").read_text(encoding="utf-8"))
    changed["inputSchema"]["properties"].pop("tag")
    (tmp_path / "search_videos.json").write_text(json.dumps(changed), encoding="utf-8")
    (tmp_path / "gone.json").write_text("{}", encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from tools.write_definitions import main;"
        "print(int(main())); sys.exit(main(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path), "--check"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)

    assert result.stdout == "0\nnot current, run make definitions: gone, search_videos\n", result.stderr
    assert result.returncode == 1


def test_an_operation_without_a_definition_says_what_to_run() -> None:
    toolset = Toolset("x", "Invented.")

    @toolset.operation(title="Say", effect=Effect.READ, endpoints=[])
    async def say(context: Context, args: Input) -> Output:
        return Output()

    with pytest.raises(ConfigurationError, match=r"The tool say has no definition\. Run `make definitions`"):
        _ = toolset.operations[0].definition


def test_models_see_every_description_without_docstrings(tmp_path: Path) -> None:
    code = (
        "import json; from memories_mcp.operations import OPERATIONS;"
        "print(json.dumps([operation.definition for operation in OPERATIONS]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONOPTIMIZE": "2"},
    )

    assert json.loads(result.stdout) == [operation.definition for operation in OPERATIONS], result.stderr
