"""Public videos by the URLs of their posts."""

from __future__ import annotations

from collections import OrderedDict

from memories_mcp.models.base import Output, Row, iter_parts
from memories_mcp.models.ids import has_id_form, is_public
from memories_mcp.models.platforms import post_key

_MOST_POSTS = 5000


class KnownPosts:
    """The numbers of public videos by the URLs of their posts, as far as results named both."""

    def __init__(self) -> None:
        self._numbers: OrderedDict[str, str] = OrderedDict()

    def record(self, output: Output) -> None:
        """Record the public videos of a result that have a URL; the oldest entries make room."""
        for row in iter_parts(output, Row):
            video_no, url = getattr(row, "video_no", None), getattr(row, "video_url", None)
            if video_no and url and is_public(video_no) and has_id_form(video_no) and (key := post_key(url)):
                self._numbers[key] = video_no
                self._numbers.move_to_end(key)
        while len(self._numbers) > _MOST_POSTS:
            self._numbers.popitem(last=False)

    def number(self, url: str) -> str | None:
        """Return the number of the video of a post; `None` if no result named it."""
        return self._numbers.get(post_key(url) or "")
