"""What an operator sees: structured lines with a request's id, spans where an exporter is configured, no secrets."""

from __future__ import annotations

import json
import os
from typing import Any

from processes import MAIN, run_process, start_process

KEY = "sk-secret-0123456789"
HELLO: dict[str, Any] = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip


def call(number: int, tool: str, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


WITHOUT_PAUSES = f"import memories_mcp.api.retry\nmemories_mcp.api.retry.FIRST_BACKOFF = 0\n{MAIN}"


def logged(messages: list[dict[str, Any]], *arguments: str, **variables: str) -> list[Any]:
    """Return what a stdio server logs while it answers."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEMORIES_")}
    started = start_process(*arguments, code=WITHOUT_PAUSES, env=kept | variables)
    assert started.stdin
    assert started.stdout
    try:
        for message in messages:
            started.stdin.write(json.dumps(message) + "\n")
            started.stdin.flush()
            assert json.loads(started.stdout.readline())["id"] == message["id"]
    finally:
        _, errors = started.communicate(timeout=60)
    assert KEY not in errors
    assert KEY[3:] not in errors
    return [json.loads(line) for line in errors.splitlines()]


def test_each_request_is_a_line_with_an_id_that_its_api_requests_share_and_no_library_logs_its_content() -> None:
    messages = [
        HELLO,
        call(2, "search_videos", query="price"),
        call(3, "get_audio_transcription", video_no="VI404"),
        {"jsonrpc": "2.0", "id": 4, "method": "resources/read", "params": {"uri": "memories://nonsense"}},
        call(5, "chat_with_library", prompt="a private question"),
    ]
    lines = logged(messages, "--sandbox", "--log-level", "debug", MEMORIES_API_KEY=KEY)
    requests = [line for line in lines if line["message"] == "request"]
    sent = [line for line in lines if line["message"] == "api request"]

    assert [(line["method"], line["target"], line["outcome"]) for line in requests] == [
        ("initialize", "", "ok"),
        ("tools/call", "search_videos", "ok"),
        ("tools/call", "get_audio_transcription", "tool error"),
        ("resources/read", "memories://nonsense", "-32602: Resource not found"),
        ("tools/call", "chat_with_library", "ok"),
    ]
    assert all(line["level"] == "INFO" and line["timestamp"] and line["ms"] >= 0 for line in requests)
    assert len({line["request"] for line in requests}) == 5
    assert [(line["endpoint"], line["status"], line["request"]) for line in sent[:1]] == [
        ("search", 200, requests[1]["request"])
    ]
    assert sent[1]["outcome"] == "NotFound"
    assert {line["name"].partition(".")[0] for line in lines} == {"memories_mcp"}
    assert "private" not in str(lines)


def test_trouble_is_logged_with_its_cause_and_without_the_key() -> None:
    listing: dict[str, Any] = {"jsonrpc": "2.0", "id": 2, "method": "resources/list", "params": {}}
    lines = logged([HELLO, listing], MEMORIES_API_KEY=KEY, MEMORIES_BASE_URL="http://127.0.0.1:9")

    assert {line["level"] for line in lines} == {"WARNING"}
    assert any("the list of resources is incomplete: list_videos failed" in line["message"] for line in lines)


_SPANS = """
import anyio, json, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

from mcp import Client
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

async def main():
    async with Client(make_server(Settings(sandbox=True, api_key=sys.argv[1])), mode="legacy") as client:
        await client.call_tool("search_videos", {"query": "price"})
        await client.call_tool("get_audio_transcription", {"video_no": "VI404"})

anyio.run(main)
spans = [(s.name, s.kind.name, s.context.span_id, s.parent and s.parent.span_id, s.status.status_code.name,
          dict(s.attributes)) for s in exporter.get_finished_spans()]
print(json.dumps(spans))
"""


def test_with_an_exporter_a_tool_call_is_a_span_and_its_api_requests_are_spans_beneath_it() -> None:
    result = run_process(KEY, code=_SPANS)
    assert result.returncode == 0, result.stderr
    spans = {
        name: (kind, own, parent, status, more) for name, kind, own, parent, status, more in json.loads(result.stdout)
    }
    tool, search = spans["tools/call search_videos"], spans["POST search"]
    failed = spans["GET get_audio_transcription"]

    assert tool[0] == "SERVER"
    assert search[0] == "CLIENT"
    assert search[2] == tool[1]
    assert search[3] == "UNSET"
    assert search[4]["http.response.status_code"] == 200
    assert search[4]["url.path"] == "/serve/api/v1/search"
    assert failed[3] == "ERROR"
    assert failed[4]["error.type"] == "NotFound"
    assert KEY not in result.stdout
