"""LangChain's own conformance tests, for every tool and the retriever, against the sandbox over real HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import RetrieversIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests
from pydantic import SecretStr

from langchain_tools import MemoriesRetriever, MemoriesToolkit
from memories_mcp.operations import OPERATIONS
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio


class OneTool:
    """What both classes need: a tool over a fresh account, and its example."""

    name: str
    _kit: MemoriesToolkit

    @pytest.fixture(autouse=True)
    def _fresh(self, live: Settings, files_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in (
            ("CAPTION_API_KEY", live.api_key),
            ("CAPTION_BASE_URL", live.caption_base_url),
            ("CALLBACK_URL", live.callback_url),
            ("RATE_LIMITS", "off"),
        ):
            monkeypatch.setenv(f"MEMORIES_{name}", value)
        self._kit = MemoriesToolkit(
            api_key=SecretStr(live.api_key),
            base_url=live.base_url,
            toolsets=["all"],
            files_root=files_root,
            handle_tool_error=False,  # a failed call must fail the test
        )

    @property
    def tool_constructor(self) -> BaseTool:
        return next(tool for tool in self._kit.get_tools() if tool.name == self.name)

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        operation = next(operation for operation in OPERATIONS if operation.name == self.name)
        # The tests unpack the arguments, and LangChain's schema refuses to be without any.
        return operation.example or ({"page": 1} if "page" in operation.input.model_fields else {"_placeholder": True})


for _operation in OPERATIONS:
    for _standard in (ToolsUnitTests, ToolsIntegrationTests):
        _class = f"Test_{_operation.name}_{_standard.__name__.removeprefix('Tools')}"
        globals()[_class] = type(_class, (OneTool, _standard), {"name": _operation.name, "__module__": __name__})


class TestRetriever(RetrieversIntegrationTests):
    """The retriever."""

    @pytest.fixture(autouse=True)
    def _fresh(self, live: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MEMORIES_RATE_LIMITS", "off")
        self._account = {"api_key": SecretStr(live.api_key), "base_url": live.base_url}

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return MemoriesRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return self._account

    @property
    def retriever_query_example(self) -> str:
        return "price of the Team plan"
