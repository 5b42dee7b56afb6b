"""Tokens of results."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx2

from benchmarks.processes import sandbox
from benchmarks.rows import Measurement, Result, Row
from interop.run import MODULES, NODE, install
from memories_mcp.api import Api
from memories_mcp.api.rate_limits import NO_LIMITS
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

LISTS = "A model pays for each row, so a row holds its facts without names of fields and quotes."
TRANSCRIPTS = "Nearly all of a transcript is its words, which cannot be shortened."

_WHOLE_REFS = "Each row begins with its whole ref, so that a reader of one row can pass it back as it stands."
MISSED = {
    "search_videos": _WHOLE_REFS,
    "search_audio_transcripts": _WHOLE_REFS,
    "list_videos": "Numbers and names of the videos, which both have, make up most of it.",
}


class Question(NamedTuple):
    """A call whose result is counted."""

    tool: str
    arguments: dict[str, Any]
    row: Row


def _question(tool: str, most: float, **arguments: Any) -> Question:
    reason = LISTS if most < 0.9 else TRANSCRIPTS
    return Question(tool, arguments, Row(f"tokens.{tool}", f"`{tool}`", reason, most=most, missed=MISSED.get(tool, "")))


VIDEO = "VI612515093881740229"
QUESTIONS = [
    _question("search_videos", 0.6, query="what is said about the price of the plans", top_k=20),
    _question("search_audio_transcripts", 0.6, query="the", page_size=20),
    _question("list_videos", 0.6, size=200),
    _question("get_audio_transcription", 0.9, video_no=VIDEO),
    _question("get_video_transcription", 0.9, video_no=VIDEO),
]
COUNT = (
    "import { encode } from 'gpt-tokenizer/encoding/o200k_base';"
    "import { readFileSync } from 'node:fs';"
    "console.log(JSON.stringify(JSON.parse(readFileSync(0)).map((text) => encode(text).length)))"
)


class Recording(httpx2.AsyncHTTPTransport):
    """An HTTP transport that keeps the text of its last response."""

    last_text = ""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and read the whole response."""
        response = await super().handle_async_request(request)
        self.last_text = (await response.aread()).decode()
        return response


async def _texts(url: str) -> list[str]:
    """Return the text and the API's JSON of each question in turn."""
    transport = Recording()
    api = Api("sk-bench", url, rates=NO_LIMITS, transport=transport)
    runner = Runner(Settings(api_key="sk-bench", base_url=url, sandbox=True), api=api)
    for number in range(20):  # so that the list has more than a few entries
        link = f"https://media.example/{number}-interview-with-a-customer-about-pricing.mp4"
        await runner.run(runner.operations["upload_video_url"], {"url": link})
    texts: list[str] = []
    for question in QUESTIONS:
        answer = await runner.run(runner.operations[question.tool], question.arguments)
        texts += [answer.text, transport.last_text]
    await runner.aclose()
    return texts


def _measure() -> Iterator[Result]:
    install()  # installs the token counter from the npm registry
    with sandbox() as url:
        texts = asyncio.run(_texts(url))
    done = subprocess.run(
        [str(NODE), "--input-type=module", "-e", COUNT],
        input=json.dumps(texts), capture_output=True, text=True, cwd=MODULES.parent, check=True, timeout=60,
    )  # fmt: skip
    counts: list[int] = json.loads(done.stdout)
    for question, ours, raw in zip(QUESTIONS, counts[::2], counts[1::2], strict=True):
        yield Result(question.row, ours / raw, f"{ours} against {raw}")


TOKENS = Measurement(
    "tokens",
    "Tokens of results",
    "o200k tokens of the text of a result, against those of the API's JSON; counted once, as they do not vary.",
    _measure,
)
