"""Pages of lists, and why a list can be empty."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from memories_mcp.rendering.budget import fitting

R = TypeVar("R", bound=BaseModel)


def why_empty(unique_id: str | None) -> str:
    """Why a list or a search can be empty, and what to do (API 2.5)."""
    namespace = f"namespace {unique_id!r}" if unique_id else "the default namespace"
    return (
        f"Nothing came back from {namespace}. Either nothing matches (try other or fewer words), the videos were "
        "uploaded under another unique_id, or they are still being processed (list_videos shows their status)."
    )


def page_of(
    found: list[R], page: int, size: int, *, empty: str, total: int | None = None, size_argument: str | None = "size"
) -> tuple[list[R], str | None]:
    """The rows of a page that fit one result, and what to say: how to go on, or why there are none.

    Where not all fit, their number divides what came before, so that the rest is on whole pages of that size; where the
    size cannot be chosen, no row is left out here.
    """
    if not found:
        return [], empty if page == 1 else f"Page {page} is past the end."
    count = fitting(found)
    if count < len(found) and size_argument:
        before = (page - 1) * size
        shown = next(number for number in range(count, 0, -1) if before % number == 0)
        following = before // shown + 2
        onward = f"page={following} and {size_argument}={shown}"
        return found[:shown], f"The first {shown} of this page fit here; go on with {onward}."
    if total is not None and page * size < total:
        return found, f"There are {total} in all; go on with page={page + 1}."
    return found, None
