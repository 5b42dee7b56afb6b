"""The job of the reference servers: the request that `search_videos` sends, and its answer as a typed result.

The result has the fields that `search_videos` returns for such an answer. The references have no fence, no budget and
no tenants, and read only this shape of an answer.
"""

from __future__ import annotations

import os
from typing import Annotated, Literal

import httpx2
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

api = httpx2.AsyncClient(
    base_url=os.environ["MEMORIES_BASE_URL"],
    headers={"Authorization": os.environ["MEMORIES_API_KEY"]},
    trust_env=False,
    verify=False,
    limits=httpx2.Limits(max_connections=32, max_keepalive_connections=16),
    timeout=60,
)


class Hit(BaseModel):
    """A hit, as sent."""

    model_config = ConfigDict(alias_generator=to_camel)

    video_no: str
    video_name: str | None = None
    start_time: float
    end_time: float
    score: float | None = None


class Hits(BaseModel):
    """The answer to a search, as sent."""

    code: Literal["0000"]
    data: list[Hit]


class Moment(BaseModel):
    """A moment that matches."""

    ref: str
    video_no: str
    video_name: str | None
    kind: Literal["clip"]
    start_seconds: float
    end_seconds: float
    score: float | None
    uri: str


class Moments(BaseModel):
    """The moments that match, best first."""

    moments: list[Moment]


async def request_search(query: str, top_k: int) -> httpx2.Response:
    """Send the request that `search_videos` sends."""
    body = {"search_param": query, "search_type": "BY_CLIP", "top_k": top_k}
    return (await api.post("/serve/api/v1/search", json=body)).raise_for_status()


async def search_videos(
    query: Annotated[str, Field(min_length=1, max_length=2000, description="What to find, in English.")],
    top_k: Annotated[int, Field(ge=1, le=1000, description="Maximum hits.")] = 10,
) -> Moments:
    """Find moments in your own video library that match a description."""
    answer = Hits.model_validate_json((await request_search(query, top_k)).content)
    return Moments(moments=[_moment(hit) for hit in answer.data])


def _moment(hit: Hit) -> Moment:
    start, end = f"{hit.start_time:g}", f"{hit.end_time:g}"
    return Moment(
        ref=f"{hit.video_no}#t={start},{end}&kind=clip",
        video_no=hit.video_no,
        video_name=hit.video_name,
        kind="clip",
        start_seconds=hit.start_time,
        end_seconds=hit.end_time,
        score=hit.score,
        uri=f"memories://videos/{hit.video_no}/transcripts/visual?start={start}&end={end}",
    )
