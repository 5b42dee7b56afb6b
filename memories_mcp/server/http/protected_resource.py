"""The challenges of refused requests, and the document that tells clients where to sign in (RFC 9728)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from memories_mcp.server.http.credentials import RequestRefused
from memories_mcp.settings import Settings
from memories_mcp.sign_in_values import LOOPBACK_HOSTS

READ_SCOPE = "memories:read"
WRITE_SCOPE = "memories:write"
METADATA_PATH = "/.well-known/oauth-protected-resource"
INSUFFICIENT_SCOPE = "insufficient_scope"
_DEFAULT_PATH = "/mcp"


class ProtectedResource:
    """The server as clients that sign in see it.

    Args:
        settings: The operator's.
    """

    def __init__(self, settings: Settings) -> None:
        self._issuer = settings.oauth_issuer if "oauth" in settings.ways else ""
        self._urls = [name for name in settings.oauth_audience if name.startswith(("https://", "http://"))]

    def challenge(self, scope: Scope, refused: RequestRefused) -> dict[str, str]:
        """Return the headers of a refusal: those of its own, and a challenge if other credentials would help.

        Args:
            scope: The refused request.
            refused: The refusal.
        """
        headers = dict(refused.headers)
        if refused.status != 401 and refused.error != INSUFFICIENT_SCOPE:
            return headers
        parts = ['realm="memories-mcp"']
        if refused.error:
            parts += [f'error="{refused.error}"', f'error_description="{_description(refused.message)}"']
        if self._issuer:
            # The read scope alone: a client asks for more when a tool needs more.
            needed = refused.scopes or [READ_SCOPE]
            parts += [f'resource_metadata="{self._metadata_url(scope)}"', f'scope="{" ".join(needed)}"']
        headers["WWW-Authenticate"] = f"Bearer {', '.join(parts)}"
        return headers

    async def document(self, request: Request) -> Response:
        """Return the metadata of the endpoint that the path names after the well-known prefix."""
        if not self._issuer:
            return Response(status_code=404)
        document = {
            "resource": self._url(request.scope, request.url.path.removeprefix(METADATA_PATH)),
            "authorization_servers": [self._issuer],
            "scopes_supported": [READ_SCOPE, WRITE_SCOPE],
            "bearer_methods_supported": ["header"],
            "resource_name": "Memories.ai",
        }
        return JSONResponse(document, headers={"Cache-Control": "max-age=300"})

    def _metadata_url(self, scope: Scope) -> str:
        path = "/sse" if scope["path"].startswith("/messages") else scope["path"]
        parts = urlsplit(self._url(scope, path))
        resource_path = parts.path.rstrip("/") or _DEFAULT_PATH
        return f"{parts.scheme}://{parts.netloc}{METADATA_PATH}{resource_path}"

    def _url(self, scope: Scope, path: str) -> str:
        """Return the URL of this server that clients name when they sign in.

        That is the audience with this path, else the first audience that is a URL, else the URL of the request.

        Args:
            scope: The request; its Host is one of the allowed names.
            path: The path of the endpoint.
        """
        same_path = (url for url in self._urls if urlsplit(url).path.rstrip("/") == path)
        if url := next(same_path, "") or next(iter(self._urls), ""):
            return url
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        scheme = "http" if urlsplit(f"//{host}").hostname in LOOPBACK_HOSTS else "https"
        return f"{scheme}://{host}{_DEFAULT_PATH}"


def _description(message: str) -> str:
    """Return a text in the characters that a challenge may hold (RFC 6750)."""
    text = message.replace("…", "...").replace('"', "'").replace("\\", "/")
    return text.encode("ascii", "replace").decode()


def insufficient_scope(message: str, needed: Sequence[str]) -> RequestRefused:
    """Return the refusal of a request that its access token does not cover.

    Args:
        message: What is missing and what to do.
        needed: The scopes that the token must have.
    """
    return RequestRefused(403, message, INSUFFICIENT_SCOPE, scopes=needed)
