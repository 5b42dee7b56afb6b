"""Calls of a LangChain tool."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from statistics import median
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool

from benchmarks.processes import stub
from benchmarks.rows import Measurement, Result, Row, alternate, paired_ratio
from langchain_tools import MemoriesToolkit
from langchain_tools.bridge import CallerExecutor, bridge
from memories_mcp.api.endpoints import SEARCH
from memories_mcp.api.rate_limits import NO_LIMITS
from memories_mcp.operations.common.search import Hits
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

ROUNDS = 11
CALLS = 100
HOPS = 300
ARGUMENTS = {"query": "price of the Team plan"}
BODY = {"search_param": ARGUMENTS["query"], "search_type": "BY_CLIP", "top_k": 10}
ASYNC_CLIENT = Row(
    "langchain.ainvoke.client",
    "`ainvoke`, against the client's request alone",
    "As for `invoke`.",
    most=1.5,
    missed="As for `invoke`; the caller's loop and the tools' loop also take turns on one interpreter.",
)
ASYNC_TOOL = Row(
    "langchain.ainvoke.tool",
    "`ainvoke`, against a `StructuredTool` over the same runner on the caller's loop",
    "The loop of its own, which lets a tool be used from every loop and thread, may cost a tenth; a prototype "
    "reached 1.06.",
    most=1.1,
    missed="The hop below is a part of it; the threads of the two loops also take turns on one interpreter.",
)
SYNC_CLIENT = Row(
    "langchain.invoke.client",
    "`invoke`, against the client's request alone",
    "Arguments, callbacks, evidence and text may add half of what the request costs.",
    most=1.5,
    missed="The request alone checks no arguments, makes neither evidence nor text, and runs no callbacks.",
)
ASYNC_HOP = Row(
    "langchain.hop.async",
    "an empty call to the tools' loop and back, awaited",
    "Reported: the part of `ainvoke` that a `StructuredTool` does not have.",
    unit="µs",
)
SYNC_HOP = Row("langchain.hop.sync", "the same, blocking", "Reported.", unit="µs")


def _structured_tool(tool: BaseTool, runner: Runner) -> StructuredTool:
    """Return the shortest LangChain tool over a runner, with the definition of ours."""

    async def search_videos(**arguments: Any) -> tuple[str, dict[str, Any]]:
        answer = await runner.run(runner.operations[tool.name], arguments)
        return answer.text, {"structured_content": answer.structured}

    return StructuredTool.from_function(
        coroutine=search_videos,
        name=tool.name,
        description=tool.description,
        args_schema=tool.args_schema,
        response_format="content_and_artifact",
    )


async def _nothing(caller: CallerExecutor) -> None:
    """Do nothing on the tools' loop."""


def _measure() -> Iterator[Result]:
    with stub() as url, asyncio.Runner() as loop:
        runner = Runner(Settings(api_key="sk-bench", base_url=url, rate_limits=NO_LIMITS))
        toolkit = MemoriesToolkit(api_key="sk-bench", base_url=url)
        tool = toolkit.get_tool("search_videos")
        plain_tool = _structured_tool(tool, runner)

        def blocking(call: Callable[[], object], calls: int = CALLS) -> Callable[[], float]:
            def microseconds() -> float:
                started = time.perf_counter()
                for _ in range(calls):
                    call()
                return (time.perf_counter() - started) / calls * 1e6

            return microseconds

        def awaited(call: Callable[[], Awaitable[object]], calls: int = CALLS) -> Callable[[], float]:
            async def repeat() -> None:
                for _ in range(calls):
                    await call()

            run: Callable[[Coroutine[Any, Any, None]], None] = loop.run

            def microseconds() -> float:
                started = time.perf_counter()
                run(repeat())
                return (time.perf_counter() - started) / calls * 1e6

            return microseconds

        measures = {
            "client": awaited(lambda: runner.api.call(SEARCH, json=BODY, into=Hits)),
            "tool": awaited(lambda: plain_tool.ainvoke(ARGUMENTS)),
            "ainvoke": awaited(lambda: tool.ainvoke(ARGUMENTS)),
            "invoke": blocking(lambda: tool.invoke(ARGUMENTS)),
            "async hop": awaited(lambda: bridge.arun(_nothing), HOPS),
            "sync hop": blocking(lambda: bridge.run(_nothing), HOPS),
        }
        times = alternate(measures, ROUNDS)
        loop.run(runner.aclose())
        toolkit.close()
    compared = ((ASYNC_TOOL, "ainvoke", "tool"), (ASYNC_CLIENT, "ainvoke", "client"), (SYNC_CLIENT, "invoke", "client"))
    for row, ours, reference in compared:
        ratio = paired_ratio(times[ours], times[reference])
        details = f"{ratio.range}; {median(times[ours]):.0f} µs against {median(times[reference]):.0f} µs"
        yield Result(row, ratio.median, details)
    for row, name in ((ASYNC_HOP, "async hop"), (SYNC_HOP, "sync hop")):
        share = median(times[name]) / median(times["client"])
        yield Result(row, median(times[name]), f"{share:.2f} of the client's request")


LANGCHAIN = Measurement(
    "langchain",
    "Calls of a LangChain tool",
    "Time of one `search_videos` with ten hits, one call after the other in one process. The client's request alone "
    "has no arguments to check and makes neither evidence nor text.",
    _measure,
)
