"""Citations: the moments that an agent's messages rest on, numbered, with links."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import BIKE, MEETING, MEETING_SESSION
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage, messages_to_dict

from langchain_tools import MemoriesChatMessageHistory, MemoriesToolkit, collect_citations

pytestmark = pytest.mark.usefixtures("no_limits")


def call(toolkit: MemoriesToolkit, name: str, **arguments: Any) -> ToolMessage:
    return toolkit.get_tool(name).invoke({"name": name, "args": arguments, "id": "1", "type": "tool_call"})


def test_moments_are_numbered_in_the_order_in_which_the_answer_mentions_them(account: dict[str, Any]) -> None:
    with MemoriesToolkit(**account) as toolkit:
        result = call(toolkit, "search_videos", query="price of the Team plan", top_k=3)
    refs = [moment["ref"] for moment in result.artifact["structured_content"]["moments"]]
    messages = [
        HumanMessage("What does it cost?"),
        result,
        AIMessage(f"Twenty-four euros [{refs[1]}], later ({refs[0]})."),
    ]

    cited = collect_citations(messages)
    every_moment = collect_citations(messages, mentioned=False)

    assert [(citation.number, citation.moment.ref) for citation in cited] == [(1, refs[1]), (2, refs[0])]
    assert [citation.moment.ref for citation in every_moment] == refs
    assert str(every_moment[0]).startswith("[1] Quarterly planning meeting, 3:32-4:16 <memories://videos/")


def test_an_answer_that_mentions_no_ref_cites_everything_that_was_read(account: dict[str, Any]) -> None:
    with MemoriesToolkit(**account) as toolkit:
        first = call(toolkit, "search_videos", query="price of the Team plan", top_k=2)
        again = call(toolkit, "search_videos", query="price of the Team plan", top_k=3)

    citations = collect_citations([first, again, AIMessage("Twenty-four euros, at 3:32.")])

    assert [citation.number for citation in citations] == [1, 2, 3]


def test_what_was_read_around_a_ref_is_one_citation_with_its_words_and_link(account: dict[str, Any]) -> None:
    ref = f"{MEETING}#t=212,256&kind=clip"
    with MemoriesToolkit(**account) as toolkit:
        read = call(toolkit, "get_evidence", refs=[ref])

    [citation] = collect_citations([read])

    assert citation.moment.ref == ref
    assert citation.title == "Quarterly planning meeting, 3:32-4:16"
    assert "lower the price of the Team plan" in (citation.moment.text or "")
    assert citation.link == read.artifact["structured_content"]["moments"][0].get("video_url") or citation.moment.uri


def test_the_longer_of_two_refs_is_not_mistaken_for_the_shorter(account: dict[str, Any]) -> None:
    moments = [
        {"ref": f"{MEETING}#t=5&kind=clip", "kind": "clip"},
        {"ref": f"{MEETING}#t=5,9&kind=clip", "kind": "clip"},
        {"ref": f"{MEETING}#t=5&kind=clips", "kind": "clip"},
    ]
    result = ToolMessage("…", tool_call_id="1", artifact={"structured_content": {"moments": moments}})

    citations = collect_citations([result, AIMessage(f"See {MEETING}#t=5&kind=clips.")])

    assert [citation.moment.ref for citation in citations] == [f"{MEETING}#t=5&kind=clips"]


def test_messages_may_be_mappings_and_other_tools_are_passed_over() -> None:
    others = [
        ToolMessage("text", tool_call_id="1"),
        ToolMessage("text", tool_call_id="2", artifact=["a"]),
        ToolMessage("text", tool_call_id="3", artifact={"structured_content": {"ref": "x", "kind": "y"}}),
    ]
    ours = ToolMessage(
        "…",
        tool_call_id="4",
        artifact={"structured_content": {"moments": [{"ref": f"{BIKE}#kind=clip", "kind": "clip"}]}},
    )
    as_mappings = [entry["data"] for entry in messages_to_dict([*others, ours])]

    assert [citation.moment.ref for citation in collect_citations([*others, ours])] == [f"{BIKE}#kind=clip"]
    assert [citation.moment.ref for citation in collect_citations(as_mappings)] == [f"{BIKE}#kind=clip"]
    assert collect_citations([]) == []


def check_history(messages: list[BaseMessage]) -> None:
    assert [message.type for message in messages[:2]] == ["human", "ai"]
    assert messages[0].text
    citations = collect_citations(messages)
    assert citations
    assert {citation.moment.video_no for citation in citations} == {MEETING}


def test_a_session_is_a_history_of_messages_with_citations(account: dict[str, Any]) -> None:
    with MemoriesChatMessageHistory(**account, session_id=MEETING_SESSION) as history:
        check_history(history.messages)


@pytest.mark.anyio
async def test_a_session_is_read_in_async_code_too(account: dict[str, Any]) -> None:
    async with MemoriesChatMessageHistory(**account, session_id=MEETING_SESSION) as history:
        check_history(await history.aget_messages())


def test_a_session_is_read_only_and_says_how_to_continue_it(account: dict[str, Any]) -> None:
    history = MemoriesChatMessageHistory(**account, session_id=MEETING_SESSION)

    with pytest.raises(NotImplementedError, match="chat_with_videos"):
        history.add_user_message("And the launch?")
    with pytest.raises(NotImplementedError, match="no operation"):
        history.clear()
