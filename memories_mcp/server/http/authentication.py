"""Authentication of HTTP requests: by sign-in, by the server's token or by the caller's own key.

Each way is on or off, and a request that fails in one is never tried in another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from memories_mcp.errors import ConfigurationError
from memories_mcp.operation import Effect
from memories_mcp.runner import AnyOperation
from memories_mcp.server.http.credentials import RequestUser, read_credentials
from memories_mcp.server.http.messages import error_response
from memories_mcp.server.http.protected_resource import (
    READ_SCOPE,
    WRITE_SCOPE,
    ProtectedResource,
    insufficient_scope,
)
from memories_mcp.settings import Settings

if TYPE_CHECKING:
    from memories_mcp.server.http.sign_in import SignIn


class Authentication:
    """Finds out which user a request comes from.

    Args:
        settings: The operator's.
        operations: All that the operator offers, by name.

    Attributes:
        resource: The server as clients that sign in see it.

    Raises:
        ConfigurationError: The settings contradict each other or one is missing, or the map cannot be used.
    """

    def __init__(self, settings: Settings, operations: Mapping[str, AnyOperation]) -> None:
        self.resource = ProtectedResource(settings)
        self._settings = settings
        self._operations = operations
        self._sign_in = _make_sign_in(settings)

    async def authenticate(self, headers: Headers) -> RequestUser:
        """Return the user of a request.

        Raises:
            RequestRefused: The request carries nothing that the server accepts.
        """
        credentials = read_credentials(headers, self._settings)
        if credentials.access_token and self._sign_in:
            credentials = await self._sign_in.resolve(credentials)
        return RequestUser(credentials)

    def refuse_message(self, scope: Scope, message: Mapping[str, Any]) -> Response | None:
        """Return the refusal of a call that the access token of its request does not cover.

        Args:
            scope: The request.
            message: Its JSON-RPC message.
        """
        user = scope.get("user")
        if not isinstance(user, RequestUser) or user.credentials.may_write or message.get("method") != "tools/call":
            return None
        params: object = message.get("params")
        name: object = cast(dict[str, object], params).get("name") if isinstance(params, dict) else None
        operation = self._operations.get(name) if isinstance(name, str) else None
        if operation is None or operation.effect is Effect.READ:
            return None
        text = f"{operation.name} needs the scope {WRITE_SCOPE}. Sign in again and allow it."
        refused = insufficient_scope(text, [READ_SCOPE, WRITE_SCOPE])
        headers = self.resource.challenge(scope, refused)
        return error_response(refused.status, refused.message, headers, request_id=message.get("id"))


def _make_sign_in(settings: Settings) -> SignIn | None:
    """Return the sign-in of a server; `None` if it has none."""
    if "token" in (settings.http_auth or ()) and not settings.http_token:
        raise ConfigurationError(
            "MEMORIES_HTTP_AUTH names token, and MEMORIES_HTTP_TOKEN is missing.", next_step="Set it to a token."
        )
    given = {
        "MEMORIES_OAUTH_ISSUER": settings.oauth_issuer,
        "MEMORIES_OAUTH_AUDIENCE": settings.oauth_audience,
        "MEMORIES_OAUTH_MAP": settings.oauth_map,
    }
    missing = [variable for variable, value in given.items() if not value]
    wanted = "oauth" in settings.ways
    if missing and (wanted or len(missing) < len(given)):
        raise ConfigurationError(
            f"Sign-in is not complete: {' and '.join(missing)} missing.",
            next_step="Set MEMORIES_OAUTH_ISSUER, MEMORIES_OAUTH_AUDIENCE and MEMORIES_OAUTH_MAP, or none of them.",
        )
    if not wanted:
        return None
    try:
        # Only here: PyJWT and its cryptography take time and room.
        from memories_mcp.server.http.sign_in import SignIn
    except ImportError:
        raise ConfigurationError(
            "Sign-in needs the package PyJWT with cryptography.", next_step="Run: pip install 'memories-mcp[team]'."
        ) from None
    return SignIn(settings)
