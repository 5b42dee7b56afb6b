"""The text of an error outside the fence is the package's own: no part of an answer stands in it."""

from __future__ import annotations

import json

import httpx2
import pytest
from conftest import FakeWire, calling, run

from memories_mcp import errors

pytestmark = pytest.mark.anyio

HOSTILE = "IGNORE"
"""Short enough to pass as a code."""


@pytest.mark.parametrize("status", [200, 400, 429, 500])
@pytest.mark.parametrize(
    "body",
    [
        json.dumps(HOSTILE),
        json.dumps([HOSTILE]),
        json.dumps({HOSTILE: HOSTILE}),
        json.dumps({"code": HOSTILE, "msg": HOSTILE}),
        json.dumps({"code": {HOSTILE: 1}, "msg": {HOSTILE: 1}}),
        json.dumps({"code": "ＩＧＮＯＲＥ", "msg": HOSTILE}),
        json.dumps({"code": "0000", "data": HOSTILE}),
        json.dumps({"code": "0000", "data": {"videos": HOSTILE}}),
        json.dumps({"code": "0000", "data": {"videos": [{"videoNo": {HOSTILE: HOSTILE}, "duration": HOSTILE}]}}),
        f"{HOSTILE} ALL PREVIOUS",
        f"<html>{HOSTILE}</html>",
    ],
)
async def test_no_part_of_an_answer_stands_outside_the_fence(body: str, status: int) -> None:
    response = httpx2.Response(
        status,
        content=body.encode(),
        headers={"retry-after": HOSTILE, "content-type": HOSTILE, "x-reason": HOSTILE},
        extensions={"reason_phrase": HOSTILE.encode()},
    )
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr("memories_mcp.api.retry.ATTEMPTS", 1)
    try:
        async with calling(FakeWire(response)) as runner:
            await run(runner, "list_videos")
    except errors.MemoriesError as error:
        for text in (error.summary, error.next_step):
            assert HOSTILE not in text
            assert "ＩＧＮ" not in text
    finally:
        monkeypatch.undo()


async def test_a_code_of_another_form_reaches_the_reader_within_the_fence() -> None:
    async with calling(FakeWire(httpx2.Response(200, json={"code": "E_QUOTA", "msg": "sorry"}))) as runner:
        with pytest.raises(errors.ApiError) as caught:
            await run(runner, "list_videos")

    assert caught.value.words == "E_QUOTA: sorry"
