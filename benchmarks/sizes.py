"""Large answers: the time that each row of an answer takes, at three sizes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from statistics import median
from typing import Any, NamedTuple

import httpx2

from benchmarks import wire
from benchmarks.rows import Measurement, Result, Row, alternate
from memories_mcp.api import Api
from memories_mcp.api.rate_limits import NO_LIMITS
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

ROUNDS = 5
MOST_GROWTH = 1.5
PAGE = 50
REASON = "In a straight line the figure stays flat, and falls where a cost of each call is spread over more rows."
_numbers = count()

Call = Callable[..., Awaitable[Any]]
"""Calls a tool of the runner and returns its output."""


class Reading(NamedTuple):
    """A way to read a large answer.

    Attributes:
        key: Names the row.
        title: What is read.
        sizes: How many rows the answer has, from few to many.
        answer: Makes the body of the answer to a request, for a number of rows.
        read: Reads the answer with the tools, and raises an error if rows are missing.
    """

    key: str
    title: str
    sizes: tuple[int, int, int]
    answer: Callable[[httpx2.Request, int], bytes]
    read: Callable[[Call, int], Awaitable[None]]


async def _search(call: Call, size: int) -> None:
    output = await call("search_videos", query="price of the Team plan", top_k=size)
    shown = len(output.moments)
    assert shown == size or f"{size - shown} more were left out" in output.note, output.note


async def _list_videos(call: Call, size: int) -> None:
    listed = 0
    for page in range(1, size // PAGE + 1):
        listed += len((await call("list_videos", page=page, size=PAGE)).videos)
    assert listed == size, listed


async def _read_transcript(call: Call, size: int) -> None:
    # A video of its own for each reading, as transcripts are kept for a while.
    video_no = f"VI{612515000000000000 + next(_numbers)}"
    shown, position = 0, dict[str, Any]()
    while position is not None:
        page = await call("get_audio_transcription", video_no=video_no, **position)
        shown += len(page.segments)
        position = None
        if page.next_start_seconds is not None:
            position = {"start_seconds": page.next_start_seconds, "skip": page.next_skip or 0}
    assert shown == size, shown


async def _read_conversation(call: Call, size: int) -> None:
    output = await call("get_session_detail", session_id="612990037562867712")
    assert output.message_count == size, output.message_count


def _hits(request: httpx2.Request, size: int) -> bytes:
    return wire.envelope(wire.hits(size))


def _conversation(request: httpx2.Request, size: int) -> bytes:
    return wire.envelope(wire.conversation(size))


def _page_of_videos(request: httpx2.Request, size: int) -> bytes:
    return wire.envelope(wire.video_page(json.loads(request.content)["page"], PAGE, size))


def _whole_transcript(request: httpx2.Request, size: int) -> bytes:
    return wire.envelope(wire.transcript(request.url.params["video_no"], size))


READINGS = (
    Reading(
        "sizes.search",
        "a search, for each hit",
        (100, 300, 1_000),
        _hits,
        _search,
    ),
    Reading(
        "sizes.videos",
        f"a list of videos read to its end in pages of {PAGE}, for each video",
        (500, 2_000, 10_000),
        _page_of_videos,
        _list_videos,
    ),
    Reading(
        "sizes.transcript",
        "a transcript read to its end, for each segment",
        (500, 3_000, 20_000),
        _whole_transcript,
        _read_transcript,
    ),
    Reading(
        "sizes.conversation",
        "a conversation, for each message",
        (200, 600, 2_000),
        _conversation,
        _read_conversation,
    ),
)


def _microseconds_per_row(reading: Reading, size: int, repeats: int) -> Callable[[], float]:
    """Return a measure of the processor time per row of reading an answer of one size."""

    async def read() -> float:
        making = 0.0

        def answer(request: httpx2.Request) -> httpx2.Response:
            nonlocal making
            started = time.process_time()
            response = httpx2.Response(
                200, content=reading.answer(request, size), headers={"content-type": "application/json"}
            )
            making += time.process_time() - started
            return response

        api = Api("sk-bench", "http://api.example", rates=NO_LIMITS, transport=httpx2.MockTransport(answer))
        runner = Runner(Settings(api_key="sk-bench", base_url="http://api.example"), api=api)

        async def call(tool: str, **arguments: Any) -> Any:
            return (await runner.run(runner.operations[tool], arguments)).output

        started = time.process_time()
        for _ in range(repeats):
            await reading.read(call, size)
        seconds = time.process_time() - started - making
        await runner.aclose()
        return seconds / repeats / size * 1e6

    return lambda: asyncio.run(read())


def _measure() -> Iterator[Result]:
    for reading in READINGS:
        largest = reading.sizes[-1]
        measures = {
            f"{size:,}": _microseconds_per_row(reading, size, max(1, largest // size // 4)) for size in reading.sizes
        }
        figures = {size: median(runs) for size, runs in alternate(measures, ROUNDS).items()}
        smallest, *_, last = figures.values()
        row = Row(reading.key, reading.title, REASON, most=MOST_GROWTH)
        details = ", ".join(f"{figure:.1f} µs at {size}" for size, figure in figures.items())
        yield Result(row, last / smallest, details)


SIZES = Measurement(
    "sizes",
    "Large answers",
    "Processor time per row at three sizes, without the network; the figure is that of the largest size over that of "
    "the smallest.",
    _measure,
)
