"""What an operation gets from the surface that calls it: the API, files, progress, confirmation."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from memories_mcp.api import Api
from memories_mcp.file_access import Files
from memories_mcp.models.base import Row

NOT_YET = (
    "Nothing was done yet. Show the user this; if they agree, call again with the same arguments and "
    "confirmation_token."
)


ProgressKind = Literal["status", "thinking", "answer"]
"""What a message of progress is: where the work stands, a step of reasoning, or the answer so far."""


class Preview(Row):
    """What would be lost, shown before anything is sent."""

    action: str
    """What will happen, in one sentence."""
    items: list[str]
    """What it happens to, one line each."""


class Pending(Row):
    """Nothing was done yet: the same call with the token does it."""

    action: str
    """What will happen, in one sentence."""
    items: list[str] = []
    """What it happens to, one line each."""
    confirmation_token: str
    """Pass it back with the same arguments, after the user agreed."""
    expires_in_seconds: int
    """How long the token is valid."""


class Progress(NamedTuple):
    """How far a call is; `done` only grows."""

    done: float
    total: float | None
    message: str
    kind: ProgressKind = "status"


class Context(Protocol):
    """What an operation gets from whoever calls it: MCP, LangChain or the command line."""

    @property
    def api(self) -> Api:
        """The API, with the caller's key."""
        ...

    @property
    def files(self) -> Files:
        """The files the caller opened to tools."""
        ...

    @property
    def callback_url(self) -> str | None:
        """Where the operator wants the service to report; never an argument, or a model could send data anywhere."""
        ...

    @property
    def follows(self) -> bool:
        """Whether anybody follows the progress, so that streaming an answer is of use."""
        ...

    async def progress(self, done: float, total: float | None, message: str, kind: ProgressKind = "status") -> None:
        """Say how far it is; a no-op where nobody follows. The message of an `answer` is all of it so far."""
        ...

    def changed(self, *uris: str) -> None:
        """Say which resources are no longer what they were, so that subscribers read them again."""
        ...

    async def confirm(self, preview: Preview) -> Pending | None:
        """Ask before what cannot be undone.

        Returns:
            `None` to go on, or what the result must carry so that a second call can confirm.

        Raises:
            Declined: A person said no.
        """
        ...
