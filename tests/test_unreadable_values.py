"""One odd value loses no answer: what cannot be read is left out and counted, and the rest is handed on."""

from __future__ import annotations

import asyncio
import copy
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest
from conftest import FILM, FakeWire, answered, calling, copy_samples, envelope, remove_written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memories_mcp.api import Api
from memories_mcp.api.rate_limits import NO_LIMITS
from memories_mcp.errors import MemoriesError, NotFound, UnexpectedResponse
from memories_mcp.models.base import Output, Row, iter_parts
from memories_mcp.operations import OPERATIONS
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

ODD_NUMBERS = [
    "N/A", "1" + ":0" * 300, 10**400, "1e999", float("inf"), float("nan"), "NaN", "²", "١٢", "--5", "1_0", "0x10",
    {"s": 1}, [1], True, "9" * 5000, "1:inf", -(10**400),
]  # fmt: skip
ODD_DATES = [*ODD_NUMBERS, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "10000-01-01", -1, 10**17, "soon"]


def sent(data: Any) -> httpx2.Response:
    """Return a response with JSON as Python writes it: with Infinity and NaN."""
    return httpx2.Response(200, content=json.dumps({"code": "0000", "data": data}))


@pytest.mark.anyio
@pytest.mark.parametrize("odd", ODD_NUMBERS, ids=lambda odd: ascii(odd)[:20])
async def test_an_odd_number_is_left_out_and_counted(odd: Any) -> None:
    rows = [{"video_no": "VI1"}, {"video_no": "VI2", "duration": odd}, {"video_no": "VI3", "duration": "7"}]
    page = await answered(sent({"videos": rows}), "list_videos")

    assert [video.duration_seconds for video in page.videos] == [None, None, 7]
    assert page.note == "1 unreadable value was left out."


@pytest.mark.anyio
@pytest.mark.parametrize("odd", ODD_DATES, ids=lambda odd: ascii(odd)[:26])
async def test_an_odd_date_is_left_out_and_counted(odd: Any) -> None:
    page = await answered(sent({"videos": [{"video_no": "VI1", "create_time": odd}]}), "list_videos")

    assert page.videos[0].created_at is None
    assert page.note == "1 unreadable value was left out."


@pytest.mark.anyio
@pytest.mark.parametrize("unknown", [0, "0", "0.0", -1, "-5.5", None, "null", ""])
async def test_a_length_that_is_not_known_is_nothing_and_no_fault(unknown: Any) -> None:
    page = await answered({"videos": [{"video_no": "VI1", "duration": unknown, "size": unknown}]}, "list_videos")

    assert (page.videos[0].duration_seconds, page.videos[0].size_bytes, page.note) == (None, None, None)


@pytest.mark.anyio
async def test_rows_without_an_id_are_skipped_and_counted() -> None:
    rows = [None, {"video_no": "VI1", "duration": "N/A"}, 7, {"video_no": {"a": 1}}, {"video_name": "x"}, "null"]
    page = await answered({"videos": [*rows, {"video_no": "VI2"}, {"video_no": " "}]}, "list_videos")

    assert [video.video_no for video in page.videos] == ["VI1", "VI2"]
    assert page.note == "6 rows without an id were skipped; 1 unreadable value was left out."


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("sent", "numbers"), [({"video_no": "VI1"}, ["VI1"]), ({"a": 1}, []), ("x", []), (5, []), (True, [])]
)
async def test_what_stands_for_a_list_yields_the_one_row_or_nothing(sent: Any, numbers: list[str]) -> None:
    page = await answered({"videos": sent}, "list_videos")

    assert [video.video_no for video in page.videos] == numbers
    assert ("1 unreadable value was left out." in (page.note or "")) == (not numbers)


@pytest.mark.anyio
async def test_a_chat_answer_keeps_what_can_be_read_of_its_references() -> None:
    items: list[Any] = [{"videoNo": "VI1", "startTime": {}}, 5, {"startTime": 3, "type": "audio_ts"}]
    refs = [{"video": "abc", "refItems": items[:2]}, None, {"video": {"video_no": "VI2"}, "refItems": items[2]}]
    answer = await answered(
        {"content": "yes", "refs": refs, "session_id": {}, "thinkings": "x"}, "chat_with_library", prompt="x"
    )

    assert answer.answer == "yes"
    assert [moment.ref for moment in answer.evidence] == ["VI1#kind=clip", "VI2#t=3&kind=audio"]
    assert answer.note == "2 rows without an id were skipped; 4 unreadable values were left out."


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "arguments", "field"),
    [
        ("chat_with_library", {"prompt": "x"}, "answer"),
        ("generate_summary", {"video_no": "VI1"}, "summary"),
        ("caption_image_url", {"url": "https://x.example/a.jpg", "user_prompt": "x"}, "text"),
    ],
)
async def test_a_bare_text_in_place_of_a_paid_answer_is_the_answer(
    name: str, arguments: dict[str, Any], field: str
) -> None:
    response = httpx2.Response(200, json={"code": 0 if name.startswith("caption") else "0000", "data": "the text"})

    assert getattr(await answered(response, name, **arguments), field) == "the text"


@pytest.mark.anyio
async def test_details_that_do_not_repeat_the_number_are_read() -> None:
    private = await answered({"status": "PARSE", "fps": []}, "get_private_video_details", video_no="VI7")
    public = await answered({"status": "PARSE", "video_no": {}}, "get_public_video_detail", video_no="PI-7")

    assert (private.video_no, private.status) == ("VI7", "ready")
    assert (public.video_no, public.status) == ("PI-7", "ready")


@pytest.mark.anyio
async def test_an_upload_without_its_number_says_where_to_look() -> None:
    with pytest.raises(UnexpectedResponse, match="list_videos"):
        await answered({"videoNo": {"n": 1}}, "upload_video_url", url="https://x.example/a.mp4")


@pytest.mark.anyio
async def test_an_import_without_a_task_is_not_ordered_again() -> None:
    result = await answered({"taskId": []}, "upload_creator", profile_url="https://www.tiktok.com/@a", wait_seconds=1)

    assert "Do not order it again" in result.note


@pytest.mark.anyio
async def test_a_segment_keeps_its_words_when_its_times_cannot_be_read() -> None:
    rows = [{"content": "a", "startTime": 10**400, "endTime": "1"}, {"content": "b", "startTime": "soon"}, None]
    rows += [{"content": {"x": 1}, "startTime": "1", "endTime": "2"}, {"content": "c", "startTime": "3"}]
    transcript = await answered({"transcriptions": rows}, "get_audio_transcription", video_no="VI1")

    assert [segment.text for segment in transcript.segments] == ["a", "b", "c"]
    assert transcript.note == "1 row without an id was skipped; 3 unreadable values were left out."


@pytest.mark.anyio
async def test_polling_counts_an_odd_row_once() -> None:
    polls = [
        envelope({"videos": [{"video_no": "VI1", "status": state, "duration": "N/A"}]})
        for state in ("UNPARSE", "UNPARSE", "PARSE")
    ]
    async with calling(FakeWire(*polls)) as runner:
        result = await runner.run(runner.operations["wait_until_ready"], {"video_nos": ["VI1"]})

    assert result.output.note == "1 unreadable value was left out."
    assert result.text.endswith("\n1 unreadable value was left out.")


# One value of any answer


Answers = dict[str, list[Any]]
"""The JSON bodies of one call, by path, in order."""


class Recording(httpx2.AsyncHTTPTransport):
    """Passes requests on and keeps the JSON of the responses."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: Answers = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        body = await response.aread()
        await response.aclose()
        if "json" in response.headers.get("content-type", ""):
            self.answers.setdefault(request.url.path, []).append(json.loads(body))
        return httpx2.Response(response.status_code, headers=response.headers, content=body)


def arguments_of(name: str) -> dict[str, Any]:
    example = next(operation.example for operation in OPERATIONS if operation.name == name)
    return {**example, "max_seconds": 0} if name == "wait_until_ready" else example


async def run_with(transport: httpx2.AsyncBaseTransport, name: str, root: Path, base_url: str) -> Output:
    api = Api("sk-odd", base_url, caption_key="sk-odd", caption_base_url=base_url, rates=NO_LIMITS, transport=transport)
    given_settings = Settings(
        api_key="sk-odd", toolsets=("all",), confirm=False, files_root=root, callback_url="https://callback.example"
    )
    runner = Runner(given_settings, api=api)
    try:
        return (await runner.run(runner.operations[name], arguments_of(name))).output
    finally:
        await runner.aclose()
        remove_written(root)


def replay(answers: Answers, name: str, root: Path) -> Output:
    rest = {path: list(bodies) for path, bodies in answers.items()}

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/download"):
            return httpx2.Response(200, content=FILM)
        bodies = rest.get(request.url.path, [{"code": "0000", "data": {"videos": []}}])
        return httpx2.Response(200, content=json.dumps(bodies.pop(0) if len(bodies) > 1 else bodies[0]))

    return asyncio.run(run_with(httpx2.MockTransport(answer), name, root, "http://api.example"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_samples(tmp_path_factory.mktemp("files"))


class Recordings(dict[str, Answers]):
    """The answers of the sandbox to the examples, by operation."""

    def __init__(self) -> None:
        super().__init__()
        self._results: dict[str, Output] = {}

    def __repr__(self) -> str:
        return "Recordings()"  # the whole one is too long for a failure's report

    def intact(self, name: str, root: Path) -> Output:
        """Return the result of an operation's unchanged answers."""
        if name not in self._results:
            self._results[name] = replay(self[name], name, root)
        return self._results[name]


@pytest.fixture(scope="module")
def recorded(sandbox_url: str, root: Path) -> Recordings:
    recordings = Recordings()
    for operation in OPERATIONS:
        recording = Recording()
        asyncio.run(run_with(recording, operation.name, root, sandbox_url))
        if list(inner_values(recording.answers)):
            recordings[operation.name] = recording.answers
    return recordings


Place = tuple[int | str, ...]


def places(value: Any, path: Place = ()) -> Iterator[Place]:
    """Yield the path of every value inside another."""
    items: list[tuple[int | str, Any]] = []
    if isinstance(value, dict):
        items = list(cast(dict[int | str, Any], value).items())
    elif isinstance(value, list):
        items = list(enumerate(cast(list[Any], value)))
    for name, inner in items:
        yield (*path, name)
        yield from places(inner, (*path, name))


def inner_values(answers: Answers) -> Iterator[tuple[str, int, Place]]:
    """Yield the place of every value inside the data of some answers."""
    for url, documents in sorted(answers.items()):
        for index, document in enumerate(documents):
            for path in places(document):
                if len(path) > 1 or {"code", "msg", "success", "failed", "data"}.isdisjoint(path):
                    yield url, index, path


def value_at(document: Any, path: Place) -> Any:
    for name in path:
        document = document[name]
    return document


def count_objects(value: Any) -> int:
    inner = list(cast(dict[str, Any], value).values()) if isinstance(value, dict) else value
    own = 1 if isinstance(value, dict) else 0
    return own + (sum(map(count_objects, cast(list[Any], inner))) if isinstance(inner, list) else 0)


def facts(output: Output) -> Counter[str]:
    """Return the parts of a result, each without the parts inside it."""
    parts: Counter[str] = Counter()
    for part in iter_parts(output, Row):
        if part is not output:
            values = {name: value for name, value in part if not isinstance(value, Row | list)}
            parts[repr(values)] += 1
    return parts


NESTED = json.loads("[" * 300 + "]" * 300)

REMOVED = object()
ODD: list[Any] = [
    None, "N/A", "", "null", 5, -1, 2.5, True, 10**400, float("inf"), float("nan"), "1e999", "1" + ":0" * 300, "²",
    "0001-01-01T00:00:00+14:00", {}, {"a": 1}, {"a": {"b": [1]}}, [], [1], [None], [[{}]], NESTED,
    "x" * 30_000, REMOVED,
]  # fmt: skip

ESSENCE = {"upload_video_file": "videoNo", "upload_video_url": "videoNo"} | {
    "caption_video_url": "task_id", "caption_video_file": "task_id",
    "caption_image_url": "text", "caption_image_file": "text", "get_frame": "status", "download_clip": "status",
}  # fmt: skip
"""The value without which there is no answer."""


@settings(
    max_examples=200, derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(operation=st.integers(0, 999), place=st.integers(0, 99_999), number=st.integers(0, len(ODD) - 1))
def test_one_odd_value_loses_no_other_row_and_is_counted(
    recorded: Recordings, root: Path, operation: int, place: int, number: int
) -> None:
    name = sorted(recorded)[operation % len(recorded)]
    inside = list(inner_values(recorded[name]))
    url, index, path = inside[place % len(inside)]
    odd = ODD[number]
    answers = copy.deepcopy(recorded[name])
    document = answers[url][index]
    intact = recorded.intact(name, root)
    holder, original = value_at(document, path[:-1]), value_at(document, path)
    row = next((path[: n + 1] for n in reversed(range(len(path))) if isinstance(path[n], int)), path[:1])
    loss = count_objects(value_at(document, row))
    if odd is REMOVED:
        del holder[path[-1]]
    else:
        holder[path[-1]] = odd

    try:
        output = replay(answers, name, root)
    except NotFound:  # the list no longer names the requested video
        assert name in {"wait_until_ready", "update_video_transcription"} or "folder" in name
        return
    except MemoriesError as error:
        assert ESSENCE.get(name) == path[-1] and error.next_step, (name, path)  # noqa: PT017, PT018
        return

    note = output.note or ""
    lost = facts(intact) - facts(output)
    assert lost.total() <= loss or "go on with" in note, (name, path, lost)
    if isinstance(original, dict | list):
        is_unreadable = isinstance(odd, str) and odd not in {"", "null"} and name != "get_task_status"
    else:
        is_unreadable = isinstance(odd, dict | list)
    if is_unreadable and {**output.structured(), "note": None} != {**intact.structured(), "note": None}:
        assert "left out" in note or "skipped" in note, (name, path, odd)
