"""Answers of any size: they are counted while they are decoded, and no other task waits for them."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
import sys
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from conftest import run
from loopback_servers import Exchange, serve

from memories_mcp import errors
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
CHAT = {"prompt": "x", "video_nos": ["VI1"]}


def answering(
    body: Callable[[], bytes], *, repeat: int = 1, encoding: str = "", kind: str = "application/json"
) -> Exchange:
    async def exchange(_: bytes, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n" + (
            f"content-encoding: {encoding}\r\n" if encoding else ""
        )
        writer.write(f"{head}\r\n".encode())
        for _turn in range(repeat):
            writer.write(body())
            await writer.drain()

    return exchange


@cache
def bomb() -> bytes:
    compressor = zlib.compressobj(9, wbits=31)
    pieces = [compressor.compress(b'{"code":"0000","data":["')]
    pieces += [compressor.compress(bytes(MIB)) for _ in range(64)]
    return b"".join([*pieces, compressor.flush()])


@cache
def nested_bomb() -> bytes:
    return gzip.compress(bomb())


OVERSIZED: dict[str, Exchange] = {
    "long": answering(lambda: b"[" + b" " * MIB, repeat=40),
    "endless": answering(lambda: b'{"a":' * 20_000, repeat=100_000),
    "bomb": answering(bomb, encoding="gzip"),
    "nested bomb": answering(nested_bomb, encoding="gzip, gzip"),
    "many values": answering(lambda: b"[" + b"[]," * (8 * MIB) + b"0]"),
}


@pytest.mark.parametrize("case", OVERSIZED)
@pytest.mark.parametrize(("name", "arguments"), [("list_sessions", {}), ("chat_with_videos", CHAT)])
async def test_an_answer_beyond_the_limit_is_refused_with_a_next_step(
    case: str, name: str, arguments: dict[str, Any]
) -> None:
    async with serve(OVERSIZED[case]) as port:
        runner = Runner(Settings(api_key="sk-x", base_url=f"http://127.0.0.1:{port}", rate_limits={}))
        with pytest.raises(errors.UnexpectedResponse, match="too large") as caught:
            await run(runner, name, **arguments)
        await runner.aclose()

    assert "MEMORIES_MAX_RESPONSE_MIB" in caught.value.summary
    assert caught.value.next_step


MEASURE = """
import asyncio, resource, sys
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings
from test_large_answers import OVERSIZED
from loopback_servers import serve
from conftest import run

async def main():
    async with serve(OVERSIZED["long"]) as port:  # imports what a request needs
        settings = Settings(api_key="sk-x", base_url=f"http://127.0.0.1:{port}", rate_limits={})
        runner = Runner(settings.change(max_response_mib=1))
        await asyncio.gather(run(runner, "list_sessions"), return_exceptions=True)
    rest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for case in sys.argv[1:]:
        async with serve(OVERSIZED[case]) as port:
            runner = Runner(Settings(api_key="sk-x", base_url=f"http://127.0.0.1:{port}", rate_limits={}))
            [error] = await asyncio.gather(run(runner, "list_sessions"), return_exceptions=True)
        print(type(error).__name__, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - rest) // 1024)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of the resident set is in KiB on Linux")
def test_memory_stays_within_150_mib_over_rest() -> None:
    path = [entry for entry in sys.path if entry]
    cases = ["endless", "bomb", "nested bomb"]
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{MEASURE}", *cases]
    result = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr
    measured = [line.split() for line in result.stdout.splitlines()]

    assert [error for error, _ in measured] == ["UnexpectedResponse"] * len(cases)
    assert max(int(mib) for _, mib in measured) < 150


async def test_a_chat_stream_is_counted_as_a_whole() -> None:
    record = b'data:{"type":"thinking","title":"t","content":"' + b"x" * 1000 + b'"}\n\n'
    async with serve(answering(lambda: record * 1000, repeat=100_000, kind="text/event-stream")) as port:
        settings = Settings(api_key="sk-x", base_url=f"http://127.0.0.1:{port}", rate_limits={}, max_response_mib=1)
        runner = Runner(settings)

        async def follow(_: Any) -> None: ...

        with pytest.raises(errors.UnexpectedResponse, match="too large"):
            await runner.run(runner.operations["chat_with_videos"], CHAT, on_progress=follow)
        await runner.aclose()


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "9" * 20])
def test_an_invalid_limit_is_named(text: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="MEMORIES_MAX_RESPONSE_MIB"):
        Settings.from_environment({"MEMORIES_MAX_RESPONSE_MIB": text})
