"""The sandbox as an ASGI app: accounts by key, the envelope, faults on request, its own media host."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from memories_mcp.sandbox import adding, asking, demo_data, images, reading
from memories_mcp.sandbox.routing import PREFIX, ROUTES, Call, Refusal
from memories_mcp.sandbox.store import Account

Fault = Literal[
    "rate_limit", "http_429", "server_error", "html", "null_body", "null_data", "truncated", "abnormal", "slow", "cut",
    "no_terminator",
]  # fmt: skip
"""What can go wrong on request; `docs/sandbox.md` says what each does."""

REFUSED_KEY = "sk-refused"
"""A key that is always refused, to try that."""
PENNILESS_KEY = "sk-no-credits"
"""A key whose account has no credits."""

_ENDPOINTS = (adding, asking, images, reading)
"""The modules whose import fills the table of routes."""

_HTML = "<html><head><title>503</title></head><body><h1>Service unavailable</h1></body></html>"


class Sandbox:
    """All accounts of one running sandbox.

    Args:
        folder: Where uploaded files go while it runs.
        data: A folder that keeps the accounts across restarts; in memory without it.
    """

    def __init__(self, folder: Path, data: Path | None = None) -> None:
        self._folder = folder
        self._data = data
        self._accounts: dict[str, Account] = {}

    def account(self, key: str) -> Account:
        """The account of a key, begun with the demo library on its first request."""
        if key not in self._accounts:
            name = hashlib.sha256(key.encode()).hexdigest()[:24]
            self._accounts[key] = Account.open(self._data / f"{name}.db" if self._data else None)
        return self._accounts[key]

    def close(self) -> None:
        """Close every database."""
        for account in self._accounts.values():
            account.db.close()
        self._accounts.clear()

    async def serve(self, request: Request) -> Response:
        """Answer one API request."""
        found = ROUTES.get(request.url.path)
        if found is None:
            return _infrastructure(404, "Not Found", request)
        method, handler = found
        try:
            account = self._admitted(request)
            if request.method != method:
                raise Refusal("0001", f"Request method '{request.method}' not supported")
            fault = _fault(account, request.url.path)
            kind = str(fault["fault"]) if fault else ""
            if before := _before(kind):
                return before
            values, form = await _values(request)
            namespace = str(values.get("unique_id") or request.query_params.get("unique_id") or "default")
            data = await handler(Call(account, request, values, namespace, self._folder, form))
            response = data if isinstance(data, Response) else _envelope("0000", "success", data)
            return await _after(kind, fault or {}, response)
        except Refusal as refusal:
            return _envelope(refusal.code, refusal.message, None)
        except ClientDisconnect:
            return Response(status_code=499)
        finally:
            await request.close()  # what a form spooled to disk

    async def order_fault(self, request: Request) -> Response:
        """`POST /sandbox/faults {"fault", "path"?, "times"?, "seconds"?}` for the account of the key."""
        account = self._admitted(request)
        wanted = cast(dict[str, Any], await request.json())
        if wanted.get("fault") not in get_args(Fault):
            return JSONResponse({"error": f"unknown fault; there are: {', '.join(get_args(Fault))}"}, 400)
        account.faults.append({"path": "", "times": 1, **wanted})
        return Response(status_code=204)

    def _admitted(self, request: Request) -> Account:
        key = request.headers.get("authorization", "")
        # The service takes the bare key and nothing else (API 2.2).
        if not key or " " in key or key.startswith(REFUSED_KEY):
            raise Refusal("0401", "The authorization is invalid")
        if key.startswith(PENNILESS_KEY):
            raise Refusal("0402", "Not enough points")
        return self.account(key)


async def _values(request: Request) -> tuple[dict[str, Any], tuple[tuple[str, Any], ...]]:
    """The parameters by name, and a form's fields as they came."""
    kind = request.headers.get("content-type", "")
    if request.method == "GET":
        return dict(request.query_params), ()
    if "form" in kind:
        form = tuple((await request.form()).multi_items())
        return dict(form), form
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError:
        raise Refusal("0001", "One or more parameters are incorrect") from None
    return cast(dict[str, Any], body) if isinstance(body, dict) else {"": body}, ()


def _envelope(code: str, message: str, data: Any) -> JSONResponse:
    good = code == "0000"
    return JSONResponse({"code": code, "msg": message, "data": data, "success": good, "failed": not good})


def _infrastructure(status: int, error: str, request: Request) -> JSONResponse:
    body = {"timestamp": 0, "path": request.url.path, "status": status, "error": error, "requestId": "sandbox"}
    return JSONResponse(body, status)


def _fault(account: Account, path: str) -> dict[str, Any] | None:
    for fault in account.faults:
        if not fault["path"] or path == PREFIX + str(fault["path"]):
            fault["times"] -= 1
            if fault["times"] <= 0:
                account.faults.remove(fault)
            return fault
    return None


def _before(kind: str) -> Response | None:
    """Faults that stand in front of the work, so that nothing is done."""
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


async def _after(kind: str, fault: Mapping[str, Any], response: Response) -> Response:
    """Faults on the way back: the work is done, its answer suffers."""
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
            return Response((await _collected(response))[:-20], media_type=response.media_type)
        case "cut":
            return _cut(await _collected(response), response)
        case "no_terminator":
            lines = (await _collected(response)).split(b"\n\n")[:-2]
            return Response(b"\n\n".join(lines) + b"\n\n", media_type=response.media_type)
        case _:
            return response


async def _collected(response: Response) -> bytes:
    if isinstance(response, StreamingResponse):
        chunks = [chunk async for chunk in response.body_iterator]
        return b"".join(chunk.encode() if isinstance(chunk, str) else bytes(chunk) for chunk in chunks)
    if isinstance(response, FileResponse):
        return Path(response.path).read_bytes()
    return bytes(response.body)


def _cut(body: bytes, response: Response) -> Response:
    async def half() -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]
        await asyncio.sleep(0.01)
        raise ConnectionResetError("cut on request")

    headers = {"content-length": str(len(body))} if isinstance(response, FileResponse) else None
    return StreamingResponse(half(), media_type=response.media_type, headers=headers)


def _media(request: Request) -> Response:
    path = demo_data.MEDIA / Path(request.path_params["name"]).name
    return FileResponse(path) if path.is_file() else Response("no such file", 404)


def application(sandbox: Sandbox) -> Starlette:
    """The routes: the API, faults on request, the media host."""
    return Starlette(
        routes=[
            Route("/media/{name}", _media),
            Route("/sandbox/faults", sandbox.order_fault, methods=["POST"]),
            Route("/{path:path}", sandbox.serve, methods=["GET", "POST", "PUT", "DELETE"]),
        ]
    )
