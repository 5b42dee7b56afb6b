"""The sandbox as an ASGI app: accounts by API key, the response envelope, injected faults, the media host."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, cast, get_args

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from memories_mcp.sandbox import demo_data
from memories_mcp.sandbox.accounts import Accounts
from memories_mcp.sandbox.faults import Fault
from memories_mcp.sandbox.routes import ROUTES
from memories_mcp.sandbox.routing import PREFIX, Call, Refusal
from memories_mcp.sandbox.store import Account
from memories_mcp.sandbox.uploads import Uploads

REFUSED_KEY = "sk-refused"
"""API keys with this prefix are refused."""
NO_CREDITS_KEY = "sk-no-credits"
"""API keys with this prefix have no credits."""

_HTML = "<html><head><title>503</title></head><body><h1>Service unavailable</h1></body></html>"


class Sandbox:
    """One running sandbox.

    Args:
        accounts: The accounts by API key.
        uploads: The uploaded files.
    """

    def __init__(self, accounts: Accounts, uploads: Uploads) -> None:
        self._accounts = accounts
        self._uploads = uploads

    def close(self) -> None:
        """Close the databases and remove the uploaded files."""
        self._accounts.close()
        self._uploads.close()

    async def serve(self, request: Request) -> Response:
        """Answer one API request."""
        registered = ROUTES.get(request.url.path)
        if registered is None:
            return _infrastructure_error(404, "Not Found", request)
        method, handler = registered
        try:
            account = self._authorize(request)
            if request.method != method:
                raise Refusal("0001", f"Request method '{request.method}' not supported")
            fault = _take_fault(account, request.url.path)
            kind = str(fault["fault"]) if fault else ""
            if rejection := _reject(kind):
                return rejection
            values, form = await _parameters(request)
            namespace = str(values.get("unique_id") or request.query_params.get("unique_id") or "default")
            data = await handler(Call(account, request, values, namespace, self._uploads, form))
            response = data if isinstance(data, Response) else _envelope("0000", "success", data)
            return await _damage(response, kind, fault or {})
        except Refusal as refusal:
            return _envelope(refusal.code, refusal.message, None)
        except ClientDisconnect:
            return Response(status_code=499)
        finally:
            await request.close()  # removes what a form spooled to disk

    async def add_fault(self, request: Request) -> Response:
        """Add a fault to the account of the key: `POST /sandbox/faults {"fault", "path"?, "times"?, "seconds"?}`."""
        account = self._authorize(request)
        fault = cast(dict[str, Any], await request.json())
        if fault.get("fault") not in get_args(Fault):
            return JSONResponse({"error": f"Unknown fault. Use one of: {', '.join(get_args(Fault))}."}, 400)
        account.faults.append({"path": "", "times": 1, **fault})
        return Response(status_code=204)

    def _authorize(self, request: Request) -> Account:
        key = request.headers.get("authorization", "")
        # The service accepts only the bare key, without a scheme such as Bearer (API 2.2).
        if not key or " " in key or key.startswith(REFUSED_KEY):
            raise Refusal("0401", "The authorization is invalid")
        if key.startswith(NO_CREDITS_KEY):
            raise Refusal("0402", "Not enough points")
        return self._accounts.account(key)


async def _parameters(request: Request) -> tuple[dict[str, Any], tuple[tuple[str, Any], ...]]:
    """Read the parameters by name, and the fields of a form in order."""
    content_type = request.headers.get("content-type", "")
    if request.method == "GET":
        return dict(request.query_params), ()
    if "form" in content_type:
        form = tuple((await request.form()).multi_items())
        return dict(form), form
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError:
        raise Refusal("0001", "One or more parameters are incorrect") from None
    return cast(dict[str, Any], body) if isinstance(body, dict) else {"": body}, ()


def _envelope(code: str, message: str, data: Any) -> JSONResponse:
    success = code == "0000"
    return JSONResponse({"code": code, "msg": message, "data": data, "success": success, "failed": not success})


def _infrastructure_error(status: int, error: str, request: Request) -> JSONResponse:
    body = {"timestamp": 0, "path": request.url.path, "status": status, "error": error, "requestId": "sandbox"}
    return JSONResponse(body, status)


def _take_fault(account: Account, path: str) -> dict[str, Any] | None:
    """Return the fault for a request, if one waits for it, and count the fault as used once."""
    for fault in account.faults:
        if not fault["path"] or path in {fault["path"], PREFIX + str(fault["path"])}:
            fault["times"] -= 1
            if fault["times"] <= 0:
                account.faults.remove(fault)
            return fault
    return None


def _reject(kind: str) -> Response | None:
    """Return the response of a fault that prevents the work, `None` for the other faults."""
    match kind:
        case "rate_limit":
            return _envelope("0429", "Request has exceeded the limit.", None)
        case "http_429":
            return Response("Too many requests", 429)
        case "server_error":
            return HTMLResponse(_HTML, 503)
        case "abnormal":
            return _envelope("0001", "The network is abnormal, please try again later", None)
        case _:
            return None


async def _damage(response: Response, kind: str, fault: Mapping[str, Any]) -> Response:
    """Apply a fault that damages the response to finished work.

    Args:
        response: The intact response, returned unchanged if the fault is of another kind.
        kind: The fault.
        fault: Its parameters.
    """
    match kind:
        case "html":
            return HTMLResponse(_HTML)
        case "null_body":
            return Response("null", media_type="application/json")
        case "null_data":
            return _envelope("0000", "success", None)
        case "slow":
            await asyncio.sleep(float(fault.get("seconds", 1)))
            return response
        case "truncated":
            return Response((await _body_of(response))[:-20], media_type=response.media_type)
        case "cut" | "stalled":
            return _broken(await _body_of(response), response, stalled=kind == "stalled")
        case "late_rate_limit":
            first = (await _body_of(response)).partition(b"\n\n")[0]
            refusal = bytes(_envelope("0429", "Request has exceeded the limit.", None).body)
            return Response(first + b"\n\ndata:" + refusal + b"\n\n", media_type=response.media_type)
        case "no_terminator":
            events = (await _body_of(response)).split(b"\n\n")[:-2]
            return Response(b"\n\n".join(events) + b"\n\n", media_type=response.media_type)
        case _:
            return response


async def _body_of(response: Response) -> bytes:
    """Read a response to its end."""
    if isinstance(response, StreamingResponse):
        chunks = [chunk async for chunk in response.body_iterator]
        return b"".join(chunk.encode() if isinstance(chunk, str) else bytes(chunk) for chunk in chunks)
    if isinstance(response, FileResponse):
        return Path(response.path).read_bytes()
    return bytes(response.body)


def _broken(body: bytes, response: Response, *, stalled: bool) -> Response:
    """Return a response that breaks half-way; a file keeps its full content length.

    Args:
        body: The whole body.
        response: The intact response.
        stalled: Whether the connection stays open without sending more, in place of breaking.
    """

    async def half() -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]
        if stalled:
            await asyncio.Event().wait()  # until the client disconnects
        await asyncio.sleep(0.01)
        raise ConnectionResetError("connection cut by an injected fault")

    is_upload = isinstance(response, StreamingResponse) and "content-length" in response.headers
    is_file = is_upload or isinstance(response, FileResponse)
    headers = {"content-length": str(len(body))} if is_file else None
    return StreamingResponse(half(), media_type=response.media_type, headers=headers)


def _media(request: Request) -> Response:
    path = demo_data.MEDIA / Path(request.path_params["name"]).name
    return FileResponse(path) if path.is_file() else Response("no such file", 404)


def application(sandbox: Sandbox) -> Starlette:
    """Return the app: the API, the injection of faults, the media host."""
    return Starlette(
        routes=[
            Route("/media/{name}", _media),
            Route("/sandbox/faults", sandbox.add_fault, methods=["POST"]),
            Route("/{path:path}", sandbox.serve, methods=["GET", "POST", "PUT", "DELETE"]),
        ]
    )
