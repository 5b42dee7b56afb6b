"""The HTTP client: key, envelope, timeouts, limits, retries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import httpx2
from pydantic import TypeAdapter, ValidationError

from memories_mcp.api.endpoints import Endpoint, Pace
from memories_mcp.api.rate_limits import Limits
from memories_mcp.api.responses import data_of
from memories_mcp.api.retry import NeverSent, repeat
from memories_mcp.api.streaming import ChatAssembler, ChatEvent
from memories_mcp.api.tracing import traced
from memories_mcp.api.transfers import CHUNK, OnBytes, Part, beside, opened, pieces
from memories_mcp.errors import ConfigurationError, MemoriesError, UnexpectedResponse, Unreachable
from memories_mcp.models.coercions import one_line

T = TypeVar("T")

_READ_SECONDS: dict[Pace, float] = {"quick": 30, "slow": 180, "transfer": 300}
_CONNECT_SECONDS = 10
_JSON_LIMIT = 64 * 1024
_NO_KEY = {
    "api": (
        "Set MEMORIES_API_KEY to a key from memories.ai, or start with --sandbox to try without one; over HTTP each "
        "caller sends their own as Authorization: Bearer or X-Memories-Api-Key."
    ),
    "caption": (
        "Captions need a key of their own: set MEMORIES_CAPTION_API_KEY, or start with --sandbox to try; over HTTP "
        "each caller sends their own as X-Memories-Caption-Api-Key."
    ),
}


class Api:
    """One caller's way to the API; it opens its connections on first use.

    Args:
        key: The account's key, sent bare in `Authorization` (API 2.2).
        base_url: Scheme and host, without a path.
        caption_key: Key of the caption service.
        caption_base_url: Scheme and host of the caption service.
        rates: Requests and seconds for classes of requests, in place of the API's own figures, `NO_LIMITS` for none;
            or limits that several clients of one key share.
        transport: What carries the requests in place of the network.
        on_answer: Hears every answer that was read into a type.
    """

    def __init__(
        self,
        key: str,
        base_url: str,
        *,
        caption_key: str = "",
        caption_base_url: str = "",
        rates: Mapping[str, tuple[float, float]] | Limits | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
        on_answer: Callable[[object], None] | None = None,
    ) -> None:
        self._hosts = {"api": (base_url, key), "caption": (caption_base_url, caption_key)}
        self._limits = rates if isinstance(rates, Limits) else Limits(rates)
        self._transport = transport
        self._on_answer = on_answer
        self._opened: dict[str, httpx2.AsyncClient] = {}

    def __repr__(self) -> str:
        return f"Api({self._hosts['api'][0]!r})"

    async def call(
        self,
        endpoint: Endpoint,
        *,
        into: type[T],
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Mapping[str, Any] | None = None,
        files: Sequence[Part] = (),
        on_bytes: OnBytes | None = None,
    ) -> T:
        """Send one request and read its `data` into a type; parameters that are `None` are left out.

        With `files` it is multipart: the parts stream from disk, and `on_bytes` hears how much has gone.

        Raises:
            ApiError: The API refused.
            Unreachable: No connection or no answer, after the tries that are safe.
            UnexpectedResponse: The answer does not have the documented shape.
        """

        async def once() -> Any:
            async with opened(files, on_bytes) as parts:
                request = self._request(endpoint, query=query, json=json, form=form, parts=parts)
                async with self._sent(endpoint, request) as response:
                    body = await response.aread()
                    return _data(body, response, endpoint)

        answer = _read(await repeat(once, repeatable=endpoint.repeatable), into, endpoint)
        if self._on_answer:
            self._on_answer(answer)
        return answer

    async def chat(
        self,
        endpoint: Endpoint,
        *,
        into: type[T],
        json: Any,
        on_event: Callable[[ChatEvent], Awaitable[None]] | None = None,
    ) -> T:
        """Ask a question; the answer is read whether it streams or not, and `on_event` hears it grow."""

        async def once() -> Any:
            accept = "text/event-stream" if on_event else "application/json"
            request = self._request(endpoint, json=json, accept=accept)
            async with self._sent(endpoint, request) as response:
                if response.status_code == 200 and _kind(response) not in _DOCUMENTS | {"text/plain"}:
                    return await _assembled(_lines(response), on_event)
                body = await response.aread()
                if _kind(response) == "text/plain" and body.lstrip().startswith((b"data:", b"event:", b":")):
                    return await _assembled(_lines_of(body), on_event)
                return _data(body, response, endpoint)

        return _read(await repeat(once, repeatable=endpoint.repeatable), into, endpoint)

    async def download(
        self,
        endpoint: Endpoint,
        *,
        json: Any,
        target: Path,
        overwrite: bool,
        on_bytes: OnBytes,
    ) -> int:
        """Stream a file to `target` and return its size; a failure leaves nothing behind.

        Raises:
            ApiError: The answer was a refusal in JSON, which comes with HTTP 200 too (API 3.5, 37).
        """

        async def once() -> int:
            async with self._sent(endpoint, self._request(endpoint, json=json, accept="*/*")) as response:
                chunks = response.aiter_bytes(CHUNK)
                first = await anext(chunks, b"")
                # No video begins like this, whatever the declared type.
                no_video = first[:1] in {b"{", b"<", b""} or first.strip() == b"null"
                text = _kind(response) in _DOCUMENTS or _kind(response).startswith("text/")
                if response.status_code != 200 or text or no_video:
                    body = first
                    async for chunk in chunks:
                        if len(body) > _JSON_LIMIT:
                            break
                        body += chunk
                    _data(body, response, endpoint)
                    raise UnexpectedResponse("The API answered a download with no video.")
                total = int(response.headers.get("content-length", 0)) or None
                with beside(target, overwrite=overwrite) as handle:
                    size = 0
                    async for chunk in pieces(chunks, first):
                        handle.write(chunk)
                        size += len(chunk)
                        await on_bytes(size, total)
                return size

        return await repeat(once, repeatable=endpoint.repeatable)

    async def aclose(self) -> None:
        """Close the connections; a later call opens them again."""
        opened, self._opened = self._opened, {}
        for client in opened.values():
            await client.aclose()

    def _client(self, base_url: str) -> httpx2.AsyncClient:
        if base_url not in self._opened:
            parts = urlsplit(base_url)
            self._opened[base_url] = httpx2.AsyncClient(
                headers={"User-Agent": "memories-mcp"},
                transport=self._transport,
                limits=httpx2.Limits(max_connections=32, max_keepalive_connections=16),
                # A proxy for the world is none for this machine.
                trust_env=parts.hostname not in {"127.0.0.1", "localhost", "::1"},
                # Without TLS there is nothing to verify, and loading the trust store costs 45 ms.
                verify=parts.scheme.lower() != "http",
                follow_redirects=False,  # the key goes to the host that was configured, and to no other
            )
        return self._opened[base_url]

    def _request(
        self,
        endpoint: Endpoint,
        *,
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        form: Mapping[str, Any] | None = None,
        parts: Sequence[Any] = (),
        accept: str = "application/json",
    ) -> httpx2.Request:
        base_url, key = self._hosts[endpoint.host]
        if not key:
            raise ConfigurationError("There is no API key.", next_step=_NO_KEY[endpoint.host])
        read = _READ_SECONDS[endpoint.pace]
        return self._client(base_url).build_request(
            endpoint.method,
            base_url + endpoint.full_path,
            params=_given(query) if query else None,
            json=_given(cast(Mapping[str, Any], json)) if isinstance(json, Mapping) else json,
            data=_given(form) if form else None,
            files=list(parts) or None,
            headers={"Accept": accept, "Authorization": key},
            timeout=httpx2.Timeout(read, connect=_CONNECT_SECONDS, pool=read),
        )

    @asynccontextmanager
    async def _sent(self, endpoint: Endpoint, request: httpx2.Request) -> AsyncGenerator[httpx2.Response, None]:
        await self._limits.turn(endpoint.rate)
        with traced(endpoint, request.url.host, request.url.port) as seen:
            async with self._answered(endpoint, request) as response:
                seen.status = response.status_code
                yield response

    @asynccontextmanager
    async def _answered(self, endpoint: Endpoint, request: httpx2.Request) -> AsyncGenerator[httpx2.Response, None]:
        # The client's own timeouts count from byte to byte; an answer that trickles in for ever is none.
        whole = None if endpoint.pace == "transfer" else _READ_SECONDS[endpoint.pace]
        try:
            async with asyncio.timeout(whole):
                response = await self._client(self._hosts[endpoint.host][0]).send(request, stream=True)
                try:
                    yield response
                finally:
                    await response.aclose()
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout):
            raise NeverSent(
                f"No connection to {request.url.host}.",
                next_step="Check the network and MEMORIES_BASE_URL; nothing was sent.",
            ) from None
        except (httpx2.TimeoutException, TimeoutError):
            raise Unreachable(
                f"{request.url.host} did not answer within {_READ_SECONDS[endpoint.pace]:g} s.",
                next_step=_look_first(endpoint),
            ) from None
        except (httpx2.TransportError, httpx2.DecodingError):
            raise Unreachable(
                f"The connection to {request.url.host} broke before the answer was whole.",
                next_step=_look_first(endpoint),
            ) from None


async def _assembled(
    lines: AsyncIterator[str], on_event: Callable[[ChatEvent], Awaitable[None]] | None
) -> dict[str, Any]:
    assembler = ChatAssembler()
    try:
        async for line in lines:
            for event in assembler.feed(line):
                if on_event:
                    await on_event(event)
            if assembler.complete:
                break
    except (httpx2.TransportError, MemoriesError):
        # What came is kept, marked as incomplete, and nothing is asked again; without it, the break is the error.
        if not assembler.content:
            raise
    return assembler.answer()


async def _lines_of(body: bytes) -> AsyncIterator[str]:
    for line in body.split(b"\n"):
        yield line.decode("utf-8", "replace")


async def _lines(response: httpx2.Response) -> AsyncIterator[str]:
    """Lines ended by a line feed alone: `aiter_lines` also breaks at U+2028, which JSON strings may contain."""
    rest = b""
    async for chunk in response.aiter_bytes():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")


def _look_first(endpoint: Endpoint) -> str:
    """What to do where it is not known whether a request was carried out."""
    if endpoint.repeatable:
        return "Try again later."
    if endpoint.pace == "slow" and endpoint.host == "api":
        return "A finished answer shows up in list_sessions and get_session_detail; look there before you ask again."
    if endpoint.path == "download" or endpoint.host == "caption":
        return "It may have been billed; try again if it is worth that."
    return "It may have been carried out; look (list_videos) before you try again."


def _data(body: bytes, response: httpx2.Response, endpoint: Endpoint) -> Any:
    retry_after = response.headers.get("retry-after", "")
    try:
        return data_of(body, status=response.status_code, retry_after=retry_after, success=endpoint.success)
    except UnexpectedResponse as error:
        error.next_step = _look_first(endpoint)
        raise


def _kind(response: httpx2.Response) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


_DOCUMENTS = {"application/json", "text/html"}
"""Media types of one document: an envelope, or a proxy's page; neither a stream nor a file."""


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


@cache
def _adapter(into: Any) -> TypeAdapter[Any]:
    return TypeAdapter(into)


def _read(data: Any, into: type[T], endpoint: Endpoint) -> T:
    try:
        return _adapter(into).validate_python(data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = one_line(".".join(str(part) for part in problem["loc"]))[:100] or "data"
        raise UnexpectedResponse(
            f"The API's answer to {endpoint.path} is not as documented: {where}.",
            words=one_line(problem["msg"])[:300],
            next_step=_look_first(endpoint),
        ) from None
