"""Arguments as language models and their hosts write them: names, blanks, lists, times, enumerations, numbers."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from conftest import BIKE, MEETING, FakeWire, calling, envelope, run
from mcp import Client
from reading import faked

from memories_mcp.errors import InvalidArguments
from memories_mcp.models.argument_names import HOST_KEYS
from memories_mcp.operation import Operation
from memories_mcp.operations import OPERATIONS
from memories_mcp.runner import Runner
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

BY_NAME = {operation.name: operation for operation in OPERATIONS}
all_operations = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def arguments_of(tool: str, **arguments: Any) -> dict[str, Any]:
    """Return the validated arguments of a call that were sent, on top of the tool's example."""
    example = BY_NAME[tool].example
    args = BY_NAME[tool].validate({**example, **arguments}, {})
    return {name: getattr(args, name) for name in arguments if hasattr(args, name)}


def refusal(tool: str, **arguments: Any) -> str:
    with pytest.raises(InvalidArguments) as caught:
        BY_NAME[tool].validate(arguments, {})
    return str(caught.value)


# Names


@all_operations
def test_keys_that_hosts_add_are_dropped(operation: Operation[Any, Any]) -> None:
    added = dict.fromkeys([*HOST_KEYS, "_anything", "__user__"], "call_1")

    assert operation.validate({**operation.example, **added}, {}) == operation.validate(operation.example, {})


@all_operations
def test_a_key_of_a_host_alone_is_dropped_unless_it_is_an_argument(operation: Operation[Any, Any]) -> None:
    for key in HOST_KEYS:
        if key == "chatInput":
            continue
        if key == "sessionId" and "session_id" in operation.input.model_fields:
            others = {name: value for name, value in operation.example.items() if name not in {"session_id", "refs"}}
            assert operation.validate({**others, "sessionId": "12"}, {}).session_id == "12"
            continue

        read = operation.validate({**operation.example, key: "x"}, {})
        assert read == operation.validate(operation.example, {}), key


def test_the_session_of_a_hosts_chat_is_not_a_session_of_the_service() -> None:
    chat = {"sessionId": "bea37d4f1436438caa8e4a42e1fdaf40", "action": "sendMessage", "chatInput": "hello"}

    assert BY_NAME["chat_with_library"].validate({"prompt": "x", **chat}, {}).session_id is None


@pytest.mark.parametrize(
    ("tool", "arguments", "expected"),
    [
        ("get_audio_transcription", {"videoNo": "VI1", "startSeconds": 3}, {"video_no": "VI1", "start_seconds": 3}),
        ("search_videos", {"query": "x", "topK": 3, "searchType": "BY_CLIP"}, {"top_k": 3, "search_type": "BY_CLIP"}),
        ("search_videos", {"Query": "x", "top-k": 3, "TOP_K ": 3}, None),
        ("search_videos", {"QUERY": "x", "uniqueId": "ws"}, {"query": "x", "unique_id": "ws"}),
    ],
)
def test_our_own_names_in_another_case_are_read(
    tool: str, arguments: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    if expected is None:
        assert "the same as top_k; send one of them" in refusal(tool, **arguments)
        return
    args = BY_NAME[tool].validate(arguments, {})

    assert {name: getattr(args, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("tool", "name", "meant"),
    [
        ("search_videos", "limit", "use top_k."),
        ("search_videos", "maxResults", "use top_k."),
        ("search_videos", "q", "use query."),
        ("search_videos", "question", "use query."),
        ("search_videos", "search_param", "use query."),
        ("search_videos", "videos", "use video_nos."),
        ("search_audio_transcripts", "limit", "use page_size."),
        ("list_videos", "n", "use size."),
        ("list_videos", "name", "use video_name or video_no or folder_id."),
        ("chat_with_library", "question", "use prompt."),
        ("chat_with_videos", "video_ids", "use video_nos."),
        ("get_audio_transcription", "video_nos", "use video_no."),
        ("get_audio_transcription", "start", "use start_seconds."),
        ("upload_creator", "username", "use profile_url."),
        ("upload_creator", "handle", "use profile_url."),
        ("upload_creator", "limit", "use count."),
        ("upload_platform_urls", "urls", "use video_urls."),
        ("upload_video_url", "link", "use url."),
        ("upload_video_file", "file", "use path."),
        ("upload_hashtag", "tags", "use hashtags."),
        ("wait_until_ready", "timeout", "use max_seconds."),
        ("search_videos", "serch_type", "did you mean search_type?"),
        ("search_videos", "_query", "did you mean query?"),
        ("search_videos", "toolCall", "valid arguments: unique_id, query"),
    ],
)
def test_an_unknown_name_is_answered_with_the_argument_that_is_meant(tool: str, name: str, meant: str) -> None:
    assert f"{name}: unknown argument; {meant}" in refusal(tool, **{name: "x"})


@all_operations
def test_only_arguments_of_the_operation_are_suggested(operation: Operation[Any, Any]) -> None:
    for name in {"limit", "q", "url", "id", "file", "session", "seconds", "type"} - operation.input.model_fields.keys():
        with pytest.raises(InvalidArguments) as caught:
            operation.validate({**operation.example, name: "x"}, {"unique_id": "ws"})
        hint = next(problem for problem in caught.value.problems if problem.startswith(f"{name}: unknown"))
        suggested = hint.partition("use ")[2].rstrip(".").split(" or ") if "use " in hint else []
        assert set(suggested) <= operation.input.model_fields.keys()
        assert "unique_id" not in suggested


def test_the_names_inside_an_argument_are_read_alike() -> None:
    person = {"Name": "Ann", "url": "https://x.example/a.jpg", "toolCallId": "x"}
    args = arguments_of("caption_video_url", persons=json.dumps(person))

    assert args["persons"][0].name == "Ann"
    assert "persons.0: link: unknown argument; use url." in refusal(
        "caption_video_url", url="https://x.example/a.mp4", user_prompt="x", persons=[{"name": "Ann", "link": "y"}]
    )


# Blanks


BLANKS: list[Any] = ["", " ", "\n\t", None, "null", [], [""], ["", " "]]


@all_operations
def test_a_blank_for_an_optional_argument_means_left_out(operation: Operation[Any, Any]) -> None:
    for blank in BLANKS:
        optional = {
            name
            for name, field in operation.input.model_fields.items()
            if not field.is_required() and (not isinstance(blank, list) or "list" in str(field.annotation))
        }
        blanks: dict[str, Any] = dict.fromkeys(optional - operation.example.keys(), cast(Any, blank))

        read = operation.validate({**operation.example, **blanks}, {})
        assert read == operation.validate(operation.example, {}), blanks


@all_operations
def test_a_blank_for_a_required_argument_is_named_as_required(operation: Operation[Any, Any]) -> None:
    required = [name for name, field in operation.input.model_fields.items() if field.is_required()]
    for name in required:
        for blank in ("", "  ", None):
            assert f"{name}: required." in refusal(operation.name, **{**operation.example, name: blank})


@pytest.mark.anyio
async def test_a_blank_is_not_sent_to_the_service() -> None:
    wire = FakeWire(envelope([]))
    async with calling(wire) as runner:
        await run(runner, "search_videos", query="x", unique_id="", tag=" ", video_nos=[""], top_k="")

    assert json.loads(wire.requests[0].content) == {"search_param": "x", "search_type": "BY_CLIP", "top_k": 10}


# Lists


@pytest.mark.parametrize(
    ("tool", "name", "text", "expected"),
    [
        ("search_videos", "video_nos", "VI1,VI2", ["VI1", "VI2"]),
        ("search_videos", "video_nos", "VI1 VI2\n VI3; VI4,", ["VI1", "VI2", "VI3", "VI4"]),
        ("search_videos", "video_nos", '["VI1", "VI2"]', ["VI1", "VI2"]),
        ("search_videos", "video_nos", "['VI1', 'VI2']", ["VI1", "VI2"]),
        ("search_videos", "video_nos", "[VI1, VI2]", ["VI1", "VI2"]),
        ("search_videos", "video_nos", ["VI1, VI2", "", "VI3"], ["VI1", "VI2", "VI3"]),
        ("search_videos", "video_nos", ("VI1", "VI2"), ["VI1", "VI2"]),
        ("upload_video_url", "tags", "board meeting, pricing\n2024", ["board meeting", "pricing", "2024"]),
        ("upload_video_url", "tags", ["a, b"], ["a, b"]),
        ("upload_video_url", "tags", [2024, "x"], ["2024", "x"]),
        ("upload_video_url", "tags", 2024, ["2024"]),
        ("upload_hashtag", "hashtags", "#nba #golf,chess", ["nba", "golf", "chess"]),
        ("upload_hashtag", "hashtags", "#nba#golf", ["nba", "golf"]),
        ("upload_images", "paths", "a.jpg, b c,d.png\ne.jpeg", ["a.jpg", "b c,d.png", "e.jpeg"]),
        ("upload_images", "paths", "[2024] talk, part 1.jpg", ["[2024] talk, part 1.jpg"]),
        (
            "upload_platform_urls", "video_urls", "https://youtu.be/1?a=1,2, https://youtu.be/2,https://youtu.be/3\n",
            ["https://youtu.be/1?a=1,2", "https://youtu.be/2", "https://youtu.be/3"],
        ),
        (
            "get_evidence", "refs", "VI1#t=30,36&kind=audio, VI2#t=0:30,0:36&kind=visual,image:12",
            ["VI1#t=30,36&kind=audio", "VI2#t=30,36&kind=visual", "image:12"],
        ),
    ],
)  # fmt: skip
def test_a_list_may_come_as_text(tool: str, name: str, text: Any, expected: list[str]) -> None:
    assert arguments_of(tool, **{name: text}) == {name: expected}


@pytest.mark.parametrize("text", ["[" * 5000, '["' * 5000, "[[", '["a", "b"', "[{'a': 1", "[", "x" * 200_001])
@pytest.mark.parametrize(("tool", "name"), [("delete_videos", "video_nos"), ("upload_video_url", "tags")])
def test_a_text_that_is_no_list_is_refused_as_such(tool: str, name: str, text: str) -> None:
    problems = refusal(tool, **{**BY_NAME[tool].example, name: text})

    assert f"{name}: expected a list" in problems
    assert len(problems) < 500


def test_text_with_commas_stays_whole_where_no_list_is_meant() -> None:
    assert arguments_of("chat_with_library", prompt="VI1, VI2 and more?") == {"prompt": "VI1, VI2 and more?"}
    assert arguments_of("upload_video_url", url="https://x.example/a,b.mp4") == {"url": "https://x.example/a,b.mp4"}


# Times

TIMES = [
    ("95", 95), ("95.5", 95.5), (" 3:00 ", 180), ("1:02:05", 3725), ("90:00", 5400), ("00:03:00.500", 180.5),
    ("00:03:00,500", 180.5), ("95s", 95), ("1m30s", 90), ("1h 2m", 3720), ("5 min", 300), (0, 0), (1e3, 1000),
]  # fmt: skip


@pytest.mark.parametrize(("time", "seconds"), TIMES)
def test_seconds_may_be_written_as_a_clock(time: Any, seconds: float) -> None:
    assert arguments_of("get_audio_transcription", start_seconds=time) == {"start_seconds": seconds}
    assert arguments_of("get_public_video_transcription", end_seconds=time) == {"end_seconds": seconds}


@pytest.mark.parametrize("time", ["0:05", "5s", "5"])
def test_every_argument_of_seconds_reads_a_clock(time: str) -> None:
    names = [
        (operation.name, name)
        for operation in OPERATIONS
        for name in operation.input.model_fields
        if name.endswith("_seconds")
    ]

    assert len({name for _, name in names}) == 5
    for tool, name in names:
        assert arguments_of(tool, **{name: time}) == {name: 5}


@pytest.mark.parametrize(
    "time",
    ["1:99", "1:75:00", "1:2:3:4", "3:", ":30", "-3:00", "-5", -5, "nan", "inf", "1e400", float("nan"), float("inf"),
     10**400, True, "soon", "1" + ":0" * 300, "9" * 5000],
)  # fmt: skip
@pytest.mark.parametrize("name", ["start_seconds", "end_seconds"])
def test_what_is_no_time_is_refused(name: str, time: Any) -> None:
    assert f"{name}: " in refusal("get_audio_transcription", video_no="VI1", **{name: time})


@pytest.mark.parametrize("time", ["1:99", "1:75:00", "1:2:3:4"])
def test_a_ref_with_an_impossible_time_is_refused(time: str) -> None:
    assert "write seconds, m:ss or h:mm:ss" in refusal("get_evidence", refs=[f"VI1#t={time}&kind=audio"])


@pytest.mark.anyio
async def test_a_resource_reads_a_clock_and_names_a_wrong_time() -> None:
    segments = [{"index": i, "content": f"line {i}", "start_time": i * 60, "end_time": i * 60 + 5} for i in range(5)]
    _, client = faked(envelope({"transcriptions": segments}))
    uri = f"memories://videos/{MEETING}/transcripts/AUDIO"
    async with client:
        clock = await client.read_resource(f"{uri}?start=2:00&end=3:00")
        seconds = await client.read_resource(f"{uri}?start=120&end=180")
        with pytest.raises(Exception, match="write seconds, m:ss or h:mm:ss"):
            await client.read_resource(f"{uri}?start=1:99")

    assert clock.contents[0].text == seconds.contents[0].text  # pyright: ignore
    assert "line 2" in str(clock.contents)
    assert "line 4" not in str(clock.contents)


@pytest.mark.anyio
@pytest.mark.parametrize("seconds", [300, "5:00", 46, 1e9])
async def test_a_wait_that_is_too_long_is_cut_and_the_result_says_so(runner: Runner, seconds: Any) -> None:
    waited = await run(runner, "wait_until_ready", video_nos=[BIKE], max_seconds=seconds)

    assert waited.ready
    assert waited.note.startswith("max_seconds was cut to 45, the longest wait of one call.")


@pytest.mark.anyio
async def test_the_note_of_a_cut_wait_reaches_the_text_of_the_tool(live: Settings) -> None:
    async with Client(make_server(live)) as client:
        arguments = {"url": "https://x.example/a.mp4", "wait_seconds": 600}
        result = await client.call_tool("upload_video_url", arguments)

    assert "wait_seconds was cut to 45" in str(result.content)
    assert not result.is_error


# Enumerations


@pytest.mark.parametrize(
    ("tool", "name", "word", "value"),
    [
        ("list_videos", "status", "PARSE", "ready"),
        ("list_videos", "status", "Unparse", "processing"),
        ("list_videos", "status", "FAIL", "failed"),
        ("list_videos", "status", "failed", "failed"),
        ("list_videos", "status", "parse error", "failed"),
        ("list_videos", "status", " READY ", "ready"),
        ("search_public_videos", "platform", "tiktok", "TIKTOK"),
        ("search_public_videos", "platform", "Tik Tok", "TIKTOK"),
        ("chat_with_public_videos", "platform", "YouTube", "YOUTUBE"),
        ("search_public_similar_images", "platform", "instagram", "INSTAGRAM"),
        ("search_videos", "search_type", "by clip", "BY_CLIP"),
        ("search_videos", "search_type", "by-caption", "BY_CAPTION"),
        ("search_videos", "search_type", "audio", "BY_AUDIO"),
        ("search_videos", "filtering_level", "HIGH", "high"),
        ("generate_summary", "summary_type", "topic", "TOPIC"),
        ("upload_platform_urls", "quality", 1080, "1080"),
        ("upload_platform_urls", "quality", 720.0, "720"),
        ("upload_platform_urls", "quality", "480p", "480"),
    ],
)
def test_enumerations_ignore_case_and_know_the_services_words(tool: str, name: str, word: Any, value: str) -> None:
    assert arguments_of(tool, **{name: word}) == {name: value}


@pytest.mark.parametrize("word", ["BY_SMELL", "by", True, 5, "x" * 100])
def test_a_word_that_is_no_value_is_answered_with_the_values(word: Any) -> None:
    assert "'BY_CLIP', 'BY_VIDEO'" in refusal("search_videos", query="x", search_type=word)


@pytest.mark.anyio
async def test_the_quality_of_an_import_is_a_number_on_the_wire() -> None:
    wire = FakeWire(envelope({"taskId": "t"}))
    async with calling(wire) as runner:
        await run(runner, "upload_platform_urls", video_urls=["https://youtu.be/1"], quality="720")

    assert json.loads(wire.requests[0].content)["quality"] == 720


# Numbers for texts


@pytest.mark.parametrize(
    "number", [612990037562867712, 6.12990037562867712e17, 2**53, -(2**60), 10**5000, 1e300], ids=range(6)
)
@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ("get_session_detail", "session_id"), ("get_audio_transcription", "video_no"), ("search_videos", "tag"),
        ("search_videos", "unique_id"),
    ],
)  # fmt: skip
def test_a_number_that_may_have_lost_digits_must_be_quoted(tool: str, name: str, number: float) -> None:
    problems = refusal(tool, **{**BY_NAME[tool].example, name: number})

    assert f"{name}: quote it: numbers of this size lose digits" in problems
    assert len(problems) < 300


def test_a_number_whose_digits_are_certain_is_read_as_text() -> None:
    assert arguments_of("get_session_detail", session_id=12345) == {"session_id": "12345"}
    assert arguments_of("get_session_detail", session_id=12345.0) == {"session_id": "12345"}
    assert arguments_of("search_videos", query=2024, tag=7) == {"query": "2024", "tag": "7"}


@pytest.mark.parametrize("value", [True, 1.5, float("nan")])
def test_booleans_and_fractions_never_become_ids(value: Any) -> None:
    assert "session_id: " in refusal("get_session_detail", session_id=value)
