"""The `Context` of one call of an operation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from memories_mcp.api import Api
from memories_mcp.audit import record_confirmation
from memories_mcp.confirmation import TOKEN_ARGUMENT, ConfirmationTokens
from memories_mcp.context import Pending, Preview, Progress, ProgressKind
from memories_mcp.errors import Declined
from memories_mcp.file_access import Files
from memories_mcp.key_frames import KeyFrames
from memories_mcp.media.cache import KeptVideos
from memories_mcp.observer import ConfirmationStep, Observer
from memories_mcp.settings import Settings
from memories_mcp.transcript_cache import KeptTranscripts

ProgressHandler = Callable[[Progress], Awaitable[None]]
"""Receives the progress of a running operation."""
ConfirmationHandler = Callable[[Preview], Awaitable[bool | None]]
"""Shows the user a preview and returns whether the user agrees; `None` if the user could not be asked."""
ChangeHandler = Callable[[Iterable[str]], None]
"""Receives the URIs of changed resources."""


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """The `Context` of one call; the surface supplies the handlers for progress and confirmation.

    Attributes:
        operation: The name of the operation, to which confirmation tokens are bound.
        principal: The caller to whom confirmation tokens are bound; secret.
        arguments: The validated arguments, to which confirmation tokens are bound.
        settings: The caller's settings.
        api: The API client.
        transcripts: The transcripts that are kept for the key.
        videos: The videos that are kept for the key.
        key_frames: The key frames that the caller's searches have found.
        files: The files that tools may access.
        unique_id: The fixed namespace.
        on_change: Receives the URIs of changed resources.
        on_progress: Receives progress.
        on_confirm: Asks the user for confirmation.
        observer: Receives the steps of confirmations.
    """

    operation: str
    principal: str = field(repr=False)
    arguments: Mapping[str, Any]
    settings: Settings
    api: Api
    transcripts: KeptTranscripts
    videos: KeptVideos
    key_frames: KeyFrames
    files: Files
    unique_id: str | None
    on_change: ChangeHandler
    on_progress: ProgressHandler | None
    on_confirm: ConfirmationHandler | None
    observer: Observer

    @property
    def callback_url(self) -> str | None:
        """The operator's callback URL."""
        return self.settings.callback_url or None

    @property
    def asks_confirmation(self) -> bool:
        """Whether `confirm` shows its preview."""
        return self.settings.confirm

    @property
    def reports_progress(self) -> bool:
        """Whether progress is reported to the caller."""
        return self.on_progress is not None

    async def progress(self, done: float, total: float | None, message: str, kind: ProgressKind = "status") -> None:
        """Report progress, as `Context.progress` describes.

        Args:
            done: Amount of work done.
            total: Amount of work in all, or `None` if unknown.
            message: The state in one line.
            kind: The content of `message`.
        """
        if self.on_progress is not None:
            await self.on_progress(Progress(done, total, message, kind))

    def changed(self, *uris: str) -> None:
        """Report the URIs of changed resources."""
        self.on_change(uris)

    async def confirm(self, preview: Preview) -> Pending | None:
        """Obtain confirmation of an irreversible action, as `Context.confirm` describes."""
        settings = self.settings
        if not settings.confirm:
            return None
        agreed = await self.on_confirm(preview) if self.on_confirm else None
        if agreed:
            self._record("given")
            return None
        if agreed is False:
            self._record("declined")
            raise Declined(
                "The user declined; nothing was changed.", next_step="Do not try again unless the user requests it."
            )
        tokens = ConfirmationTokens(settings.secret)
        token = self.arguments.get(TOKEN_ARGUMENT)
        if not token:
            self._record("asked")
            return tokens.issue(self.operation, self.arguments, self.principal, preview)
        tokens.verify(self.operation, self.arguments, self.principal, str(token))
        self._record("given")
        return None

    def _record(self, step: ConfirmationStep) -> None:
        record_confirmation(self.observer, self.operation, step)
