"""Ids of folders: text in tools, because they exceed 2^53, and JSON integers on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from memories_mcp.errors import InvalidArguments
from memories_mcp.json_schema import json_schema
from memories_mcp.models.base import Input
from memories_mcp.models.ids import FolderId
from memories_mcp.validation import validate


class Filter(Input):
    folder_id: FolderId | None = None


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("671631448308117504", 671631448308117504), (671631448308117504, 671631448308117504),
        (" 671631448308117504\n", 671631448308117504), (9007199254740993, 9007199254740993),
        ("671631448308117500", 671631448308117500), ("9223372036854775807", 2**63 - 1),
        (7, 7), ("7", 7), (7.0, 7), (-1, -1), ("-1", -1), (-2, -2),
    ],
)  # fmt: skip
def test_an_id_comes_as_text_or_number_and_is_sent_as_an_integer(given: Any, sent: int) -> None:
    assert validate(Filter, {"folder_id": given}).wire() == {"folder_id": sent}


def test_an_id_that_is_left_out_is_not_sent() -> None:
    assert validate(Filter, {"folder_id": ""}).wire() == {}
    assert json_schema(Filter, "validation")["properties"] == {"folder_id": {"type": "string"}}


@pytest.mark.parametrize("given", [671631448308117500, 6.71631448308117504e17, 9007199254740992, 10**100])
def test_a_number_that_a_host_may_have_rounded_must_be_quoted(given: Any) -> None:
    with pytest.raises(InvalidArguments, match="folder_id: quote it: numbers of this size lose digits"):
        validate(Filter, {"folder_id": given})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("Travel", "as list_folders returns it, -1"), ("0", "a string of digits"), (-3, "a string of digits"),
        ("٧", "a string of digits"), ("1.5", "a string of digits"), (1.5, "string"), (True, "string"),
        ("VI611471886560694272", "a video_no, not a folder_id; get_private_video_details"),
        ("31b0fccb-d6f9-4135-922d-1e8828499812", "a task id, not a folder_id"),
        ("memories://sessions/612990037562867712", "the URI of a conversation, not a folder_id"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_the_reason(given: Any, reason: str) -> None:
    with pytest.raises(InvalidArguments, match=reason):
        validate(Filter, {"folder_id": given})
