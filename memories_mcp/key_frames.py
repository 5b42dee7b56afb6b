"""Where the service stores the key frames of moments and the images that searches have found."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from memories_mcp.models.evidence import Evidence, Reference
from memories_mcp.models.ids import is_public

_MOST_VIDEOS = 1000
_MOST_FRAMES = 200
"""Key frames of one video."""
_NEAR_SECONDS = 1.0
"""How far a key frame may lie from a moment without an end."""


class StoredPicture(NamedTuple):
    """A picture that the service has named to this caller.

    Attributes:
        bucket: The storage that holds it.
        blob: Its name there.
        seconds: Its time in the video; `None` for an image, and for a key frame without a time.
    """

    bucket: str
    blob: str
    seconds: float | None


class KeyFrames:
    """The stored pictures of one caller's search hits; nothing else is ever requested from the storage."""

    def __init__(self) -> None:
        self._videos: OrderedDict[tuple[str | None, str], OrderedDict[float | None, StoredPicture]] = OrderedDict()

    def record(self, moments: Iterable[Evidence], unique_id: str | None) -> None:
        """Record the pictures of the hits of a search; those recorded first make room.

        Args:
            moments: The hits.
            unique_id: The namespace of the search.
        """
        for moment in moments:
            if moment.bucket and moment.blob:
                key = _key(moment.reference, unique_id)
                frames = self._videos.setdefault(key, OrderedDict())
                self._videos.move_to_end(key)
                frames[moment.start_seconds] = StoredPicture(moment.bucket, moment.blob, moment.start_seconds)
                frames.move_to_end(moment.start_seconds)
                while len(frames) > _MOST_FRAMES:
                    frames.popitem(last=False)
        while len(self._videos) > _MOST_VIDEOS:
            self._videos.popitem(last=False)

    def find(self, reference: Reference, unique_id: str | None) -> StoredPicture | None:
        """Return the image, or the key frame within a moment that is nearest to its start; `None` if none is known.

        Args:
            reference: The moment or the image.
            unique_id: The namespace.
        """
        frames = self._videos.get(_key(reference, unique_id)) or OrderedDict[float | None, StoredPicture]()
        if reference.start is None and None in frames:
            return frames[None]
        start = reference.start or 0.0
        end = start + _NEAR_SECONDS if reference.end is None else reference.end
        near = [frame for frame in frames.values() if frame.seconds is not None and start <= frame.seconds <= end]
        return min(near, key=lambda frame: (frame.seconds or 0) - start, default=None)


def _key(reference: Reference, unique_id: str | None) -> tuple[str | None, str]:
    is_image = reference.kind == "image"
    number = f"image:{reference.video_no}" if is_image else reference.video_no
    return (None if is_public(reference.video_no) and not is_image else unique_id), number
