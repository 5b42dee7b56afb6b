"""The benchmarks compare like with like, and their report states what was missed."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from conftest import FakeWire, calling

from benchmarks import wire
from benchmarks.rows import Measurement, Result, Row
from benchmarks.run import report


@pytest.mark.anyio
async def test_the_typed_references_send_the_same_request_and_return_the_same_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEMORIES_BASE_URL", "https://api.example")
    monkeypatch.setenv("MEMORIES_API_KEY", "sk-bench")
    from benchmarks import search_job

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=wire.envelope(wire.hits(10)), headers={"content-type": "application/json"})

    fake = FakeWire(answer)
    async with (
        calling(fake) as runner,
        httpx2.AsyncClient(base_url="https://api.example", transport=httpx2.MockTransport(fake)) as client,
    ):
        monkeypatch.setattr(search_job, "api", client)
        ours = await runner.run(runner.operations["search_videos"], {"query": "pricing"})
        theirs = await search_job.search_videos("pricing")

    def with_short_scores(result: dict[str, Any]) -> list[dict[str, Any]]:
        return [{**moment, "score": round(moment["score"], 3)} for moment in result["moments"]]

    first, second = fake.requests
    assert (first.url, first.content) == (second.url, second.content)
    assert with_short_scores(ours.structured) == with_short_scores(theirs.model_dump(mode="json"))


def test_the_report_shows_previous_figures_and_why_a_limit_is_missed() -> None:
    fast = Row("fast", "the fast part", "It is small.", most=1.2, missed="It grew.")
    slow = Row("slow", "the slow part", "It is large.", least=0.8, missed="It shrank.")
    memory = Row("memory", "memory", "Reported.", unit="MiB")
    measurement = Measurement("parts", "Parts", "Measured.", lambda: iter(()))

    text = report(
        {measurement: [Result(fast, 1.1), Result(slow, 0.7, "0.6 to 0.9"), Result(memory, 3)]},
        {"slow": 0.9},
        "A machine",
    )

    assert "| the fast part | **1.10** | ≤ 1.2 |  | It is small. |" in text
    assert "| the slow part | **0.70** **missed** It shrank.<br>0.6 to 0.9 | ≥ 0.8 | 0.90 | It is large. |" in text
    assert "| memory | **3.0 MiB** |  |  | Reported. |" in text
