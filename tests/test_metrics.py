"""What Prometheus reads from the server: what happened, under names that no caller chooses."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from typing import Any

import httpx2
import pytest
from conftest import MEETING
from http_clients import TOKEN, Transport, bearer_key, connect, each_transport
from mcp import MCPError
from mcp_types import ElicitRequestParams, ElicitResult
from prometheus_client.parser import text_string_to_metric_families

from memories_mcp.errors import ConfigurationError
from memories_mcp.server.http.app import run_http_server
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

Series = dict[tuple[str, str], float]
OPERATIONS = "mcp_server_operation_duration_seconds_count"


def read(text: str) -> Series:
    """Every series and its value, by name and labels."""
    return {
        (
            sample.name,
            ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()) if value),
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def scrape(url: str, **headers: str) -> Series:
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{url}/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return read(answer.text)


@pytest.fixture
async def measured(open_house: Settings) -> AsyncGenerator[str, None]:
    async with run_http_server(open_house.change(metrics=True)) as url:
        yield url


@each_transport
async def test_calls_requests_and_confirmations_are_counted(measured: str, transport: Transport) -> None:
    answers = iter(["decline", "accept"])

    async def answer(_: Any, params: ElicitRequestParams) -> ElicitResult:
        action = next(answers)
        return (
            ElicitResult(action="accept", content={"confirm": True})
            if action == "accept"
            else ElicitResult(action="decline")
        )

    async with connect(measured, transport, bearer_key(), elicitation_callback=answer) as client:
        await client.call_tool("list_videos", {})
        await client.call_tool("get_audio_transcription", {"video_no": "VI404"})
        for _ in range(2):
            await client.call_tool("delete_videos", {"video_nos": [MEETING]})
        series = await scrape(measured)

    method = "mcp_method_name=tools/call"
    assert series[OPERATIONS, f"gen_ai_tool_name=list_videos,{method}"] == 1
    assert series[OPERATIONS, f"error_type=tool_error,gen_ai_tool_name=get_audio_transcription,{method}"] == 1
    assert series["memories_api_request_duration_seconds_count", "endpoint_class=delete"] == 1
    assert series["memories_api_request_duration_seconds_count", "endpoint_class=read,error_type=NotFound"] == 1
    assert series["memories_api_wait_seconds_count", "endpoint_class=read"] == 1
    assert series["memories_api_received_bytes_total", "endpoint_class=list"] > 100
    assert series["memories_api_sent_bytes_total", "endpoint_class=delete"] > len(MEETING)
    confirmations = {
        labels: value for (name, labels), value in series.items() if name == "memories_confirmations_total"
    }
    assert confirmations == {
        "gen_ai_tool_name=delete_videos,step=asked": 2,
        "gen_ai_tool_name=delete_videos,step=declined": 1,
        "gen_ai_tool_name=delete_videos,step=given": 1,
    }
    assert series["memories_tenants", ""] == 1
    assert series["memories_sessions", ""] == (transport != "http modern")
    assert series["process_open_fds", ""] > 3


async def test_a_confirmation_by_token_is_counted(measured: str) -> None:
    async with connect(measured, "http modern", bearer_key()) as client:
        preview = await client.call_tool("delete_videos", {"video_nos": [MEETING]})
        assert preview.structured_content
        token = preview.structured_content["confirmation"]["confirmation_token"]
        await client.call_tool("delete_videos", {"video_nos": [MEETING], "confirmation_token": token})
        series = await scrape(measured)

    for step in ("asked", "given"):
        assert series["memories_confirmations_total", f"gen_ai_tool_name=delete_videos,step={step}"] == 1


async def test_no_name_that_a_caller_chooses_becomes_a_series(measured: str) -> None:
    async def be_hostile(number: int) -> None:
        name = f'made-up-{number}"}}\n'
        headers = {
            **bearer_key(),
            "Accept": "application/json, text/event-stream",
            "X-Memories-Unique-Id": f"n{number}",
        }
        message = {"jsonrpc": "2.0", "id": 1, "method": name}
        async with httpx2.AsyncClient(trust_env=False, headers=headers) as http:
            for method in (name, "GET"):
                await http.request(method.strip('"}\n'), f"{measured}/mcp", json=message)
            await http.post(f"{measured}/{number}", headers={"Authorization": f"Bearer {number}"}, json=message)
            await http.post(f"{measured}/mcp", headers={"MCP-Protocol-Version": f"1{number}"}, json=message)
        async with connect(measured, "http legacy", {**bearer_key(), "X-Memories-Unique-Id": f"n{number}"}) as client:
            await client.call_tool("get_audio_transcription", {"video_no": f"VI{number}"})
            for call in (
                client.call_tool(name, {}),
                client.call_tool("x" * 10_000 + name, {}),
                client.read_resource(f"memories://videos/{number}"),
                client.get_prompt(name, {}),
            ):
                with pytest.raises(MCPError):
                    await call

    await be_hostile(1)
    before = await scrape(measured)
    for number in range(2, 5):
        await be_hostile(number)
    after = await scrape(measured)

    assert after.keys() - before.keys() == set()
    assert not any("made-up" in labels or "VI" in labels for _, labels in after)
    other = "error_type=-32602,gen_ai_tool_name=other,mcp_method_name=tools/call"
    assert after[OPERATIONS, other] == before[OPERATIONS, other] * 4 == 8
    assert after["memories_tenants", ""] == 4


async def test_metrics_beside_the_server_take_its_token(open_house: Settings) -> None:
    async with (
        run_http_server(open_house.change(metrics=True, http_token=TOKEN)) as url,
        httpx2.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        refused = [
            (await client.get("/metrics", headers=headers)).status_code
            for headers in ({}, bearer_key(), {"Host": "attacker.example", "Authorization": f"Bearer {TOKEN}"})
        ]
        series = await scrape(url, Authorization=f"Bearer {TOKEN}")

    assert refused == [401, 401, 421]
    assert series["memories_http_responses_total", "status=401"] == 2


async def test_metrics_have_a_port_of_their_own(open_house: Settings) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with (
        run_http_server(open_house.change(metrics=True, metrics_port=port, http_token=TOKEN)) as url,
        httpx2.AsyncClient(trust_env=False) as client,
    ):
        own = f"http://127.0.0.1:{port}"
        series = await scrape(own, Host="10.0.0.7:9090")
        statuses = [
            (await client.post(f"{own}/metrics")).status_code,
            (await client.post(f"{own}/mcp")).status_code,
            (await client.get(f"{url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})).status_code,
        ]

    assert ("memories_tenants", "") in series
    assert statuses == [405, 404, 404]


async def test_without_the_setting_there_are_no_metrics(open_house: Settings) -> None:
    async with run_http_server(open_house) as url, httpx2.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{url}/metrics")).status_code == 404


async def test_metrics_that_every_client_would_see_are_refused(open_house: Settings) -> None:
    with pytest.raises(ConfigurationError, match="MEMORIES_METRICS_PORT"):
        async with run_http_server(open_house.change(metrics=True), host="0.0.0.0"):
            pass


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "8.5"])
def test_a_port_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="MEMORIES_METRICS_PORT"):
        Settings.from_environment({"MEMORIES_METRICS_PORT": text})
