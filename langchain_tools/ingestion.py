"""Ingestion: upload videos, wait until they are processed, and index what a vector store does not hold yet."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from langchain_core.documents import Document
from langchain_core.utils.aiter import abatch_iterate
from langchain_core.utils.iter import batch_iterate
from langchain_core.vectorstores import VectorStore
from pydantic import BaseModel

from langchain_tools.base import clients_of
from langchain_tools.bridge import bridge
from langchain_tools.credentials import RunCredentials
from langchain_tools.loader import MemoriesTranscriptLoader
from langchain_tools.run_context import CurrentRun
from memories_mcp.errors import FATAL_ERRORS, FileRefused, MemoriesError
from memories_mcp.models.media import Video
from memories_mcp.operations import OPERATIONS
from memories_mcp.operations.common.polling import LONGEST_SECONDS
from memories_mcp.operations.evidence import Readiness
from memories_mcp.runner import Runner

_BATCH = 100
"""Documents that are compared with the store and added in one step."""
_BY_NAME = {operation.name: operation for operation in OPERATIONS}


class IngestionReport(BaseModel):
    """What an ingestion did, by source: the path or URL as it was given."""

    uploaded: dict[str, str] = {}
    """Sources that were uploaded, with their video numbers."""
    already_there: dict[str, str] = {}
    """Sources that the library held before, with their video numbers."""
    failed: dict[str, str] = {}
    """Sources that could not be uploaded or processed, with the reason and the next step."""
    unfinished: dict[str, str] = {}
    """Sources that were still being processed at the end of the wait, with their video numbers: ingest them again."""
    added: int = 0
    """Documents that the store did not hold."""
    replaced: int = 0
    """Documents of which the store held another text."""
    unchanged: int = 0
    """Documents that the store held already."""

    @property
    def video_nos(self) -> list[str]:
        """The numbers of the videos that were indexed, each once."""
        videos = {**self.already_there, **self.uploaded}
        return list(dict.fromkeys(number for source, number in videos.items() if source not in self._left_out))

    @property
    def _left_out(self) -> set[str]:
        return {*self.failed, *self.unfinished}


def ingest(
    sources: Iterable[str | Path], store: VectorStore, *, loader: MemoriesTranscriptLoader, wait_seconds: float = 3600
) -> IngestionReport:
    """Upload videos, wait until they are processed, and add what the store does not hold yet.

    A file whose name and size the library has, and a link whose file name it has, are not uploaded again. A store that
    finds documents by their ids (`get_by_ids`) is asked first, so that only new and changed documents are embedded; any
    other store gets all documents and replaces them by their ids.

    Args:
        sources: Paths of video files, and direct links to them.
        store: The vector store.
        loader: The account, the tracks and the length of the windows; its `video_nos` are not used.
        wait_seconds: How long to wait for the processing.

    Returns:
        The outcome of each source. A source that fails does not stop the others.
    """
    credentials = clients_of(loader).credentials(CurrentRun())
    report = bridge.run(lambda _: _upload_all(loader, credentials, sources, wait_seconds))
    if report.video_nos:
        with loader.model_copy(update={"video_nos": report.video_nos}) as documents:
            for batch in batch_iterate(_BATCH, documents.lazy_load()):
                _add(store, batch, report)
    return report


async def aingest(
    sources: Iterable[str | Path], store: VectorStore, *, loader: MemoriesTranscriptLoader, wait_seconds: float = 3600
) -> IngestionReport:
    """Upload videos, wait until they are processed, and index them, from async code; see `ingest`.

    Args:
        sources: Paths of video files, and direct links to them.
        store: The vector store.
        loader: The account, the tracks and the length of the windows; its `video_nos` are not used.
        wait_seconds: How long to wait for the processing.
    """
    credentials = await clients_of(loader).acredentials(CurrentRun())
    report = await bridge.arun(lambda _: _upload_all(loader, credentials, sources, wait_seconds))
    if report.video_nos:
        async with loader.model_copy(update={"video_nos": report.video_nos}) as documents:
            async for batch in abatch_iterate(_BATCH, documents.alazy_load()):
                await _aadd(store, batch, report)
    return report


async def _upload_all(
    loader: MemoriesTranscriptLoader,
    credentials: RunCredentials | None,
    sources: Iterable[str | Path],
    wait_seconds: float,
) -> IngestionReport:
    report = IngestionReport()
    async with clients_of(loader).runner(credentials) as runner:
        for source in dict.fromkeys(map(str, sources)):
            try:
                number, is_new = await _upload(runner, source)
            except FATAL_ERRORS:  # every other source would fail the same way
                raise
            except MemoriesError as error:
                report.failed[source] = str(error)
                continue
            (report.uploaded if is_new else report.already_there)[source] = number
        await _wait(runner, report, wait_seconds)
    return report


async def _upload(runner: Runner, source: str) -> tuple[str, bool]:
    """Return the number of a source's video, and whether the video was uploaded now."""
    if urlsplit(source).scheme in {"http", "https"}:
        name = PurePosixPath(unquote(urlsplit(source).path)).stem
        if known := await _find(runner, name, None):
            return known, False
        return (await _call(runner, "upload_video_url", url=source)).video_no, True
    path = Path(source)
    try:
        size = path.stat().st_size
        folder = path.resolve().parent
    except OSError as error:
        raise FileRefused(f"{source} cannot be read: {error.strerror}.", next_step="Check the path.") from None
    if known := await _find(runner, path.stem, size):
        return known, False
    local = Runner(runner.settings.change(files_root=folder), api=runner.api)
    return (await _call(local, "upload_video_file", path=path.resolve().name)).video_no, True


async def _find(runner: Runner, name: str, size: int | None) -> str | None:
    """Return the newest video of this name, and of this size in bytes where both are known, that did not fail."""
    if not name:
        return None
    videos: list[Video] = (await _call(runner, "list_videos", video_name=name[:300], size=200)).videos
    for video in videos:
        same_size = size is None or video.size_bytes is None or video.size_bytes == size
        if video.video_name == name and same_size and video.status != "failed":
            return video.video_no
    return None


async def _wait(runner: Runner, report: IngestionReport, wait_seconds: float) -> None:
    """Move the sources whose videos are not ready at the end of the wait to `failed` or `unfinished`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_seconds
    for source, number in {**report.already_there, **report.uploaded}.items():
        while True:
            remaining = max(0.0, deadline - loop.time())
            state: Readiness = await _call(
                runner, "wait_until_ready", video_nos=[number], max_seconds=min(LONGEST_SECONDS, int(remaining))
            )
            if state.ready or remaining < 1 or any(video.status == "failed" for video in state.videos):
                break
        if any(video.status == "failed" for video in state.videos):
            cause = next((video.cause for video in state.videos if video.cause), None)
            report.failed[source] = f"The processing of {number} failed: {cause or 'the service gives no reason.'}"
        elif not state.ready:
            report.unfinished[source] = number


async def _call(runner: Runner, name: str, **arguments: Any) -> Any:
    return (await runner.run(_BY_NAME[name], arguments)).output


def _add(store: VectorStore, batch: Sequence[Document], report: IngestionReport) -> None:
    held: Sequence[Document] = []
    with suppress(NotImplementedError):  # the store cannot find documents by their ids
        held = store.get_by_ids([document.id for document in batch if document.id])
    if new := _new_documents(batch, held, report):
        store.add_documents(new)


async def _aadd(store: VectorStore, batch: Sequence[Document], report: IngestionReport) -> None:
    held: Sequence[Document] = []
    with suppress(NotImplementedError):  # the store cannot find documents by their ids
        held = await store.aget_by_ids([document.id for document in batch if document.id])
    if new := _new_documents(batch, held, report):
        await store.aadd_documents(new)


def _new_documents(batch: Sequence[Document], held: Iterable[Document], report: IngestionReport) -> list[Document]:
    """Return the documents that the store lacks or holds with another text, and count all of them."""
    texts: Mapping[str | None, str] = {document.id: document.page_content for document in held}
    new = [document for document in batch if texts.get(document.id) != document.page_content]
    report.replaced += sum(document.id in texts for document in new)
    report.added += sum(document.id not in texts for document in new)
    report.unchanged += len(batch) - len(new)
    return new
