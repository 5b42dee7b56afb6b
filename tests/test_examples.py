"""The examples, each run against the sandbox with a scripted model."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import warnings
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from command_line import run_program
from conftest import BIKE, MEETING
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.messages import AIMessage, BaseMessage
from scripted import ScriptedModel, calls

from langchain_tools import MemoriesRetriever, MemoriesToolkit
from memories_mcp.settings import Settings

EXAMPLES = Path(__file__).parents[1] / "examples"
DOCUMENTATION = EXAMPLES.with_name("docs") / "langchain.md"
PROGRAMS = sorted(path for path in EXAMPLES.glob("*.py") if path.stem != "offline")
NO_ADAPTER = "the adapter needs newer versions than this package allows; the extra `adapter` installs them"
sys.path.append(str(EXAMPLES))  # `python examples/….py` does the same, for `import offline`


def example(name: str) -> Any:
    spec = spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`langchain.mcp` is in beta")
        spec.loader.exec_module(module)
    return module


def quote(messages: Sequence[BaseMessage]) -> AIMessage:
    """Return an answer that quotes the last message."""
    return AIMessage(f"I read: {messages[-1].text}")


def test_the_agent_answers_with_citations(account: dict[str, Any]) -> None:
    model = ScriptedModel.replying(
        calls("search_videos", {"query": "price of the Team plan", "top_k": 2}),
        calls("chat_with_videos", {"prompt": "What does the Team plan cost?", "video_nos": [MEETING]}),
        AIMessage("Twenty-four euros [Quarterly planning meeting, 3:32]."),
    )
    with MemoriesToolkit(**account, read_only=True) as toolkit:
        cited = example("agent_with_citations").ask(model, toolkit, "What does the Team plan cost?")

    assert cited.answer.startswith("Twenty-four euros")
    assert f"{MEETING}#t=212,256&kind=clip" in {moment["ref"] for moment in cited.moments}
    assert "audio" in {moment["kind"] for moment in cited.moments}
    assert len(model.tools) == len(toolkit.get_tools())


def test_the_chain_answers_from_what_was_retrieved(account: dict[str, Any]) -> None:
    module, model = example("retrieval_augmented"), ScriptedModel.replying(quote)
    with MemoriesRetriever(**account, k=2) as retriever:
        answer = module.chain(model, retriever).invoke("What does the Team plan cost?")

    assert "[1] Quarterly planning meeting, " in answer
    assert "[2] " in answer
    assert "Question: What does the Team plan cost?" in answer


def test_the_library_is_indexed_and_searched(live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORIES_API_KEY", live.api_key)
    monkeypatch.setenv("MEMORIES_BASE_URL", live.base_url)
    windows = example("index_library").main(DeterministicFakeEmbedding(size=16), "pricing")

    assert len(windows) == 3
    assert all("#t=" in window for window in windows)


@pytest.mark.parametrize("agreed", [True, False])
def test_the_agent_deletes_only_after_a_yes(account: dict[str, Any], agreed: bool) -> None:
    model = ScriptedModel.replying(calls("delete_videos", {"video_nos": [BIKE]}), quote)
    previews = list[dict[str, Any]]()

    def confirm(preview: dict[str, Any]) -> bool:
        previews.append(preview)
        return agreed

    with MemoriesToolkit(**account, confirm="interrupt") as toolkit:
        answer = example("delete_after_yes").carry_out(model, toolkit, "Delete the bike video.", confirm)
        videos = next(tool for tool in toolkit.get_tools() if tool.name == "list_videos").invoke({})

    assert [preview["action"] for preview in previews] == ["Delete 1 video for good."]
    assert (BIKE in videos) is not agreed
    assert ("declined" in answer) is not agreed


@pytest.mark.anyio
async def test_the_same_agent_works_over_the_server(live: Settings) -> None:
    pytest.importorskip("fastmcp", reason=NO_ADAPTER)
    module = example("agent_over_mcp")
    model = ScriptedModel.replying(calls("search_videos", {"query": "price of the Team plan", "top_k": 1}), quote)
    target = module.server(MEMORIES_API_KEY=live.api_key, MEMORIES_BASE_URL=live.base_url)
    answer = await module.ask(model, target, "What does the Team plan cost?")

    assert MEETING in answer


def init_scripted_model(name: str) -> ScriptedModel:
    return ScriptedModel.replying(AIMessage("Twenty-four euros."))


def test_the_code_blocks_of_the_documentation_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORIES_SANDBOX", "true")
    monkeypatch.setattr("langchain.agents.factory.init_chat_model", init_scripted_model)
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENTATION.read_text(encoding="utf-8"), re.DOTALL)

    assert len(blocks) == 9
    for block in blocks:
        exec(block, {})


def run_example(
    monkeypatch: pytest.MonkeyPatch, name: str, *arguments: str, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    if name == "agent_over_mcp":
        pytest.importorskip("fastmcp", reason=NO_ADAPTER)
    path = str(EXAMPLES / f"{name}.py")

    def program() -> int:
        runpy.run_path(path, run_name="__main__")
        return 0

    monkeypatch.setattr(sys, "argv", [path, *arguments])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as Python does by default for what libraries deprecate
        return run_program(program, typed=typed)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_an_example_runs_offline_without_arguments(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    completed = run_example(monkeypatch, path.stem, typed="y\n")

    assert completed.returncode == 0, completed.stderr
    assert "A real run needs" in completed.stderr
    assert "VI6" in completed.stdout or "Team plan" in completed.stdout


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    ("arguments", "sandbox", "words"),
    [
        (("nosuch:model", "x"), "true", "The model nosuch:model cannot be used: "),
        (("nosuch:model", "x"), "", "Set MEMORIES_API_KEY"),
        (("x",), "", "Pass two arguments"),
    ],
    ids=["model", "key", "arguments"],
)
def test_an_example_that_cannot_run_ends_with_the_reason(
    path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str], sandbox: str, words: str
) -> None:
    monkeypatch.setenv("MEMORIES_SANDBOX", sandbox)
    completed = run_example(monkeypatch, path.stem, *arguments)

    assert completed.returncode == 1
    assert words in completed.stderr


def test_the_end_of_the_input_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    completed = run_example(monkeypatch, "delete_after_yes")

    assert completed.returncode == 0, completed.stderr
    assert "The user declined; nothing was changed." in completed.stdout


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_an_example_is_short_enough_to_read(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()

    assert len(lines) <= 60
    assert '"""' in lines[0]
