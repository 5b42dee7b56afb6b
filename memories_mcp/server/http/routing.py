"""Names of processes in what a server hands out, so that each request of a session finds the process that began it.

A replica or a worker puts its name before the ids of its sessions (`Mcp-Session-Id: NAME.ID`) and into the path for the
messages of its SSE streams (`/messages/NAME/`). A proxy routes by the replica in the name; a worker passes requests on
that belong to another worker.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from memories_mcp.server.http.middleware import AccessMiddleware
from memories_mcp.server.http.peers import PeerAway, Peers

MESSAGES_PATH = "/messages"
_SESSION_HEADER = b"mcp-session-id"


def messages_path(name: str) -> str:
    """Return the path for the messages of SSE streams of the process with this name."""
    return f"{MESSAGES_PATH}/{name}" if name else MESSAGES_PATH


class SessionRouter:
    """Adds the name of this process to new sessions, and passes requests of other workers' sessions on.

    Args:
        app: The app of this process, which knows its sessions without the name.
        name: The name of this process; empty for the only one.
        peers: The other workers, if there are any.
    """

    def __init__(self, app: AccessMiddleware, name: str, peers: Peers | None) -> None:
        self._app = app
        self._name = name
        self._peers = peers
        self._forwarded_posts = 0

    @property
    def pending_posts(self) -> int:
        """The number of POST requests without a complete response, except streams of subscriptions."""
        return self._app.pending_posts + self._forwarded_posts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or have the worker serve it that began its session."""
        if scope["type"] == "http" and scope["method"] == "GET":
            await self._serve_stream(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request whose response may be a stream that ends with the server, and then lacks its last part."""
        is_open = False

        async def send_and_record(message: Message) -> None:
            nonlocal is_open
            is_open = message["type"] == "http.response.start" or message.get("more_body", False)
            await send(message)

        if await self._serve(scope, receive, send_and_record) and is_open:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Serve a request, and return whether this process did so."""
        if not self._name or scope["type"] != "http":
            await self._app(scope, receive, send)
            return True
        owner = _owner(scope)
        if self._peers and owner in self._peers.names:
            try:
                await self._forward(self._peers, owner, scope, receive, send)
                return False
            except PeerAway:
                pass  # its sessions are lost, so this process answers as for any unknown session
        prefix = f"{self._name}.".encode()

        async def send_with_name(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [
                    (name, prefix + value if name == _SESSION_HEADER else value)
                    for name, value in message.get("headers", ())
                ]
                message = {**message, "headers": headers}
            await send(message)

        headers = [
            (name, value.removeprefix(prefix) if name == _SESSION_HEADER else value) for name, value in scope["headers"]
        ]
        await self._app({**scope, "headers": headers}, receive, send_with_name)
        return True

    async def _forward(self, peers: Peers, owner: str, scope: Scope, receive: Receive, send: Send) -> None:
        is_post = scope["method"] == "POST"
        self._forwarded_posts += is_post
        try:
            await peers.forward(owner, scope, receive, send)
        finally:
            self._forwarded_posts -= is_post


def _owner(scope: Scope) -> str:
    """Return the name of the process that began the session of a request; empty for a request without a session."""
    parent, _, name = scope["path"].removesuffix("/").rpartition("/")
    if parent == MESSAGES_PATH:
        return name
    return Headers(scope=scope).get(_SESSION_HEADER.decode(), "").rpartition(".")[0]
