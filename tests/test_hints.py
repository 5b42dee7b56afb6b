"""The behaviour hints of tools: what a repeated call does."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import run

from memories_mcp.operation import Effect, Operation
from memories_mcp.operations import OPERATIONS
from memories_mcp.runner import Runner

IDEMPOTENT_CHANGES = {"delete_videos", "rename_folder", "move_videos_to_folder", "delete_folder"}
BILLED_READS = {
    "chat_with_videos", "chat_with_library", "chat_with_public_videos", "generate_summary", "caption_image_url",
    "caption_image_file", "get_frame",
}  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_a_tool_is_idempotent_if_a_second_call_changes_and_costs_nothing_more(operation: Operation[Any, Any]) -> None:
    hints = operation.definition["annotations"]
    is_read = operation.effect is Effect.READ
    expected = operation.name in IDEMPOTENT_CHANGES or (is_read and operation.name not in BILLED_READS)

    assert hints["idempotentHint"] is expected


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("chat_with_library", {"prompt": "What is the price?"}),
        ("generate_summary", {"video_no": "VI612515093881740229"}),
    ],
)
async def test_a_read_that_makes_a_session_is_not_idempotent(
    runner: Runner, name: str, arguments: dict[str, Any]
) -> None:
    before = (await run(runner, "list_sessions")).total
    for _ in range(2):
        await run(runner, name, **arguments)

    assert (await run(runner, "list_sessions")).total == before + 2
    assert not runner.operations[name].hints["idempotentHint"]
