"""Every tool meets every kind of fault of a network and a service, and each call ends in a clear text.

A cell of the matrix is a request that a tool sends and a kind of fault that it meets; the variants of the kind take
turns from cell to cell.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import FILM, copy_samples, remove_written
from fault_server import FAULTS, Fault, FaultServer, Plan
from mcp import Client
from mcp_types import CallToolResult, TextContent
from test_completeness import ANSWERS

from memories_mcp.api.rate_limits import NO_LIMITS, RateLimiter
from memories_mcp.context import Progress
from memories_mcp.errors import MemoriesError
from memories_mcp.operations import OPERATIONS
from memories_mcp.rendering.text import render_error
from memories_mcp.runner import AnyOperation, Runner
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

LIMIT = 30.0
"""Seconds after which a call counts as hanging; more than a request waits for a place."""
AT_ONCE = 8
"""Calls that run at the same time; each leaves a connection behind, and the client checks all of them."""

STREAM = b'data:{"content":"c"}\n\ndata:{"content":"d"}\n\ndata:[DONE]\n\n'


def healthy(path: str) -> tuple[bytes, str]:
    """Return body and media type of the answer without a fault."""
    prefix, _, name = path.rpartition("/")
    if name == "download":
        return FILM, "video/mp4"
    if name.endswith("_stream"):
        return STREAM, "text/event-stream"
    code = 0 if prefix == "/v1/understand" else "0000"
    return json.dumps({"code": code, "msg": "success", "data": ANSWERS.get(name, {})}).encode(), "application/json"


@dataclass
class Cell:
    """One call that meets a fault.

    Attributes:
        operation: The tool.
        streams: Whether the caller follows the progress, so that an answer streams.
        start: The number of the tool's request from which on the fault is played.
        path: The path of that request.
        fault: The fault.
        intact: The text of the result without the fault.
        runner: The caller, with a key of its own.
    """

    operation: AnyOperation
    streams: bool
    start: int = 0
    path: str = ""
    fault: Fault | None = None
    intact: str = ""
    runner: Runner = field(init=False)

    def __str__(self) -> str:
        mode = " as a stream" if self.streams else ""
        name = self.fault.name if self.fault else "no fault"
        return f"{self.operation.name}{mode}, request {self.start} ({self.path.rpartition('/')[2]}): {name}"

    @property
    def key(self) -> str:
        return f"sk-{hashlib.sha256(str(self).encode()).hexdigest()[:32]}"

    @property
    def sent_once(self) -> set[str]:
        """The paths of requests that a second try would carry out twice."""
        return {endpoint.full_path for endpoint in self.operation.endpoints if not endpoint.repeatable}

    async def run(self) -> str:
        async def follow(_: Progress) -> None: ...

        arguments = arguments_of(self.operation)
        on_progress = follow if self.streams else None
        return (await self.runner.run(self.operation, arguments, on_progress=on_progress, nonce="n")).text


def arguments_of(operation: AnyOperation) -> dict[str, Any]:
    arguments = dict(operation.example)
    if operation.name == "wait_until_ready":
        arguments["max_seconds"] = 0
    if {"path", "overwrite"} <= operation.input.model_fields.keys():  # several cells of a tool write the same file
        arguments["overwrite"] = True
    return arguments


class Callers:
    """The callers of some cells, which share the client's connections and limits, as the calls of one key do."""

    def __init__(self, url: str, files_root: Path) -> None:
        self._settings = Settings(
            base_url=url, caption_base_url=url, toolsets=("all",), confirm=False, files_root=files_root,
            callback_url="https://callback.example", max_response_mib=1,
        )  # fmt: skip
        self._limits = RateLimiter(NO_LIMITS)

    def settings(self, key: str) -> Settings:
        return self._settings.change(api_key=key, caption_api_key=key, rate_limits={})

    def add(self, cell: Cell) -> None:
        cell.runner = Runner(self.settings(cell.key), limits=self._limits)


@asynccontextmanager
async def served(cells: list[Cell], files_root: Path, *, listening: bool = True) -> AsyncGenerator[FaultServer, None]:
    """Yield a server that plays the faults of some cells, whose runners are open as long."""
    async with FaultServer(healthy) as server:
        if listening:
            await server.listen()
        callers = Callers(server.url, files_root)
        for cell in cells:
            callers.add(cell)
            if cell.fault:
                server.plans[cell.key] = Plan(cell.fault, cell.path, cell.start)
        yield server
        for cell in cells:
            await cell.runner.aclose()


async def run_all(cells: list[Cell], work: Any) -> None:
    for number in range(0, len(cells), AT_ONCE):
        await asyncio.gather(*map(work, cells[number : number + AT_ONCE]))


@cache
def requests_of_all_tools(files_root: Path) -> list[Cell]:
    """Return a cell without a fault for each request that a tool sends, streaming or not."""
    calls = [Cell(operation, streams) for operation in CALLING for streams in (False, True)]
    sequences: dict[str, list[str]] = {}

    async def work(cell: Cell) -> None:
        cell.intact = await cell.run()

    async def record() -> None:
        async with served(calls, files_root) as server:
            await run_all(calls[::2], work)
            remove_written(files_root)
            await run_all(calls[1::2], work)
            remove_written(files_root)
            sequences.update({str(cell): server.requests[cell.key] for cell in calls})

    asyncio.run(record())
    plain, streaming = calls[::2], calls[1::2]
    distinct = [*plain, *(cell for cell, other in zip(streaming, plain, strict=True)
                          if sequences[str(cell)] != sequences[str(other)])]  # fmt: skip
    return [
        Cell(cell.operation, cell.streams, start, path, intact=cell.intact)
        for cell in distinct
        for start, path in enumerate(sequences[str(cell)])
    ]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_samples(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def requests(root: Path) -> list[Cell]:
    return requests_of_all_tools(root)


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 2)
    monkeypatch.setattr("memories_mcp.api.retry.FIRST_BACKOFF", 0.0)
    monkeypatch.setattr("memories_mcp.api.retry.DEADLINE", 0.5)


# What makes a text clear

_NAMES_OF_CODE = re.compile(
    r"\w(?:Error|Exception)\b|Traceback|Errno|httpx|httpcore|pydantic|asyncio|\b_?[A-Z][a-z]{2,}[A-Z]\w*|\b_\w|0x[0-9a-f]{6}"
)
_FENCED = re.compile(r"<untrusted-n>\n.*?\n</untrusted-n>", re.DOTALL)
_NEXT_STEP = re.compile(r"\b(check|try|call|set|ask|copy|find)\b[^.]*\.$|list_sessions\b.*\.$", re.IGNORECASE)
_SENDS_AGAIN = re.compile(r"^(Try|Wait)\b")

CALLING = [operation for operation in OPERATIONS if operation.endpoints]
"""The tools that send requests: all but those of local files."""
MAY_STAY_AS_IT_IS = {("get_evidence", "get_private_video_details"), ("fetch", "get_private_video_details")}
"""A tool whose result does not change when a request fails, as it gives a name and a link in addition."""
HAVE_ANOTHER_PATH = {"get_video_transcription", "get_video_caption", "get_private_video_details", "get_metadata"}
"""Requests that another path replaces where an account lacks the first one."""


def is_clear(text: str) -> bool:
    """Return whether a text ends with a next step and shows nothing of the code."""
    own = _FENCED.sub("", text).strip()
    return bool(_NEXT_STEP.search(own)) and not _NAMES_OF_CODE.search(text)


def is_clear_error(cell: Cell, error: MemoriesError) -> bool:
    text = render_error(cell.operation.name, error, "n")
    summary, *_ = text.split("\n", 1)
    has_form = re.fullmatch(rf"{cell.operation.name} failed\. [A-Z1-9][^\n]+\.", summary) and error.next_step.endswith(
        "."
    )
    return bool(has_form) and is_clear(text) and str(error) == str(error).strip()


def holds_part_of(key: str, text: str) -> bool:
    return any(key[start : start + 8] in text for start in range(3, len(key) - 7))


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return the messages and the fields of all log records."""
    own = logging.makeLogRecord({}).__dict__.keys()
    fields = [{name: record.__dict__[name] for name in record.__dict__.keys() - own} for record in caplog.records]
    return f"{caplog.text}\n{fields}"


@dataclass
class Findings:
    """The cells with a fault of our own, by kind."""

    hangs: list[str] = field(default_factory=list[str])
    outside_the_error_tree: list[str] = field(default_factory=list[str])
    unclear_texts: list[str] = field(default_factory=list[str])
    sent_twice: list[str] = field(default_factory=list[str])
    invitations_to_send_twice: list[str] = field(default_factory=list[str])
    keys: list[str] = field(default_factory=list[str])
    files: list[str] = field(default_factory=list[str])
    open_requests: int = 0
    unhealthy_afterwards: list[str] = field(default_factory=list[str])
    not_met: list[str] = field(default_factory=list[str])


KINDS = list(FAULTS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_ends_in_a_clear_text_and_leaves_nothing_behind(
    kind: str, requests: list[Cell], root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="memories_mcp")
    variants = FAULTS[kind]
    cells = [
        Cell(request.operation, request.streams, request.start, request.path, variants[number % len(variants)],
             request.intact)
        for number, request in enumerate(requests, KINDS.index(kind))
        if kind != "refused" or request.start == 0
    ]  # fmt: skip
    findings = asyncio.run(findings_of(kind, cells, root, monkeypatch))
    log = logged(caplog)
    findings.keys += [f"{cell} in the log" for cell in cells if holds_part_of(cell.key, log)]

    assert findings == Findings()
    assert {cell.operation.name for cell in cells} == {operation.name for operation in CALLING}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def findings_of(kind: str, cells: list[Cell], root: Path, monkeypatch: pytest.MonkeyPatch) -> Findings:
    findings = Findings()
    before = sorted(root.rglob("*"))

    async def meet_fault(cell: Cell) -> None:
        text = ""
        try:
            async with asyncio.timeout(LIMIT):
                text = await cell.run()
        except TimeoutError:
            findings.hangs.append(str(cell))
        except MemoriesError as error:
            text = render_error(cell.operation.name, error, "n")
            if not is_clear_error(cell, error):
                findings.unclear_texts.append(f"{cell}: {text}")
            is_refused = cell.fault is None or cell.fault.refuses
            if cell.path in cell.sent_once and not is_refused and _SENDS_AGAIN.match(error.next_step):
                findings.invitations_to_send_twice.append(f"{cell}: {text}")
        except Exception as error:
            findings.outside_the_error_tree.append(f"{cell}: {error!r}")
        else:
            name = cell.path.rpartition("/")[2]
            is_replaced = name in HAVE_ANOTHER_PATH and bool(cell.fault and "unknown path" in cell.fault.name)
            if text == cell.intact and not is_replaced and (cell.operation.name, name) not in MAY_STAY_AS_IT_IS:
                findings.unclear_texts.append(f"{cell}: not a word")
            elif text != cell.intact and not is_clear(text):
                findings.unclear_texts.append(f"{cell}: {text}")
        if holds_part_of(cell.key, text):
            findings.keys.append(f"{cell}: {text}")

    async def recover(cell: Cell) -> None:
        try:
            async with asyncio.timeout(LIMIT):
                assert await cell.run() == cell.intact
        except (TimeoutError, MemoriesError, AssertionError) as error:
            findings.unhealthy_afterwards.append(f"{cell}: {error!r}")

    async with served(cells, root, listening=kind != "refused") as server:
        if kind == "slow":
            # The deadline holds for the requests before the fault too, which a busy machine must not delay that long.
            firsts, others = [cell for cell in cells if not cell.start], [cell for cell in cells if cell.start]
            for seconds, group in ((0.5, firsts), (2.0, others)):
                with monkeypatch.context() as patch:
                    paces = dict.fromkeys(("quick", "slow", "transfer"), seconds)
                    patch.setattr("memories_mcp.api.client._READ_SECONDS", paces)
                    patch.setattr("memories_mcp.api.deadlines.RATE_SECONDS", seconds)
                    patch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
                    await asyncio.gather(*map(meet_fault, group))
        else:
            await run_all(cells, meet_fault)
        for cell in cells:
            sent = server.requests.get(cell.key, [])
            counts = Counter(sent)
            if kind != "refused" and cell.path not in sent[cell.start :]:
                findings.not_met.append(str(cell))
            may_repeat = cell.fault is not None and cell.fault.refuses
            if not may_repeat and any(counts[path] > 1 for path in cell.sent_once):
                findings.sent_twice.append(f"{cell}: {dict(counts)}")
        findings.files += [path.name for path in sorted(root.rglob("*")) if path not in before]
        await server.end_of_faults()
        findings.open_requests = server.open_requests
        if kind == "refused":
            await server.listen()
        await run_all(cells, recover)
    remove_written(root)
    return findings


async def test_over_mcp_each_fault_is_a_tool_error_of_one_client(
    requests: list[Cell], root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="memories_mcp")
    key = "sk-0123456789abcdef"
    kinds = [kind for kind in KINDS if kind not in {"refused", "slow"}]
    answers: dict[str, CallToolResult] = {}
    firsts = {cell.operation.name: cell for cell in requests if cell.start == 0 and not cell.streams}
    async with FaultServer(healthy) as server:
        await server.listen()
        settings = Callers(server.url, root).settings(key)
        async with Client(make_server(settings)) as client:
            for number, (name, cell) in enumerate(firsts.items()):
                fault = FAULTS[kinds[number % len(kinds)]][0]
                server.plans[key] = Plan(fault, cell.path, len(server.requests.get(key, ())))
                answers[name] = await client.call_tool(name, arguments_of(cell.operation))
            server.plans.clear()
            assert not (await client.call_tool("list_videos", {})).is_error
    texts = [block.text for answer in answers.values() for block in answer.content if isinstance(block, TextContent)]

    assert len(texts) == len(answers) == len(CALLING)
    assert [name for name, answer in answers.items() if not answer.is_error] == ["get_evidence", "fetch"]
    assert not holds_part_of(key, "\n".join(texts))
    assert not holds_part_of(key, logged(caplog))
    assert not _NAMES_OF_CODE.search(_FENCED.sub("", "\n".join(texts)))
