"""The HTTP client: credentials, time limits, rate limits, retries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import httpx2

from memories_mcp.api.bodies import MAX_BYTES, bounded_bytes, read_body, without_blocking
from memories_mcp.api.connections import Lease, connection_error
from memories_mcp.api.deadlines import RequestBody, ResponseBody, TooSlow, describe_lowest_rate
from memories_mcp.api.downloads import media_chunks, read_picture
from memories_mcp.api.endpoints import Endpoint, Pace
from memories_mcp.api.event_stream import is_event_stream, iter_body
from memories_mcp.api.explanations import explain
from memories_mcp.api.rate_limits import RateLimiter
from memories_mcp.api.responses import LARGE, decode_response, is_document, media_type, next_step_if_unclear, parse
from memories_mcp.api.retry import with_retries
from memories_mcp.api.spending import UNLIMITED, Spending
from memories_mcp.api.streaming import ChatAssembler, OnEvent
from memories_mcp.api.tracing import RequestTrace, report_request, trace_request
from memories_mcp.api.transfers import OnBytes, Part, Target, atomic_write, prepend, reported_parts
from memories_mcp.errors import ConfigurationError, MemoriesError, Unreachable
from memories_mcp.observer import UNOBSERVED, Observer

T = TypeVar("T")

_READ_SECONDS: dict[Pace, float] = {"quick": 30, "slow": 180, "transfer": 300}
"""Seconds from the end of the request to the end of its answer; for a download, to the beginning of the video."""
_CONNECT_SECONDS = 10
_POOL_SECONDS = 20
_KEY_HINTS = {
    "api": "Set MEMORIES_API_KEY to a key from memories.ai, or start with --sandbox to try without a key.",
    "caption": (
        "Set MEMORIES_CAPTION_API_KEY, because captions need a separate key, or start with --sandbox to try without a "
        "key."
    ),
}


class Api:
    """Client for the API with one key; connections open on first use and belong to the event loop of that use.

    Args:
        key: The account's API key, sent without a scheme in `Authorization` (API 2.2). If empty, calls fail with
            `ConfigurationError`.
        base_url: Scheme and host, without a path or a final slash.
        caption_key: The API key of the caption service.
        caption_base_url: Scheme and host of the caption service.
        rates: Rate limits by class of requests as (requests, seconds), which change the API's own limits; `NO_LIMITS`
            turns all limits off. Alternatively the `Limits` to share with other clients of the same key.
        max_bytes: Largest decoded size of an answer.
        key_hint: Where a caller sets a missing key; by default the variables of the environment.
        transport: Replaces the network, for tests.
        on_result: Receives every result of `call`, already in its type.
        observer: Receives a report of every request.
        spending: Counts the requests that cost money.

    Raises:
        ConfigurationError: `rates` names an unknown class.
    """

    def __init__(
        self,
        key: str,
        base_url: str,
        *,
        caption_key: str = "",
        caption_base_url: str = "",
        rates: Mapping[str, tuple[float, float]] | RateLimiter | None = None,
        max_bytes: int = MAX_BYTES,
        key_hint: str = "",
        transport: httpx2.AsyncBaseTransport | None = None,
        on_result: Callable[[object], None] | None = None,
        observer: Observer = UNOBSERVED,
        spending: Spending = UNLIMITED,
    ) -> None:
        self._hosts = {"api": (base_url, key), "caption": (caption_base_url, caption_key)}
        self._limits = rates if isinstance(rates, RateLimiter) else RateLimiter(rates)
        self._max_bytes = max_bytes
        self._key_hint = key_hint
        self._on_answer = on_result
        self._observer = observer
        self._spending = spending
        self._lease = Lease(transport)

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
        """Send a request and return the `data` of the response.

        Args:
            endpoint: The endpoint to call.
            into: The type to read `data` into, such as a pydantic model or `list[Model]`.
            query: Query parameters; those that are `None` are omitted.
            json: JSON body; top-level fields that are `None` are omitted.
            form: Form fields; those that are `None` are omitted.
            files: Parts of a multipart body; files are streamed from disk.
            on_bytes: Receives the bytes of `files` sent so far and their total.

        Raises:
            ConfigurationError: There is no key for the endpoint's host; nothing was sent.
            FileRefused: A file cannot be read; nothing was sent.
            ApiError: The API refused the request, after the retries that are safe.
            Unreachable: There was no connection or no complete response, after the retries that are safe.
            UnexpectedResponse: The response does not have the documented shape.
        """

        async def attempt() -> T:
            async with reported_parts(files, on_bytes) as parts:
                request = self._request(endpoint, query=query, json=json, form=form, parts=parts)
                async with self._send(endpoint, request) as response:
                    return await self._read(response, into, endpoint, (query, json, form))

        result = await with_retries(attempt, repeatable=endpoint.repeatable)
        if self._on_answer:
            self._on_answer(result)
        return result

    async def chat(self, endpoint: Endpoint, *, into: type[T], json: Any, on_event: OnEvent | None = None) -> T:
        """Send a question and return the answer, from a stream or a single document.

        A stream that breaks, takes too long or reports a refusal after a part of the answer arrived gives that part,
        with `complete` set to false and the error as `failure`.

        Args:
            endpoint: A chat endpoint; use the streaming one together with `on_event`.
            into: The type to read the answer into.
            json: JSON body; top-level fields that are `None` are omitted.
            on_event: Receives each piece of the answer as it arrives.

        Raises:
            ConfigurationError: There is no key for the endpoint's host; nothing was sent.
            ApiError: The API refused the request.
            Unreachable: There was no connection, or no part of the answer arrived in time.
            UnexpectedResponse: The response contains no answer.
        """

        async def attempt() -> T:
            accept = "text/event-stream" if on_event else "application/json"
            request = self._request(endpoint, json=json, accept=accept)
            answer = ChatAssembler(endpoint, self._hosts[endpoint.host][1])
            body = b""
            try:
                async with self._send(endpoint, request) as response:
                    is_stream = not is_document(response) and media_type(response) != "text/plain"
                    if response.status_code == 200 and is_stream:
                        data = await answer.read(bounded_bytes(response, self._max_bytes), on_event)
                    else:
                        body = await read_body(response, self._max_bytes)
                        if response.status_code == 200 and is_event_stream(body):  # as some proxies label it
                            data = await answer.read(iter_body(body), on_event)
                        else:
                            data = await without_blocking(
                                lambda: decode_response(body, response, endpoint), large=len(body) > LARGE
                            )
            except MemoriesError as error:
                data = await answer.rescue(error)
            is_large = max(len(body), answer.size) > LARGE
            return await without_blocking(lambda: parse(data, into, endpoint), large=is_large)

        return await with_retries(attempt, repeatable=endpoint.repeatable)

    async def download(
        self,
        endpoint: Endpoint,
        *,
        json: Any,
        target: Target,
        on_bytes: OnBytes,
    ) -> int:
        """Stream a video to `target` and return its size in bytes; a failure leaves no file and no new folder.

        Args:
            endpoint: The download endpoint.
            json: JSON body; top-level fields that are `None` are omitted.
            target: The file to write.
            on_bytes: Receives the bytes received so far and the total, or `None` if the service does not state it.

        Raises:
            ConfigurationError: There is no key for the endpoint's host; nothing was sent.
            ApiError: The API refused the request, which it does with HTTP 200 too (API 3.5, 37).
            FileRefused: The file cannot be written, or exists and may not be replaced.
            Unreachable: There was no connection, or it broke.
            UnexpectedResponse: The response is not a video.
        """

        async def attempt() -> int:
            request = self._request(endpoint, json=json, accept="*/*")
            request.headers["Accept-Encoding"] = "identity"  # so that the stated length is the size of the video
            async with self._send(endpoint, request, endless=True) as response:
                chunks = media_chunks(response, endpoint, "video")
                first = await anext(chunks)
                total = int(response.headers.get("content-length", 0)) or None
                with atomic_write(target) as write:
                    size = 0
                    async for chunk in prepend(first, chunks):
                        write(chunk)
                        size += len(chunk)
                        await on_bytes(size, total)
                return size

        return await with_retries(attempt, repeatable=endpoint.repeatable)

    async def download_picture(self, endpoint: Endpoint, *, query: Mapping[str, Any], max_bytes: int) -> bytes:
        """Return a stored picture as JPEG, PNG or WebP.

        Args:
            endpoint: The download endpoint.
            query: Query parameters.
            max_bytes: The largest size.

        Raises:
            ApiError: The API refused the request, which it does with HTTP 200 too.
            Unreachable: There was no connection, or it broke.
            UnexpectedResponse: The response is no picture, or larger.
        """

        async def attempt() -> bytes:
            request = self._request(endpoint, query=query, accept="image/*")
            async with self._send(endpoint, request) as response:
                return await read_picture(response, endpoint, max_bytes)

        return await with_retries(attempt, repeatable=endpoint.repeatable)

    async def aclose(self) -> None:
        """Leave the connections, which close with their last user; a later call opens new ones."""
        await self._lease.aclose()

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
            raise ConfigurationError("There is no API key.", next_step=self._key_hint or _KEY_HINTS[endpoint.host])
        read_seconds = _READ_SECONDS[endpoint.pace]
        return self._lease.client(base_url).build_request(
            endpoint.method,
            base_url + endpoint.full_path,
            params=_without_none(query) if query else None,
            json=_without_none(cast(Mapping[str, Any], json)) if isinstance(json, Mapping) else json,
            data=_without_none(form) if form else None,
            files=list(parts) or None,
            headers={"Accept": accept, "Authorization": key},
            timeout=httpx2.Timeout(read_seconds, connect=_CONNECT_SECONDS, pool=_POOL_SECONDS),
        )

    async def _read(self, response: httpx2.Response, into: type[T], endpoint: Endpoint, request: object) -> T:
        """Return the `data` of a response in its type."""
        body = await read_body(response, self._max_bytes)
        return await without_blocking(
            lambda: parse(decode_response(body, response, endpoint), into, endpoint, request), large=len(body) > LARGE
        )

    @asynccontextmanager
    async def _send(
        self, endpoint: Endpoint, request: httpx2.Request, *, endless: bool = False
    ) -> AsyncGenerator[httpx2.Response, None]:
        """Wait for the rate limit, send the request under a trace and yield the response with its body unread.

        Args:
            endpoint: The endpoint that is called.
            request: The request.
            endless: Whether the body of the response has no deadline, but a lowest rate.
        """
        with report_request(endpoint, self._observer) as trace:
            async with self._spending.request(endpoint, trace):
                await self._limits.acquire(endpoint.rate)
                try:
                    async with self._limits.slot():
                        with trace_request(trace, endpoint, request.url.host, request.url.port):
                            async with self._response(endpoint, request, trace, endless=endless) as response:
                                trace.status = response.status_code
                                yield response
                except MemoriesError as error:
                    explain(error, endpoint, self._hosts[endpoint.host][1])
                    raise

    @asynccontextmanager
    async def _response(
        self, endpoint: Endpoint, request: httpx2.Request, trace: RequestTrace, *, endless: bool
    ) -> AsyncGenerator[httpx2.Response, None]:
        """Send the request and yield the response; errors of the HTTP client become the package's own."""
        host, seconds = request.url.host, _READ_SECONDS[endpoint.pace]
        client = self._lease.client(self._hosts[endpoint.host][0])
        sent: RequestBody | None = None
        try:
            async with asyncio.timeout(seconds) as timer:
                sent = RequestBody(cast(httpx2.AsyncByteStream, request.stream), timer, seconds)
                request.stream = trace.sent = sent
                response = await client.send(request, stream=True)
            response.stream = trace.received = ResponseBody(
                cast(httpx2.AsyncByteStream, response.stream), None if endless else timer.when()
            )
            try:
                yield response
            finally:
                await response.aclose()
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError) as error:
            raise connection_error(error, request.url) from None
        except (httpx2.TimeoutException, TimeoutError) as error:
            slow = isinstance(error, TooSlow) or (sent is not None and sent.sending)
            raise Unreachable(
                f"The transfer was stopped: {host} moved less than {describe_lowest_rate()}."
                if slow
                else f"{host} did not answer within {seconds:g} s.",
                next_step=next_step_if_unclear(endpoint),
            ) from None
        except (httpx2.TransportError, httpx2.DecodingError):
            raise Unreachable(
                f"The connection to {host} broke before the response was complete.",
                next_step=next_step_if_unclear(endpoint),
            ) from None


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
