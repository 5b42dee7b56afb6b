"""A listing's short names of videos stand for numbers, and no tool takes them."""

from __future__ import annotations

import pytest
from conftest import FakeWire, calling, envelope, run

from memories_mcp.errors import InvalidArguments
from memories_mcp.models.evidence import parse_ref


@pytest.mark.anyio
async def test_a_listing_with_short_names_shows_a_ref_with_a_number() -> None:
    rows = [{"videoNo": f"VI{n % 2}", "videoName": "n", "startTime": n, "endTime": n + 5} for n in range(6)]
    async with calling(FakeWire(envelope(rows))) as runner:
        text = (await runner.run(runner.operations["search_videos"], {"query": "x"})).text

    rule = text.splitlines()[1].partition("; ref of v1 = ")[2].removesuffix(":")
    assert "v1 = VI0 n" in text
    assert str(parse_ref(rule.replace("START", "0").replace("END", "0:05"))) == "VI0#t=0,5&kind=clip"


@pytest.mark.anyio
@pytest.mark.parametrize("ref", ["v1#t=60,98", "v12#t=60,98&kind=clip", "V1", "v3#kind=clip"])
async def test_the_short_name_of_a_listing_is_refused_with_the_reason(ref: str) -> None:
    async with calling(FakeWire(envelope(None))) as runner:
        with pytest.raises(InvalidArguments, match="short name used in one listing; use the ref with the video's number"):
            await run(runner, "get_evidence", refs=[ref])
