"""Folders of the caller's own library; a folder belongs to the whole account, not to a namespace (API 6)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from memories_mcp.api.endpoints import (
    CREATE_FOLDER,
    DELETE_FOLDER,
    FOLDER_VIDEOS,
    FOLDERS,
    MOVE_TO_FOLDER,
    RENAME_FOLDER,
)
from memories_mcp.api.responses import is_temporary
from memories_mcp.context import CONFIRMATION_NEEDED, Context, Pending, Preview
from memories_mcp.errors import ApiError, InvalidArguments, MemoriesError, NotFound
from memories_mcp.models.base import ConfirmableInput, Input, Output, Page, Row
from memories_mcp.models.coercions import Id, OptionalId, OptionalLine, one_line, shorten, wire_list
from memories_mcp.models.ids import PrivateVideoNo, show_ids
from memories_mcp.models.media import Video
from memories_mcp.models.spellings import FOLDERS as FOLDER_SPELLING
from memories_mcp.models.uris import VIDEOS
from memories_mcp.operation import Effect
from memories_mcp.operations.common.lookups import describe_video
from memories_mcp.operations.common.paging import fit_page
from memories_mcp.operations.toolsets import folders

DEFAULT, LEGACY = "-1", "-2"
"""The folders that every account has: the one for videos without another, and the legacy API's, which is read-only."""

_MOST_NAMED = 20
"""Videos that a preview names; the others are counted."""
_LISTED_PAGE = 200
_PAGES_SEARCHED = 5

_LONG_ID = re.compile("-[12]|[0-9]{15,19}")
"""An id that is no name: it is sent without a look-up."""


def _check_own(value: str) -> str:
    value = value.strip()
    if value in {DEFAULT, LEGACY}:
        raise ValueError("this folder belongs to every account and can be neither renamed nor deleted")
    return value


def _check_name(value: str) -> str:
    value = value.strip()
    if not value.isprintable():
        raise ValueError("a name has no control characters")
    return value


FolderIdOrName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(str.strip), FOLDER_SPELLING]
OwnFolder = Annotated[FolderIdOrName, AfterValidator(_check_own)]
"""A folder that its owner may change."""
FolderName = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_check_name)]


class Folder(Row):
    """A folder."""

    folder_id: Id
    folder_name: OptionalLine = None


class FolderList(Output):
    """All folders of the account."""

    folders: Annotated[list[Folder], wire_list()] = []
    """-1 is the Default folder; -2, the legacy API's, is read-only."""


class ListFolders(Input):
    """Arguments of `list_folders`."""


@folders.operation(title="List folders", effect=Effect.READ, endpoints=[FOLDERS])
async def list_folders(context: Context, args: ListFolders) -> FolderList:
    """List the folders of your library with ids and names."""
    return await context.api.call(FOLDERS, into=FolderList)


class CreateFolder(Input):
    """Arguments of `create_folder`."""

    name: FolderName = Field(examples=["Travel"])
    """At most 100 characters, unique."""


class SavedFolder(Output):
    """A folder as it is now."""

    folder_id: OptionalId = None
    folder_name: OptionalLine = None


@folders.operation(title="Create a folder", effect=Effect.WRITE, endpoints=[CREATE_FOLDER])
async def create_folder(context: Context, args: CreateFolder) -> SavedFolder:
    """Create a folder for videos of your library."""
    folder = await context.api.call(CREATE_FOLDER, form={"name": args.name}, into=SavedFolder)
    folder.folder_name = folder.folder_name or args.name
    if folder.folder_id is None:
        folder.note = "The folder was created; list_folders shows its id."
    return folder


class RenameFolder(Input):
    """Arguments of `rename_folder`."""

    folder_id: OwnFolder = Field(examples=["671631448308117504"])
    """Id or name."""
    new_name: FolderName = Field(examples=["Travel 2026"])
    """At most 100 characters, unique."""


@folders.operation(title="Rename a folder", effect=Effect.WRITE, endpoints=[RENAME_FOLDER, FOLDERS], idempotent=True)
async def rename_folder(context: Context, args: RenameFolder) -> SavedFolder:
    """Give a folder of your library another name."""
    folder_id = _require_own(await _folder_id(context, args.folder_id))
    form = {"folder_id": folder_id, "new_name": args.new_name}
    folder = await context.api.call(RENAME_FOLDER, form=form, into=SavedFolder)
    folder.folder_id = folder.folder_id or folder_id
    folder.folder_name = folder.folder_name or args.new_name
    return folder


class ListFolderVideos(Input):
    """Arguments of `list_folder_videos`."""

    folder_id: FolderIdOrName = Field(examples=[DEFAULT])
    """Id or name; -1 is Default."""
    page: int = Field(default=1, ge=1)
    """Page number."""
    page_size: int = Field(default=20, ge=1)
    """Videos per page."""


class FolderVideos(Page):
    """A page of the videos of a folder."""

    videos: Annotated[list[Video], wire_list()] = []


@folders.operation(title="List a folder's videos", effect=Effect.READ, endpoints=[FOLDER_VIDEOS, FOLDERS])
async def list_folder_videos(context: Context, args: ListFolderVideos) -> FolderVideos:
    """List the videos in a folder with their state, length and date."""
    folder_id = await _folder_id(context, args.folder_id)
    query = {"folder_id": folder_id, "page": args.page, "page_size": args.page_size}
    page = await context.api.call(FOLDER_VIDEOS, query=query, into=FolderVideos)
    videos, note = fit_page(
        page.videos,
        args.page,
        args.page_size,
        empty="This folder holds no videos. Move some there with move_videos_to_folder.",
        total=page.total,
        size_argument="page_size",
    )
    return FolderVideos(videos=videos, page=args.page, total=page.total, note=note)


class MoveVideosToFolder(Input):
    """Arguments of `move_videos_to_folder`."""

    video_nos: list[PrivateVideoNo] = Field(min_length=1, max_length=500, examples=[["VI612515093881740229"]])
    """At most 500."""
    folder_id: FolderIdOrName = Field(examples=[DEFAULT])
    """Id or name; -1 is Default."""


class Moved(Output):
    """The outcome of a move, checked by listing the folder afterwards."""

    folder_id: str
    moved: list[str] = []
    """Now in the folder, as far as the check could tell."""
    not_moved: list[str] = []
    """Not in the folder after the request."""


@folders.operation(
    title="Move videos to a folder",
    effect=Effect.WRITE,
    endpoints=[MOVE_TO_FOLDER, FOLDERS, FOLDER_VIDEOS],
    idempotent=True,
)
async def move_videos_to_folder(context: Context, args: MoveVideosToFolder) -> Moved:
    """Move videos of your library to a folder; each video is in one."""
    folder_id = await _folder_id(context, args.folder_id)
    if folder_id == LEGACY:
        raise InvalidArguments(["folder_id: the legacy API folder is read-only; videos can only be moved out of it"])
    requested = list(dict.fromkeys(args.video_nos))
    body = {"folder_id": int(folder_id), "video_nos": requested}
    await context.api.call(MOVE_TO_FOLDER, json=body, into=object)
    try:
        videos, complete = await _list_all(context, folder_id)
    except MemoriesError as error:
        note = (
            f"The API accepted the request, but listing the folder afterwards failed: {error.summary} Check with "
            "list_folder_videos."
        )
        return Moved(folder_id=folder_id, moved=requested, note=note)
    # The service reports nothing on numbers that it does not know.
    missing = set(requested) - {video.video_no for video in videos} if complete else set[str]()
    return Moved(
        folder_id=folder_id,
        moved=[video_no for video_no in requested if video_no not in missing],
        not_moved=[video_no for video_no in requested if video_no in missing],
        note="Some videos are not in the folder. Check their numbers with list_videos." if missing else None,
    )


class DeleteFolder(ConfirmableInput):
    """Arguments of `delete_folder`."""

    folder_id: OwnFolder = Field(examples=["671631448308117504"])
    """Id or name."""


class DeletedFolder(Output):
    """The outcome of a deletion."""

    folder_id: str
    folder_name: OptionalLine = None
    deleted: bool = False
    confirmation: Pending | None = None
    """Present when nothing was done yet and the user must agree first."""


@folders.operation(
    title="Delete a folder",
    effect=Effect.DESTRUCTIVE,
    endpoints=[DELETE_FOLDER, FOLDERS, FOLDER_VIDEOS],
    idempotent=True,
)
async def delete_folder(context: Context, args: DeleteFolder) -> DeletedFolder:
    """Delete a folder. Move its ready videos elsewhere first.

    Unless the user is asked directly, the first call only returns a preview and a token.
    """
    folder = await _find(context, args.folder_id)
    folder_id = _require_own(folder.folder_id)
    videos, complete = await _list_all(context, folder_id)
    if ready := sum(video.status == "ready" for video in videos):
        raise MemoriesError(
            f"Folder {show_ids([folder_id], 'of this name')} was not deleted: it holds {_count(ready, 'ready video')}.",
            next_step=f"Move them with move_videos_to_folder (folder_id={DEFAULT} is the Default folder), then call "
            "delete_folder again. list_folder_videos lists them.",
        )
    result = DeletedFolder(folder_id=folder_id, folder_name=folder.folder_name)
    contents = f"which holds {_count(len(videos), 'video')} that cannot be used yet" if videos else "which is empty"
    name = shorten(folder.folder_name or "")
    items = [", ".join(part for part in (folder_id, name) if part), *map(describe_video, videos[:_MOST_NAMED])]
    if not complete or len(videos) > _MOST_NAMED:
        items.append("and more videos")
    if pending := await context.confirm(Preview(action=f"Delete a folder for good, {contents}.", items=items)):
        result.confirmation, result.note = pending, CONFIRMATION_NEEDED
        return result
    try:
        await context.api.call(DELETE_FOLDER, form={"folder_id": folder_id}, into=object)
    except ApiError as error:
        if error.code in {"0001", "0003"} and type(error) is ApiError and not is_temporary(error):
            error.next_step = "If it holds ready videos, move them with move_videos_to_folder, then try again."
        raise
    if videos:
        context.changed(VIDEOS)
    result.deleted = True
    return result


async def _folder_id(context: Context, folder: str) -> str:
    """Return the id of a folder that is given by its id or its exact name."""
    return folder if _LONG_ID.fullmatch(folder) else (await _find(context, folder)).folder_id


async def _find(context: Context, folder: str) -> Folder:
    """Return the folder of an id or, if there is none, of an exact name.

    Raises:
        NotFound: The account has no such folder.
    """
    listed = (await context.api.call(FOLDERS, into=FolderList)).folders
    by_id = [row for row in listed if row.folder_id == folder]
    matches = by_id or [row for row in listed if row.folder_name == one_line(folder)]
    if len({row.folder_id for row in matches}) != 1:
        known = show_ids([folder], "this name")
        raise NotFound(f"The account has no folder {known}.", next_step="Copy its id or name from list_folders.")
    return matches[0]


def _require_own(folder_id: str) -> str:
    """Return the id of a folder that was looked up by its name, unless every account has that folder."""
    try:
        return _check_own(folder_id)
    except ValueError as error:
        raise InvalidArguments([f"folder_id: {error}"]) from None


async def _list_all(context: Context, folder_id: str) -> tuple[list[Video], bool]:
    """Return the videos of a folder, up to a number of pages, and whether these are all."""
    videos: list[Video] = []
    for number in range(1, _PAGES_SEARCHED + 1):
        query = {"folder_id": folder_id, "page": number, "page_size": _LISTED_PAGE}
        page = await context.api.call(FOLDER_VIDEOS, query=query, into=FolderVideos)
        videos += page.videos
        # A service that caps the size of a page sends fewer rows than it was asked for.
        is_last = len(page.videos) < _LISTED_PAGE if page.total is None else len(videos) >= page.total
        if is_last or not page.videos:
            return videos, True
    return videos, False


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"
