"""Sign-in from end to end: the SDK's client knows only the URL, registers, signs in, calls, refreshes, asks for more.

`oidc-provider` is the identity provider; this program is the client, and the person at the browser too.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, TokenStorage
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from memories_mcp.loopback import bind
from memories_mcp.server.http.app import run_http_server
from memories_mcp.settings import Settings

CALLBACK = "http://127.0.0.1:8765/callback"
MAX_PAGES = 20
SECONDS = 60


class Memory(TokenStorage):
    """Keeps the tokens and the registration of one client."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """Return the tokens."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep new tokens."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return the registration."""
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep a registration."""
        self.client = client_info


class Person:
    """Fills in the pages of the provider until it sends the browser back to the client."""

    def __init__(self, name: str) -> None:
        self.scopes: list[str] = []
        self._name = name
        self._redirected = ""

    async def open_browser(self, url: str) -> None:
        """Sign in and agree."""
        self.scopes.append(parse_qs(urlsplit(url).query)["scope"][0])
        async with httpx2.AsyncClient(trust_env=False, timeout=10) as browser:
            response = await browser.get(url)
            for _ in range(MAX_PAGES):
                if response.is_redirect:
                    url = urljoin(str(response.request.url), response.headers["location"])
                    if url.startswith(CALLBACK):
                        self._redirected = url
                        return
                    response = await browser.get(url)
                    continue
                form = re.search(r'<form[^>]* action="([^"]+)"', response.text)
                prompt = re.search(r'name="prompt" value="(\w+)"', response.text)
                if not form or not prompt:
                    raise SystemExit(f"unexpected page {response.status_code}: {response.text[:500]}")
                fields = {"prompt": prompt[1], "login": self._name, "password": "any"}
                response = await browser.post(urljoin(str(response.request.url), form[1]), data=fields)
        raise SystemExit("the provider asks without end")

    async def wait_for_callback(self) -> AuthorizationCodeResult:
        """Return what the browser brought to the client."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(self._redirected).query).items()}
        if "code" not in query:
            raise SystemExit(f"the provider refused: {query}")
        return AuthorizationCodeResult(code=query["code"], state=query.get("state"), iss=query.get("iss"))


def check(is_true: bool, text: str) -> None:
    """Report one step."""
    sys.stdout.write(f"{'ok  ' if is_true else 'FAIL'} {text}\n")
    if not is_true:
        raise SystemExit(1)


@asynccontextmanager
async def run_provider(command: Sequence[str], resource: str) -> AsyncGenerator[str, None]:
    """Run the provider and yield its URL."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env={**os.environ, "RESOURCE": resource}
    )
    try:
        assert process.stdout
        async for line in process.stdout:
            if match := re.search(r"runs at (\S+)", line.decode()):
                yield match[1]
                return
        raise SystemExit("the provider did not start")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def flow(provider_command: Sequence[str]) -> None:
    """Sign in, call, refresh, and ask for more."""
    with closing(bind("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    base = f"http://127.0.0.1:{port}"
    urls = (f"{base}/mcp", f"{base}/sse")
    access_map = Path(tempfile.mkdtemp(prefix="interop-")) / "access.toml"
    access_map.write_text('[[allow]]\ngroup = "staff"\nkey = "operator"\nnamespace = "*"\n', encoding="utf-8")
    async with run_provider(provider_command, urls[0]) as issuer:
        settings = Settings(sandbox=True, oauth_issuer=issuer, oauth_audience=urls, oauth_map=access_map)
        async with run_http_server(settings, port=port):
            for mode in ("auto", "legacy"):
                await _sign_in_and_call(urls[0], mode)
            await _sign_in_and_call(urls[1], "legacy")


@asynccontextmanager
async def _connect(url: str, auth: httpx2.Auth, mode: Literal["auto", "legacy"]) -> AsyncGenerator[Client, None]:
    if url.endswith("/sse"):
        async with Client(sse_client(url, auth=auth), mode=mode) as client:
            yield client
        return
    async with (
        httpx2.AsyncClient(auth=auth, trust_env=False, timeout=30) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


async def _sign_in_and_call(url: str, mode: Literal["auto", "legacy"]) -> None:
    sys.stdout.write(f"{url} {mode}\n")
    storage, person = Memory(), Person("alice")
    metadata = OAuthClientMetadata(
        client_name="interop",
        redirect_uris=[AnyUrl(CALLBACK)],
        grant_types=["authorization_code", "refresh_token"],
        token_endpoint_auth_method="none",
    )
    auth = OAuthClientProvider(url, metadata, storage, person.open_browser, person.wait_for_callback)
    async with _connect(url, auth, mode) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        check(storage.client is not None, "the client registers, knowing only the URL of the server")
        check("memories:read" in person.scopes[0] and "write" not in person.scopes[0], "it asks for reading alone")
        check("delete_videos" in tools, "the tools are listed")
        listed = await client.call_tool("list_videos", {})
        check(not listed.is_error, "a tool that reads is called")

        first = storage.tokens
        assert first
        auth.context.token_expiry_time = 1
        again = await client.call_tool("list_videos", {})
        refreshed = storage.tokens is not None and storage.tokens.access_token != first.access_token
        check(not again.is_error and refreshed and len(person.scopes) == 1, "the token is refreshed without a browser")

        asked = await client.call_tool("delete_videos", {"video_nos": ["VI612515093881740229"]})
        check(
            len(person.scopes) == 2 and "memories:write" in person.scopes[1], "a tool that writes makes it ask for more"
        )
        check("confirmation" in (asked.structured_content or {}), "with the wider token the tool answers")


def main() -> None:
    """Run the flow with the provider that the arguments start."""
    asyncio.run(asyncio.wait_for(flow(sys.argv[1:]), SECONDS))


if __name__ == "__main__":
    main()
