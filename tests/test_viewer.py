"""The evidence viewer: the page that hosts of MCP Apps draw below a result, and what other clients see of it."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Literal

import mcp_types as t
import pytest
from conftest import MEETING
from http_clients import bearer_key, connect, structured
from mcp import Client, MCPError
from mcp.client.extension import ClientExtension, advertise

from memories_mcp.server.app import make_server
from memories_mcp.server.http.app import run_http_server
from memories_mcp.server.viewer import read_page
from memories_mcp.settings import Settings

pytestmark = pytest.mark.anyio

Era = Literal["legacy", "auto"]
each_era = pytest.mark.parametrize("era", ["legacy", "auto"])

UI = "io.modelcontextprotocol/ui"
PAGE = "ui://memories/evidence.html"
HTML = "text/html;profile=mcp-app"
APPS = [advertise(UI, {"mimeTypes": [HTML]})]


@asynccontextmanager
async def client_of(settings: Settings, era: Era, extensions: list[ClientExtension]) -> AsyncGenerator[Client, None]:
    async with Client(make_server(settings, nonce=lambda: "n0nce"), mode=era, extensions=extensions) as client:
        yield client


async def tools_of(client: Client) -> dict[str, t.Tool]:
    return {tool.name: tool for tool in (await client.list_tools()).tools}


async def all_that_clients_see(settings: Settings, era: Era) -> list[str]:
    """Return every list and a result as JSON, without the `_meta` of tools."""
    async with client_of(settings, era, []) as client:
        tools = await client.list_tools()
        for tool in tools.tools:
            tool.meta = None
        results = [
            tools,
            await client.list_resources(),
            await client.list_resource_templates(),
            await client.list_prompts(),
            await client.call_tool("get_evidence", {"query": "the price of the Team plan"}),
            await client.call_tool("search_videos", {"query": "the price of the Team plan"}),
        ]
        return [client.instructions or "", *(result.model_dump_json(by_alias=True) for result in results)]


@each_era
async def test_a_host_of_apps_learns_which_results_the_page_shows(live: Settings, era: Era) -> None:
    async with client_of(live, era, APPS) as client:
        tools = await tools_of(client)

        if era == "auto":  # the older protocol has no place for extensions of servers
            assert client.server_capabilities.extensions == {UI: {}}
    for name in ("get_evidence", "search_videos"):
        assert tools[name].meta == {"ui": {"resourceUri": PAGE}, "ui/resourceUri": PAGE}
    assert tools["get_moment_media"].meta == {"ui": {"resourceUri": PAGE, "visibility": ["app"]}}
    assert {name for name, tool in tools.items() if tool.meta} == {"get_evidence", "search_videos", "get_moment_media"}


@each_era
async def test_a_client_without_apps_sees_what_it_saw_before(live: Settings, era: Era) -> None:
    assert await all_that_clients_see(live, era) == await all_that_clients_see(live.change(viewer=False), era)


@each_era
@pytest.mark.parametrize(
    "extensions", [[], [advertise(UI)], [advertise(UI, {"mimeTypes": ["text/html"]})], [advertise("a.b/c", {})]]
)
async def test_only_a_client_that_shows_the_page_gets_the_tool_of_the_page(
    live: Settings, era: Era, extensions: list[ClientExtension]
) -> None:
    async with client_of(live, era, extensions) as client:
        assert "get_moment_media" not in await tools_of(client)
        called = await client.call_tool("get_moment_media", {"ref": f"{MEETING}#t=262,314", "kind": "frame"})

    assert not called.is_error
    assert structured(called)["kind"] == "frame"


async def test_a_list_with_the_tool_of_the_page_stays_out_of_shared_caches(live: Settings) -> None:
    async with client_of(live, "auto", APPS) as client:
        with_apps = await client.list_tools()
    async with client_of(live, "auto", []) as client:
        without_apps = await client.list_tools()

    assert (with_apps.cache_scope, without_apps.cache_scope) == ("private", "public")


@pytest.mark.parametrize("change", [{"toolsets": ("upload",)}, {"exclude_tools": ("get_evidence", "search_videos")}])
async def test_the_tool_of_the_page_comes_only_with_results_that_the_page_shows(
    live: Settings, change: dict[str, Any]
) -> None:
    async with client_of(live.change(**change), "auto", APPS) as client:
        assert "get_moment_media" not in await tools_of(client)


@each_era
async def test_the_page_is_read_as_a_resource_that_no_list_holds(live: Settings, era: Era) -> None:
    async with client_of(live, era, APPS) as client:
        result = await client.read_resource(PAGE)
        resources = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates

    [page] = result.contents
    assert isinstance(page, t.TextResourceContents)
    assert (str(page.uri), page.mime_type, page.text) == (PAGE, HTML, read_page())
    origins = {f"{kind}Domains": list[str]() for kind in ("connect", "resource", "frame", "baseUri")}
    assert page.meta == {"ui": {"csp": origins, "prefersBorder": True}}
    assert not [row.uri for row in resources if str(row.uri).startswith("ui:")]
    assert not [row.uri_template for row in templates if row.uri_template.startswith("ui:")]


@each_era
async def test_without_the_viewer_nothing_of_it_is_left(live: Settings, era: Era) -> None:
    async with client_of(live.change(viewer=False), era, APPS) as client:
        tools = await tools_of(client)

        assert not client.server_capabilities.extensions
        with pytest.raises(MCPError, match="Resource not found"):
            await client.read_resource(PAGE)
    assert "get_moment_media" not in tools
    assert not [tool.name for tool in tools.values() if tool.meta]


async def test_the_page_is_served_over_http_to_a_caller_whose_headers_narrow_the_tools(live: Settings) -> None:
    settings = live.change(api_key="")
    headers = {**bearer_key(), "X-Memories-Toolsets": "evidence", "X-Memories-Read-Only": "true"}
    async with run_http_server(settings) as url:
        for transport in ("http modern", "http legacy"):
            async with connect(url, transport, headers, extensions=APPS) as client:
                tools = await tools_of(client)
                [page] = (await client.read_resource(PAGE)).contents

            assert set(tools) == {"get_evidence", "wait_until_ready", "get_moment_media"}
            assert isinstance(page, t.TextResourceContents)
            assert page.text == read_page()


def test_the_page_is_one_small_file_without_a_remote_origin() -> None:
    page = read_page()

    assert len(page.encode()) <= 60_000
    assert not re.findall(r"https?://\S|\bsrc=|\bhref=|@import|url\(", page.replace("/url\\(/i", ""))
    assert page.count('<script type="application/json" id="embedded">null</script>') == 1


def test_the_page_writes_text_as_text() -> None:
    """No text of a video can become markup or code: the page has no place where it could."""
    script = read_page()
    sinks = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|srcdoc|\beval\b|\bFunction\(|javascript:"

    assert re.findall(sinks, script) == []
    assert re.findall(r"\son\w+=", script) == []
    assert set(re.findall(r"(\w+)\.(?:src|href) = ", script)) == {"picture", "player", "link"}


def test_the_page_allows_itself_no_more_than_a_host_does() -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', read_page())

    assert policy
    assert dict(directive.split(" ", 1) for directive in policy[1].split("; ")) == {
        "default-src": "'none'",
        "script-src": "'unsafe-inline'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "media-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_page_listens_to_its_host_alone() -> None:
    assert "event.source !== window.parent" in read_page()
    assert read_page().count('addEventListener("message"') == 1
