"""The runner: validates arguments, runs an operation and renders the result, identically for every surface."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from memories_mcp.api import Api
from memories_mcp.api.rate_limits import NO_LIMITS, RateLimiter
from memories_mcp.api.spending import UNLIMITED, Spending
from memories_mcp.context import Context
from memories_mcp.file_access import Files
from memories_mcp.key_frames import KeyFrames
from memories_mcp.media.cache import VideoCache
from memories_mcp.models.base import Output, iter_parts
from memories_mcp.models.evidence import Evidence
from memories_mcp.models.ids import is_public
from memories_mcp.models.tolerance import collect_omissions, describe_omissions
from memories_mcp.models.uris import VIDEOS, in_namespace
from memories_mcp.observer import UNOBSERVED, Observer
from memories_mcp.operation import Effect, Operation
from memories_mcp.operations import select
from memories_mcp.operations.common.names import StandIns
from memories_mcp.operations.common.newest import NewestVideos
from memories_mcp.operations.common.posts import KnownPosts
from memories_mcp.rendering.budget import fit
from memories_mcp.rendering.fence import make_nonce
from memories_mcp.rendering.text import render
from memories_mcp.run_context import ChangeHandler, ConfirmationHandler, ProgressHandler, RunContext
from memories_mcp.settings import Settings
from memories_mcp.transcript_cache import TranscriptCache

Out = TypeVar("Out", bound=Output)
AnyOperation = Operation[Any, Any]


@dataclass(frozen=True)
class RunResult(Generic[Out]):
    """The result of a call.

    Attributes:
        text: Compact text, with text from videos and the network fenced.
        structured: The same facts as JSON data.
        output: The same facts as the operation's output model.
        unique_id: The namespace of the call; `None` for the default one, and for operations without a namespace.
    """

    text: str
    structured: dict[str, Any]
    output: Out
    unique_id: str | None


@asynccontextmanager
async def open_runner(settings: Settings, *, api: Api | None = None) -> AsyncGenerator[Runner, None]:
    """Yield a runner that is closed when the body ends; with `settings.sandbox` a sandbox runs as long.

    Args:
        settings: The settings of the runner.
        api: An API client to use instead of one for the settings; no sandbox is started then.
    """
    async with AsyncExitStack() as stack:
        runner = Runner(await stack.enter_async_context(with_sandbox(settings, api=api)), api=api)
        stack.push_async_callback(runner.aclose)
        yield runner


@asynccontextmanager
async def with_sandbox(settings: Settings, *, api: Api | None = None) -> AsyncGenerator[Settings, None]:
    """Yield settings that point to a running service: a sandbox started for the body if `settings.sandbox` is set.

    Args:
        settings: The settings; without `sandbox` they are yielded unchanged.
        api: An API client that replaces the service; no sandbox is started then.
    """
    if not settings.sandbox or api is not None:
        yield settings
        return
    from memories_mcp import sandbox

    async with sandbox.run_sandbox() as url:
        yield use_sandbox(settings, url)


def use_sandbox(settings: Settings, url: str) -> Settings:
    """Return settings that use the running sandbox at `url`; without an API key they use the demo account."""
    from memories_mcp.sandbox import DEMO_KEY

    key = settings.api_key or DEMO_KEY
    return settings.change(base_url=url, api_key=key, caption_base_url=url, caption_api_key=key)


class Runner:
    """Runs operations for one caller: one key, one namespace, a selection of operations and one API client.

    Args:
        settings: The caller's key and namespace, the API's host, the toolsets and the other settings.
        api: An API client to use instead of one for the settings. The runner closes it in both cases.
        limits: Rate limits to share with other runners of the same key; by default those of the settings.
        transcripts: Kept transcripts to share with other runners of the process; by default the runner's own.
        videos: Kept videos to share likewise.
        extra_operations: Operations to offer in addition to those that the settings select.
        fixed_namespace: Whether to remove `unique_id` from the arguments even if the settings name no namespace.
        key_hint: Where a caller sets a missing key, for the error text; by default the variables of the environment.

    Attributes:
        settings: The settings.
        principal: The caller to whom confirmation tokens are bound, by default the key; secret; set by the server.
        operations: The offered operations by name.
        pinned: The arguments that the operator fixed, by name.
        changed: Receives the URIs of changed resources; set by the server.
        observer: Receives the steps of confirmations; set by the server.
        api: The API client.
        transcripts: The transcripts that are kept for the key.
        videos: The videos that are kept for the key.
        key_frames: The key frames that the caller's searches have found.
        files: The files that tools may access.
        newest_videos: The newest videos of each namespace.
        stand_ins: Replaces names and URLs in arguments by numbers.

    Raises:
        ConfigurationError: The settings name an unknown toolset, tool or class of rate limits.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        api: Api | None = None,
        limits: RateLimiter | None = None,
        transcripts: TranscriptCache | None = None,
        videos: VideoCache | None = None,
        extra_operations: Sequence[AnyOperation] = (),
        fixed_namespace: bool = False,
        key_hint: str = "",
    ) -> None:
        self.settings = settings
        self.principal = settings.api_key
        self.pinned: dict[str, Any] = {}
        if fixed_namespace or settings.unique_id:
            self.pinned["unique_id"] = settings.unique_id or None
            self.pinned["folder_id"] = None  # a folder belongs to the account, and may hold videos of any namespace
        selected = select(settings.toolsets, settings.read_only, settings.exclude_tools, settings.tools)
        self.operations: dict[str, AnyOperation] = {
            operation.name: operation
            for operation in (*selected, *extra_operations)
            if not (operation.whole_account and "unique_id" in self.pinned)
        }
        self.changed: ChangeHandler | None = None
        self.observer = UNOBSERVED
        self.api = api or make_api(settings, limits or rate_limits_of(settings), key_hint=key_hint)
        self.transcripts = (transcripts or TranscriptCache()).of(settings.api_key)
        self._owns_videos = videos is None
        self.videos = (videos or VideoCache(settings.media_cache_mib)).of(settings.api_key)
        self.key_frames = KeyFrames()
        self.files = Files(settings.files_root)
        self.newest_videos = NewestVideos(self.api)
        self._posts = KnownPosts()
        self.stand_ins = StandIns(self.newest_videos, self._posts)

    def restrict(self, offered: Callable[[AnyOperation], bool], *, read_only: bool = False) -> Runner:
        """Return a runner that shares everything with this one but offers less, and with `read_only` writes no file."""
        runner = copy.copy(self)
        runner.settings = self.settings.change(read_only=read_only or self.settings.read_only)
        runner.operations = {name: operation for name, operation in self.operations.items() if offered(operation)}
        return runner

    def withheld(self, operation: AnyOperation) -> dict[str, Any]:
        """Return the arguments that a caller cannot set, by name: the fixed ones, and file options without files."""
        closed = self.settings.read_only or not self.settings.files_root
        return self.pinned | (operation.file_options if closed else {})

    def context(
        self,
        operation: str = "",
        arguments: Mapping[str, Any] | None = None,
        *,
        on_progress: ProgressHandler | None = None,
        on_confirm: ConfirmationHandler | None = None,
    ) -> Context:
        """Return the context of one call.

        Args:
            operation: The name of the operation, to which confirmation tokens are bound.
            arguments: The validated arguments, to which confirmation tokens are bound.
            on_progress: Receives progress.
            on_confirm: Asks the user for confirmation; without it, a confirmation takes a preview and a token.
        """
        return RunContext(
            operation=operation,
            principal=self.principal,
            arguments=arguments or {},
            settings=self.settings,
            api=self.api,
            transcripts=self.transcripts,
            videos=self.videos,
            key_frames=self.key_frames,
            files=replace(self.files, notes=[]),
            unique_id=self.pinned.get("unique_id"),
            on_change=self._record_change,
            on_progress=on_progress,
            on_confirm=on_confirm,
            observer=self.observer,
        )

    def _record_change(self, uris: Iterable[str]) -> None:
        self.transcripts.drop(uris)
        self.videos.drop(uris)
        if any(uri.startswith(VIDEOS) for uri in uris):
            self.newest_videos.invalidate()
        if self.changed:
            self.changed(uris)

    async def run(
        self,
        operation: Operation[Any, Out],
        raw: Mapping[str, Any] | None,
        *,
        on_progress: ProgressHandler | None = None,
        on_confirm: ConfirmationHandler | None = None,
        nonce: str | None = None,
    ) -> RunResult[Out]:
        """Validate the arguments, run an operation and render its result.

        Args:
            operation: The operation; it need not be among the offered ones.
            raw: The arguments as the caller sent them.
            on_progress: Receives progress.
            on_confirm: Asks the user for confirmation; without it, a confirmation takes a preview and a token.
            nonce: The nonce of the fence around untrusted text; random by default.

        Raises:
            InvalidArguments: The arguments are invalid; no request was sent.
            AmbiguousName: Several videos have a name in the arguments; the operation did not run.
            Declined: The user refused to confirm.
            ApiError: The API refused the request.
            MemoriesError: Another failure that the text explains, such as a lost connection or a refused file.
        """
        args = operation.validate(raw, self.withheld(operation))
        args, sentences = await self.stand_ins.resolve(args, strict=operation.effect is Effect.DESTRUCTIVE)
        # A confirmation is bound to the numbers: it does not count for another video that has the name by then.
        context = self.context(operation.name, dict(args), on_progress=on_progress, on_confirm=on_confirm)
        with collect_omissions() as omissions:
            output = await operation.function(context, args)
        self.transcripts.record(output)
        output.add_note(describe_omissions(omissions.values()))
        if context.files.notes:
            output.add_note(" ".join(context.files.notes))
        unique_id: str | None = getattr(args, "unique_id", None)
        self.add_namespaces(output, unique_id)
        self._posts.record(output)
        self.key_frames.record(iter_parts(output, Evidence), unique_id)
        output.quote(sentences)
        if args.reading_notes:
            output.note = " ".join([*args.reading_notes, *filter(None, [output.note])])
        fit(output)
        return RunResult(render(output, nonce or make_nonce()), output.structured(), output, unique_id)

    def add_namespaces(self, output: Output, unique_id: str | None) -> None:
        """Add the namespace to the URI of each evidence in a result, in place, so that a client can read the URI."""
        if not unique_id:
            return
        for evidence in iter_parts(output, Evidence):
            if evidence.uri:
                evidence.uri = self.add_namespace(evidence.uri, unique_id, evidence.video_no or "")

    def add_namespace(self, uri: str, unique_id: str | None, video_no: str = "") -> str:
        """Return a URI with the namespace added, unless it is the fixed namespace or the video is public.

        Args:
            uri: A resource URI.
            unique_id: The namespace of the resource.
            video_no: The video that the resource belongs to, if any.
        """
        if not unique_id or unique_id == self.pinned.get("unique_id") or is_public(video_no):
            return uri
        return in_namespace(uri, unique_id)

    async def aclose(self) -> None:
        """Close the API client, and remove the runner's own videos."""
        if self._owns_videos:
            await self.videos.cache.aclose()
        await self.api.aclose()


def rate_limits_of(settings: Settings) -> RateLimiter:
    """Return the rate limits of the settings; the sandbox has none."""
    return RateLimiter(NO_LIMITS if settings.sandbox else settings.rate_limits)


def make_api(
    settings: Settings,
    limits: RateLimiter,
    *,
    key_hint: str = "",
    on_result: Callable[[object], None] | None = None,
    observer: Observer = UNOBSERVED,
    spending: Spending = UNLIMITED,
) -> Api:
    """Return an API client for the settings.

    Args:
        settings: The keys, the hosts and the largest answer.
        limits: The rate limits of the key.
        key_hint: Where a caller sets a missing key; by default the variables of the environment.
        on_result: Receives every result, already in its type.
        observer: Receives a report of every request.
        spending: Counts the requests that cost money.
    """
    return Api(
        settings.api_key,
        settings.base_url,
        caption_key=settings.caption_api_key,
        caption_base_url=settings.caption_base_url,
        rates=limits,
        max_bytes=settings.max_response_mib * 1024 * 1024,
        key_hint=key_hint,
        on_result=on_result,
        observer=observer,
        spending=spending,
    )
