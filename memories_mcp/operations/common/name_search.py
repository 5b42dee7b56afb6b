"""The search for private videos by name: exact, without the differences of typing, or by a part of the name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from memories_mcp.models.coercions import one_line
from memories_mcp.models.ids import has_id_form, is_public, is_video_number
from memories_mcp.models.media import Video
from memories_mcp.operations.common.newest import NewestVideos, VideoListing

_MOST_PARTS = 20
"""Names that one text may hold, with commas between them."""
_COMPARED_LENGTH = 1000
"""Characters of a name that are compared; a caller's name has at most 300."""
_SHORTEST_PART = 3
"""Bytes of a part of a name: one Chinese character, but not the digits with which a listing numbers its rows."""

_SHORT_NAME = re.compile(r"v\d{1,3}", re.IGNORECASE)
"""A video's short name in the text of one result, which names another video than a name with this part."""
_EXTENSION = re.compile(r"\.(?:mp4|m4v|mov|avi|mkv|webm|mpe?g|wmv|flv|3gp|m?ts|ogv|mp3|m4a|wav)$")
_PLAIN = str.maketrans(
    dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4`", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"')
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-")
)
"""The plain forms of typographic quotes and dashes."""


def fold_name(name: str) -> str:
    """Return a name without the differences of typing: case, Unicode forms, typographic marks, blanks, outer quotes."""
    folded = unicodedata.normalize("NFKC", name[:_COMPARED_LENGTH].translate(_PLAIN)).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split()).strip("\"'")


def _are_same(one: str, other: str) -> bool:
    """Return whether folded names are the same; the extension of a file may be missing."""
    return one == other or one == _EXTENSION.sub("", other) or _EXTENSION.sub("", one) == other


class NameMatch(NamedTuple):
    """The videos that a name means.

    Attributes:
        videos: The videos with exactly this name; else those with the same folded name, or with the name as a part.
        is_exact: Whether the videos have exactly this name.
        known: All videos that the name was compared with.
        is_certain: Whether no other video can match.
        has_more: Whether the service has more matches than it listed.
    """

    videos: list[Video]
    is_exact: bool = False
    known: Sequence[Video] = ()
    is_certain: bool = True
    has_more: bool = False


def _match(name: str, videos: Iterable[Video]) -> NameMatch:
    # The number goes into notes and next steps, outside the fence.
    known = [video for video in videos if video.video_name and _is_own_number(video.video_no)]
    if exact := [video for video in known if video.video_name == name]:
        return NameMatch(exact, is_exact=True, known=known)
    text = fold_name(name)
    folded = [(fold_name(video.video_name or ""), video) for video in known]
    matches = [video for folded_name, video in folded if _are_same(text, folded_name)]
    if not matches and can_be_part(text):
        matches = [video for folded_name, video in folded if text in folded_name]
    return NameMatch(matches, known=known)


def _is_own_number(video_no: str) -> bool:
    return has_id_form(video_no) and is_video_number(video_no) and not is_public(video_no)


def can_be_part(text: str) -> bool:
    """Return whether a folded text is long enough, and no short name of a listing, to be a part of a name."""
    return len(text.encode()) >= _SHORTEST_PART and not _SHORT_NAME.fullmatch(text)


class NameSearch:
    """The look-ups of one call, which share one look-up of the newest videos."""

    def __init__(self, newest: NewestVideos, unique_id: str | None, strict: bool) -> None:
        self._newest = newest
        self._unique_id = unique_id
        self._strict = strict
        self._listing: VideoListing | None = None

    async def find(self, name: str) -> NameMatch:
        """Return the videos that a name means; requests a search by name where the newest videos do not suffice."""
        name = one_line(name)
        if self._listing is None:
            if self._strict:
                self._newest.invalidate()
            self._listing = await self._newest.newest(self._unique_id)
        listing = self._listing
        match = _match(name, listing.videos)
        if match.videos and not listing.more:
            return match
        if match.is_exact and len(match.videos) == 1 and not self._strict:
            return match
        search = await self._newest.search(name, self._unique_id)
        videos = {video.video_no: video for video in (*listing.videos, *search.videos)}
        match = _match(name, videos.values())
        is_certain = not self._strict or not listing.more or (match.is_exact and not search.more)
        return match._replace(is_certain=is_certain, has_more=search.more)

    async def find_all(self, text: str) -> dict[str, NameMatch | None]:
        """Return the videos of an item of a list: of one name or, if none has it, of several with commas between them.

        The match of a number among the names is `None`.
        """
        match = await self.find(text)
        parts = [part for part in map(str.strip, re.split("[,;]", text)) if part]
        if match.videos or not 1 < len(parts) <= _MOST_PARTS:
            return {text: match}
        matches = {part: None if is_video_number(part) else await self.find(part) for part in parts}
        return matches if any(part is None or part.videos for part in matches.values()) else {text: match}
