"""The interface between an operation and the surface that runs it: API, files, progress, confirmation."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from memories_mcp.api import Api
from memories_mcp.file_access import Files
from memories_mcp.key_frames import KeyFrames
from memories_mcp.media.cache import KeptVideos
from memories_mcp.models.base import Row
from memories_mcp.transcript_cache import KeptTranscripts

CONFIRMATION_NEEDED = (
    "Nothing was done yet. Show this preview to the user. If the user agrees to it, or has asked for exactly this, "
    "call again with the same arguments and confirmation_token."
)
"""The note of a result that holds a `Pending`."""

ProgressKind = Literal["status", "thinking", "answer"]
"""The content of a progress message: the state of the work, the title of a reasoning step, or the answer so far."""


class Preview(Row):
    """The effect of an irreversible action, shown before any request is sent."""

    action: str
    """The action, in one sentence."""
    items: list[str]
    """The affected items, one line each."""


class Pending(Row):
    """An action that was not carried out yet: the same call with the token carries it out."""

    action: str
    """The action, in one sentence."""
    items: list[str] = []
    """The affected items, one line each."""
    confirmation_token: str
    """Token to pass back with the same arguments after the user agreed."""
    expires_in_seconds: int
    """Seconds until the token expires."""


class Progress(NamedTuple):
    """The progress of a call.

    Attributes:
        done: Amount of work done, in a unit that the operation chooses; never decreases during a call.
        total: Amount of work in all, or `None` if unknown.
        message: The state in one line; for the kind `answer`, all of the answer so far.
        kind: The content of `message`.
    """

    done: float
    total: float | None
    message: str
    kind: ProgressKind = "status"


class Context(Protocol):
    """The services that MCP, LangChain or the command line provide to a running operation."""

    @property
    def api(self) -> Api:
        """The API client, with the caller's key."""
        ...

    @property
    def transcripts(self) -> KeptTranscripts:
        """The transcripts that are kept for the caller's key."""
        ...

    @property
    def videos(self) -> KeptVideos:
        """The downloaded videos that are kept for the caller's key."""
        ...

    @property
    def key_frames(self) -> KeyFrames:
        """Where the service stores the pictures that the caller's searches have found."""
        ...

    @property
    def files(self) -> Files:
        """The files that tools may access."""
        ...

    @property
    def callback_url(self) -> str | None:
        """The operator's callback URL. Never a tool argument: a model could send data to any host."""
        ...

    @property
    def asks_confirmation(self) -> bool:
        """Whether `confirm` shows its preview; the operator may have switched that off."""
        ...

    @property
    def unique_id(self) -> str | None:
        """The fixed namespace, for operations without the argument `unique_id`; the others get it as that argument."""
        ...

    @property
    def reports_progress(self) -> bool:
        """Whether progress is reported to the caller; only then is streaming an answer useful."""
        ...

    async def progress(self, done: float, total: float | None, message: str, kind: ProgressKind = "status") -> None:
        """Report progress; a no-op if the caller receives none.

        Args:
            done: Amount of work done; never decreases during a call.
            total: Amount of work in all, or `None` if unknown.
            message: The state in one line; for the kind `answer`, all of the answer so far.
            kind: The content of `message`.
        """
        ...

    def changed(self, *uris: str) -> None:
        """Report the URIs of changed resources, for the subscribers to these resources."""
        ...

    async def confirm(self, preview: Preview) -> Pending | None:
        """Obtain confirmation of an irreversible action.

        Returns:
            `None` if the action is confirmed; otherwise a `Pending` for the result, with the token that confirms the
            action in a second call.

        Raises:
            Declined: The user refused.
            InvalidArguments: The confirmation token is not valid for this call.
        """
        ...
