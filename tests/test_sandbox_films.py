"""The films of the sandbox's videos and the key frames of their scenes, as files and as the API serves them."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from memories_mcp.sandbox import demo_data
from memories_mcp.settings import Settings
from tests.conftest import BIKE, MEETING

av = pytest.importorskip("av")
pytestmark = pytest.mark.anyio

VIDEOS: dict[str, dict[str, Any]] = {video["media"]: video for video in demo_data.videos("private")}
DOWNLOAD = "/serve/api/v2/download"


@pytest.fixture
async def http(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": settings.api_key}
    async with httpx2.AsyncClient(base_url=settings.base_url, headers=headers, trust_env=False) as client:
        yield client


async def post(http: httpx2.AsyncClient, path: str, **body: Any) -> Any:
    return (await http.post(f"/serve/api/v1/{path}", json=body)).json()["data"]


async def searched(http: httpx2.AsyncClient, search_type: str) -> list[dict[str, Any]]:
    return await post(http, "search", search_param="chain slipping", search_type=search_type, top_k=3)


async def frames_like(http: httpx2.AsyncClient, path: str, **form: str) -> list[dict[str, Any]]:
    file = {"file": ("white-lighthouse-headland.jpg", b"\xff\xd8", "image/jpeg")}
    return (await http.post(f"/serve/api/v1/{path}", data=form, files=file)).json()["data"]


def thumbnail(frame: Any) -> bytes:
    """The picture as 32 by 18 grey pixels."""
    return bytes(frame.reformat(width=32, height=18, format="gray").planes[0])


def difference(first: bytes, second: bytes) -> float:
    return sum(abs(a - b) for a, b in zip(first, second, strict=True)) / len(first)


def picture(data: bytes) -> Any:
    return next(av.open(io.BytesIO(data)).decode(video=0))


@pytest.mark.parametrize("media", VIDEOS)
def test_a_film_is_as_long_as_its_video_and_shows_each_scene_at_its_time(media: str) -> None:
    video = VIDEOS[media]
    scenes = [segment for segment in demo_data.segments(video) if segment.track == "visual"]
    keyframes = {
        scene: thumbnail(picture((demo_data.KEYFRAMES / Path(media).stem / f"{scene.start:06}.jpg").read_bytes()))
        for scene in scenes
    }
    assert len(set(keyframes.values())) == len(scenes)

    with av.open(str(demo_data.MEDIA / media)) as film:
        stream = film.streams.video[0]
        assert float(stream.duration * stream.time_base) == video["duration"]
        assert (stream.codec_context.name, stream.width, stream.height, stream.pix_fmt) == ("h264", 320, 180, "yuv420p")
        assert film.streams.audio[0].duration > 0
        starts = [float(packet.pts * stream.time_base) for packet in film.demux(stream) if packet.is_keyframe]
        assert starts == [scene.start for scene in scenes]
        for scene, keyframe in keyframes.items():
            middle = (scene.start + scene.end) / 2
            film.seek(int(middle / stream.time_base), stream=stream)
            before = [frame for frame in iter_until(film, middle) if frame.time <= middle]
            assert difference(thumbnail(before[-1]), keyframe) < 4


def iter_until(film: Any, seconds: float) -> list[Any]:
    frames = list[Any]()
    for frame in film.decode(video=0):
        frames.append(frame)
        if frame.time > seconds:
            break
    return frames


@pytest.mark.parametrize("search_type", ["BY_CLIP", "BY_VIDEO", "BY_AUDIO"])
async def test_hits_name_the_key_frame_of_their_scene_and_the_film(http: httpx2.AsyncClient, search_type: str) -> None:
    rows = await searched(http, search_type)

    assert rows[0]["videoNo"] == BIKE
    for row in rows:
        frame, film = [
            (await http.get(DOWNLOAD, params={"bucket": row[f"{kind}_bucket"], "blob": row[f"{kind}_blob"]})).content
            for kind in ("keyframe", "video")
        ]
        assert film == (demo_data.MEDIA / row["video_blob"]).read_bytes()
        assert (picture(frame).width, picture(frame).height) == (320, 180)
        if search_type != "BY_VIDEO":
            start = int(Path(row["keyframe_blob"]).stem)
            [scene] = [
                scene
                for scene in demo_data.segments(VIDEOS[row["video_blob"]])
                if scene.track == "visual" and scene.start == start
            ]
            assert scene.start <= int(row["startTime"]) < scene.end


async def test_searches_by_image_name_key_frames_too(http: httpx2.AsyncClient) -> None:
    [frame, *_] = await frames_like(http, "search_similar_images")
    [clip, *_] = await frames_like(http, "search_clips_by_image", video_no=frame["videoNo"], prompt="a lighthouse")

    assert frame["keyframe_blob"] == f"coastal-walk/{int(frame['startTime']):06}.jpg"
    assert clip["keyframe_blob"] == f"coastal-walk/{clip['start_time']:06.0f}.jpg"


async def test_hits_of_public_videos_and_of_uploads_without_key_frames_name_none(
    http: httpx2.AsyncClient, settings: Settings
) -> None:
    url = f"{settings.base_url}/media/espresso-machine.mp4"
    await http.post("/serve/api/v1/upload_url", data={"url": url})
    for _ in range(2):
        await post(http, "list_videos")
    uploads = await post(http, "search", search_param="espresso machine", search_type="BY_CLIP", top_k=1)
    public = await post(http, "search_public", search_param="sourdough", search_type="BY_VIDEO", type="TIKTOK")

    assert uploads[0]["video_blob"] == "espresso-machine.mp4"
    assert "keyframe_blob" not in uploads[0]
    assert public
    assert not [row for row in public if "video_blob" in row or "keyframe_blob" in row]


REFUSED = {
    "another bucket": ("elsewhere", "bike-chain-repair/000000.jpg"),
    "the bucket of the other kind": ("sandbox", "bike-chain-repair/000000.jpg"),
    "a scene that is not there": ("sandbox-keyframes", "bike-chain-repair/000001.jpg"),
    "a film that is not there": ("sandbox-keyframes", "nothing/000000.jpg"),
    "a path out of the folder": ("sandbox-keyframes", "../media/red-door.jpg"),
    "a longer path out of the folder": ("sandbox-keyframes", "bike-chain-repair/../../media/red-door.jpg"),
    "a file of no video": ("sandbox", "red-door.jpg"),
    "a path to a video": ("sandbox", "../media/bike-chain-repair.mp4"),
    "no blob": ("sandbox", " "),
}


@pytest.mark.parametrize(("bucket", "blob"), REFUSED.values(), ids=list(REFUSED))
async def test_other_files_are_refused_as_json(http: httpx2.AsyncClient, bucket: str, blob: str) -> None:
    response = await http.get(DOWNLOAD, params={"bucket": bucket, "blob": blob})

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("application/json")
    assert (response.json()["code"], response.json()["failed"]) == ("0001", True)


async def test_the_files_of_a_deleted_video_are_refused_and_those_of_other_videos_and_accounts_are_not(
    http: httpx2.AsyncClient, settings: Settings
) -> None:
    [hit, *_] = await searched(http, "BY_CLIP")
    keyframe = {"bucket": hit["keyframe_bucket"], "blob": hit["keyframe_blob"]}
    film = {"bucket": hit["video_bucket"], "blob": hit["video_blob"]}
    await http.post("/serve/api/v1/delete_videos", json=[BIKE])

    for params in (keyframe, film):
        assert (await http.get(DOWNLOAD, params=params)).json()["msg"] == "file not found"
        other = await http.get(DOWNLOAD, params=params, headers={"authorization": settings.api_key + "-other"})
        assert other.headers["content-type"] == "application/octet-stream"
        refused = await http.get(DOWNLOAD, params=params, headers={"authorization": "sk-refused"})
        assert refused.json()["code"] == "0401"
    meeting = {"bucket": "sandbox-keyframes", "blob": "quarterly-planning/000208.jpg"}
    assert (await http.get(DOWNLOAD, params=meeting)).content[:2] == b"\xff\xd8"


async def test_an_uploaded_file_is_its_account_s_alone(http: httpx2.AsyncClient, settings: Settings) -> None:
    file = {"file": ("talk.mp4", b"\0\0\0\x20ftypisom", "video/mp4")}
    video_no = (await http.post("/serve/api/v1/upload", files=file)).json()["data"]["videoNo"]
    await post(http, "list_videos")
    blob = (await http.get("/serve/api/v1/get_metadata", params={"video_no": video_no})).json()["data"]["blob"]
    params = {"bucket": "sandbox", "blob": blob}
    other = await http.get(DOWNLOAD, params=params, headers={"authorization": settings.api_key + "-other"})

    assert (await http.get(DOWNLOAD, params=params)).content == file["file"][1]
    assert other.json()["code"] == "0001"


async def test_a_fault_finds_a_path_of_the_later_version(http: httpx2.AsyncClient) -> None:
    await http.post("/sandbox/faults", json={"fault": "rate_limit", "path": DOWNLOAD})
    params = {"bucket": "sandbox", "blob": VIDEOS["quarterly-planning.mp4"]["media"]}
    await post(http, "get_private_video_details", video_no=MEETING)

    assert (await http.get(DOWNLOAD, params=params)).json()["code"] == "0429"
    assert (await http.get(DOWNLOAD, params=params)).content[4:8] == b"ftyp"
