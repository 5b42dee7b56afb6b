"""Caps on open sessions: one credential cannot take the room of the others.

A session is a streamable HTTP session of the handshake era, an SSE stream, or a stream of `subscriptions/listen`. Most
clients leave without ending theirs, so a session without a request under way makes room for a new one; its client
receives 404 and begins another, as the protocol requires.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from memories_mcp.server.http.credentials import RequestRefused, RequestUser
from memories_mcp.server.http.messages import error_response
from memories_mcp.server.tenants import Tenants

_SESSION_HEADER = "mcp-session-id"
_RETRY_SECONDS = "60"


@dataclass(eq=False)
class _Session:
    user: RequestUser
    requests: int = 0
    """The number of requests under way, open streams included."""
    last_used: float = 0.0
    verified: bool = False
    """Whether the service or the operator's token has confirmed the credential."""
    session_id: str = ""


class SessionLimitMiddleware:
    """Counts the open sessions of each credential; above the limit, the one unused for longest ends.

    Args:
        app: The app with the transports.
        tenants: The server's; they know which credentials are confirmed.
        path: The path of streamable HTTP.
        stream_path: The path of SSE streams.
    """

    def __init__(self, app: ASGIApp, tenants: Tenants, path: str, stream_path: str) -> None:
        self._app = app
        self._tenants = tenants
        self._path = path
        self._stream_path = stream_path
        self._most = tenants.settings.max_sessions
        self._most_of_all = tenants.settings.max_all_sessions
        self._sessions: dict[str, list[_Session]] = {}  # by credential
        self._by_id: dict[str, _Session] = {}
        self.count = 0
        """The number of open sessions."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse one that would open a session too many."""
        user = scope.get("user")
        if not isinstance(user, RequestUser):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        session = self._by_id.get(headers.get(_SESSION_HEADER, ""))
        if session is None and self._opens(scope, headers):
            try:
                session = await self._admit(user, scope)
            except RequestRefused as refused:
                retry = {"Retry-After": _RETRY_SECONDS}
                await error_response(refused.status, refused.message, retry)(scope, receive, send)
                return
        if session is None or session.user.user_id != user.user_id:  # the SDK refuses another user's session
            await self._app(scope, receive, send)
            return
        await self._serve(session, scope, receive, send)

    def _opens(self, scope: Scope, headers: Headers) -> bool:
        """Return whether a request opens a session if it succeeds."""
        if scope["method"] == "GET":
            return scope["path"] == self._stream_path
        if scope["method"] != "POST" or scope["path"] != self._path or _SESSION_HEADER in headers:
            return False
        version = headers.get("mcp-protocol-version")
        is_handshake_era = version is None or version in HANDSHAKE_PROTOCOL_VERSIONS
        return is_handshake_era or headers.get("mcp-method") == "subscriptions/listen"

    async def _serve(self, session: _Session, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_record(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._record(session, scope["method"], message)
            await send(message)

        session.requests += 1
        try:
            await self._app(scope, receive, send_and_record)
        finally:
            session.requests -= 1
            session.last_used = time.monotonic()
            session.verified = session.verified or self._tenants.is_verified(session.user.credentials)
            if not session.session_id:  # a stream that has ended, or a request that opened nothing
                self._forget(session)

    def _record(self, session: _Session, method: str, response: Message) -> None:
        """Note whether a response opens or ends its session."""
        if response["status"] == 404 or (method == "DELETE" and response["status"] < 400):
            self._forget(session)
        elif response["status"] < 400 and not session.session_id:
            session.session_id = Headers(raw=response.get("headers", [])).get(_SESSION_HEADER, "")
            if session.session_id:
                self._by_id[session.session_id] = session

    async def _admit(self, user: RequestUser, scope: Scope) -> _Session:
        """Add a session, after making room for it.

        Raises:
            RequestRefused: All sessions that could make room are in use.
        """
        own = self._sessions.get(user.credential, [])
        ended = None
        if len(own) >= self._most:
            ended = self._forget_idle(own)
            if ended is None:
                raise RequestRefused(
                    429,
                    f"This credential has {self._most} sessions in use, the most allowed. Close one, then try again.",
                )
        elif self.count >= self._most_of_all:
            candidates = [session for sessions in self._sessions.values() for session in sessions]
            # Keys can be made up at no cost, so the sessions of unverified ones end first.
            ended = self._forget_idle(session for session in candidates if not session.verified)
            ended = ended or self._forget_idle(candidates)
            if ended is None:
                raise RequestRefused(503, "The server has no room for another session. Try again in a minute.")
        session = _Session(user)
        self._sessions.setdefault(user.credential, []).append(session)
        self.count += 1
        if ended is not None:
            await self._end(ended, scope)
        return session

    def _forget_idle(self, sessions: Iterable[_Session]) -> _Session | None:
        """Forget the session that is unused for longest, and return it; `None` if all are in use."""
        idle = (session for session in sessions if session.session_id and not session.requests)
        longest = min(idle, key=lambda session: session.last_used, default=None)
        if longest is not None:
            self._forget(longest)
        return longest

    def _forget(self, session: _Session) -> None:
        self._by_id.pop(session.session_id, None)
        own = self._sessions.get(session.user.credential, [])
        if session in own:
            own.remove(session)
            self.count -= 1
        if not own:
            self._sessions.pop(session.user.credential, None)

    async def _end(self, session: _Session, scope: Scope) -> None:
        """End a session as its own client would."""
        headers = [
            *((name, value) for name, value in scope["headers"] if name == b"host"),
            (_SESSION_HEADER.encode(), session.session_id.encode()),
        ]
        request = {**scope, "method": "DELETE", "path": self._path, "headers": headers, "user": session.user}

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None: ...

        await self._app(request, receive, send)
