"""What models see of each tool stands in one JSON file, served as it is: a change of it is reviewed as a diff."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from memories_mcp import schema
from memories_mcp.operation import Effect, Operation
from memories_mcp.operations import OPERATIONS
from memories_mcp.shapes import Input, Output

WRITER = Path(__file__).parents[1] / "tools/write_definitions.py"


def test_the_definitions_are_those_of_the_code() -> None:
    command = [sys.executable, str(WRITER), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)

    assert (done.stdout, done.returncode) == ("", 0), done.stderr


def test_every_tool_has_one_and_each_is_of_a_tool() -> None:
    assert {path.stem for path in schema.DEFINITIONS.glob("*.json")} == {operation.name for operation in OPERATIONS}


def test_the_check_finds_what_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys; from pathlib import Path; from memories_mcp import schema;"
        f"schema.DEFINITIONS = Path({str(tmp_path)!r}); sys.argv = ['x', '--check'];"
        f"import runpy; runpy.run_path({str(WRITER)!r}, run_name='__main__')"
    )
    for each in schema.DEFINITIONS.glob("*.json"):
        (tmp_path / each.name).write_text(each.read_text(encoding="utf-8"), encoding="utf-8")
    changed = json.loads((tmp_path / "search_videos.json").read_text(encoding="utf-8"))
    changed["inputSchema"]["properties"].pop("tag")
    (tmp_path / "search_videos.json").write_text(json.dumps(changed), encoding="utf-8")
    (tmp_path / "gone.json").write_text("{}", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)

    assert done.stdout == "not current, run make definitions: gone, search_videos\n", done.stderr
    assert done.returncode == 1


def test_an_operation_without_one_is_served_from_its_models() -> None:
    class Arguments(Input):
        word: str

    async def say(context: object, args: Arguments) -> Output:
        return Output()

    operation = Operation("say", "Say", "Say a word.", "x", Effect.READ, (), Arguments, Output, say)

    assert operation.input_schema["properties"] == {"word": {"type": "string"}}
    assert operation.input_schema["required"] == ["word"]
