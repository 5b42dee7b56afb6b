"""Paging of lists, and the note of an empty list."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from memories_mcp.rendering.budget import count_fitting

RowT = TypeVar("RowT", bound=BaseModel)


def why_empty(unique_id: str | None, other: str = "other or fewer words") -> str:
    """Return the note of an empty list or search: the possible causes, and what to do (API 2.5).

    `other` is what to try instead, which depends on the query.
    """
    namespace = f"namespace {unique_id!r}" if unique_id else "the default namespace"
    return (
        f"Nothing came back from {namespace}. Either nothing matches (try {other}), the videos were "
        "uploaded under another unique_id, or they are still being processed (list_videos shows their status)."
    )


def fit_page(
    rows: list[RowT], page: int, size: int, *, empty: str, total: int | None = None, size_argument: str | None = "size"
) -> tuple[list[RowT], str | None]:
    """Return the rows of a page that fit one result, and a note on how to continue or why there are none.

    Args:
        rows: The rows of the page, as the API returned them.
        page: The page's number, from 1.
        size: Rows per page.
        empty: The note of a first page without rows.
        total: Rows of all pages, if the API's count can be trusted.
        size_argument: The argument that sets the size; `None` if the size is fixed, in which case no row is left out.
    """
    if not rows:
        return [], empty if page == 1 else f"Page {page} is past the end. Call again with page=1."
    count = count_fitting(rows)
    if count < len(rows) and size_argument:
        # The caller continues with a smaller size, and page numbers restart with it. Only a size that divides the
        # number of rows before this page puts a page boundary where this page begins, and so another one right after
        # the rows returned here; with any other size, rows would be repeated or lost.
        rows_before = (page - 1) * size
        smaller_size = count
        while rows_before % smaller_size != 0:
            smaller_size -= 1
        next_page = rows_before // smaller_size + 2
        return rows[:smaller_size], (
            f"The first {smaller_size} of this page fit here; "
            f"go on with page={next_page} and {size_argument}={smaller_size}."
        )
    if total is not None and page * size < total:
        return rows, f"There are {total} in all; go on with page={page + 1}."
    return rows, None
