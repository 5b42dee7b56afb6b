"""Prompts: ready ways of working that lead to cited answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import mcp_types as t
from mcp import MCPError

from memories_mcp.runner import Runner

Completes = Literal["video", "session", ""]


@dataclass(frozen=True, kw_only=True)
class Argument:
    """An argument of a prompt.

    Attributes:
        name: As clients send it.
        description: For whoever fills it in.
        required: Whether the prompt makes no sense without it.
        completes: What its value is completed from.
    """

    name: str
    description: str
    required: bool = True
    completes: Completes = ""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A way of working.

    Attributes:
        name: As clients ask for it.
        title: For people.
        description: What it is for.
        arguments: In the order a form shows them.
        tools: Those its words name; without them it is not offered.
        write: Its messages, from arguments that are complete.
    """

    name: str
    title: str
    description: str
    arguments: Sequence[Argument]
    tools: Sequence[str]
    write: Callable[[Mapping[str, str]], list[t.PromptMessage]]


_CITE = (
    "Cite every claim: put [1], [2], … behind it, and under the answer list each number with the video's name, the "
    "time as m:ss-m:ss and the evidence ref. Quote only what the tools returned, never from memory; where they do not "
    "support an answer, say so."
)


def _said(*paragraphs: str) -> list[t.PromptMessage]:
    text = "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
    return [t.PromptMessage(role="user", content=t.TextContent(text=text))]


def _video(named: str) -> str:
    return (
        f"The video is {named!r}. If that is not a video_no (they look like VI611471886560694272), find it with "
        "list_videos and video_name."
    )


def _find_moment(given: Mapping[str, str]) -> list[t.PromptMessage]:
    video = given.get("video", "")
    where = _video(video) + " Search only in it, with video_nos." if video else "Search the whole library."
    return _said(
        f"Find the moment in my videos where this is seen or said: {given['description']!r}.",
        f"{where} Use search_videos, in the words of what would be seen or said, and try other words if the first "
        "find nothing. Then read around the best hits with get_evidence and tell which one it is, with its start and "
        "end, and what speaks for it; name the next best if it is not certain.",
        _CITE,
    )


def _answer(given: Mapping[str, str]) -> list[t.PromptMessage]:
    video = given.get("video", "")
    ask = (
        f"{_video(video)} Ask it with chat_with_videos."
        if video
        else "Find the videos that matter with search_videos, then ask those with chat_with_videos."
    )
    return _said(
        f"Answer from my videos: {given['question']!r}.",
        f"{ask} Then check the moments that the answer rests on with get_evidence and its session_id, and correct the "
        "answer where they say otherwise.",
        _CITE,
    )


def _compare(given: Mapping[str, str]) -> list[t.PromptMessage]:
    aspect = given.get("aspect", "")
    on = f" on this: {aspect!r}" if aspect else ""
    return _said(
        f"Compare two of my videos{on}.",
        f"They are {given['first_video']!r} and {given['second_video']!r}. What is not a video_no (they look like "
        "VI611471886560694272), find with list_videos and video_name.",
        "Ask both at once with chat_with_videos what they have in common and where they differ, and check the moments "
        "named with get_evidence. Answer in a table, one row an aspect, one column a video.",
        _CITE,
    )


def _minutes(given: Mapping[str, str]) -> list[t.PromptMessage]:
    return _said(
        "Write the minutes of a recorded meeting.",
        f"{_video(given['video'])} Read all that is said with get_audio_transcription, page by page to the end; where "
        "something is shown, look it up with get_video_transcription.",
        "Give: who took part, as far as it can be heard; the topics in their order, each with its start; what was "
        "decided; who does what by when; what stayed open.",
        _CITE,
    )


def _audit(given: Mapping[str, str]) -> list[t.PromptMessage]:
    focus = given.get("focus", "")
    return _said(
        "Audit my video library." + (f" Look in particular for this: {focus!r}." if focus else ""),
        "List all videos with list_videos, page by page, also with status failed and processing. Report: how many "
        "there are and their length in all; those that failed, with the cause; those still being processed; names "
        "that occur twice or say nothing; what each video is about, from search_videos where the name does not tell.",
        "Change and delete nothing; propose what should be done. Cite every claim: name the video_no of each video "
        "that it is about, and for what is seen or said also the time as m:ss-m:ss and the evidence ref.",
    )


_ONE_VIDEO = Argument(
    name="video", description="Number or name of one video; all of them if left out", required=False, completes="video"
)

PROMPTS: tuple[Prompt, ...] = (
    Prompt(
        name="find_moment",
        title="Find a moment",
        description="Find where in your videos something is seen or said.",
        arguments=[Argument(name="description", description="What is seen or said there"), _ONE_VIDEO],
        tools=["search_videos", "get_evidence", "list_videos"],
        write=_find_moment,
    ),
    Prompt(
        name="answer_with_citations",
        title="Answer with citations",
        description="Answer a question from your videos, every claim with its moment.",
        arguments=[Argument(name="question", description="What you want to know"), _ONE_VIDEO],
        tools=["search_videos", "chat_with_videos", "get_evidence", "list_videos"],
        write=_answer,
    ),
    Prompt(
        name="compare_videos",
        title="Compare two videos",
        description="What two videos have in common and where they differ, with the moments that show it.",
        arguments=[
            Argument(name="first_video", description="Number or name of the one", completes="video"),
            Argument(name="second_video", description="Number or name of the other", completes="video"),
            Argument(name="aspect", description="What to compare; everything if left out", required=False),
        ],
        tools=["chat_with_videos", "get_evidence", "list_videos"],
        write=_compare,
    ),
    Prompt(
        name="meeting_minutes",
        title="Minutes of a meeting",
        description="Minutes of a recorded meeting: topics, decisions, tasks, each with its moment.",
        arguments=[Argument(name="video", description="Number or name of the recording", completes="video")],
        tools=["get_audio_transcription", "get_video_transcription", "list_videos"],
        write=_minutes,
    ),
    Prompt(
        name="audit_library",
        title="Audit the library",
        description="What the library holds, what failed, what is missing or doubled.",
        arguments=[Argument(name="focus", description="What to look for in particular", required=False)],
        tools=["list_videos", "search_videos"],
        write=_audit,
    ),
)


class Prompts:
    """Lists and writes prompts.

    Args:
        prompts: In the order they are listed.
    """

    def __init__(self, prompts: Sequence[Prompt] = PROMPTS) -> None:
        self._prompts = {prompt.name: prompt for prompt in prompts}

    def listed(self, runner: Runner) -> list[t.Prompt]:
        """The prompts whose tools this caller has."""
        return [
            t.Prompt(
                name=prompt.name,
                title=prompt.title,
                description=prompt.description,
                arguments=[
                    t.PromptArgument(name=each.name, description=each.description, required=each.required)
                    for each in prompt.arguments
                ],
            )
            for prompt in self._prompts.values()
            if _offered(prompt, runner)
        ]

    def named(self, runner: Runner, name: str) -> Prompt:
        """A prompt by its name.

        Raises:
            MCPError: This caller has no such prompt.
        """
        prompt = self._prompts.get(name)
        if prompt is None or not _offered(prompt, runner):
            known = ", ".join(each.name for each in self._prompts.values() if _offered(each, runner))
            message = f"Unknown prompt: {name[:80]}; there are: {known or 'none'}."
            raise MCPError(code=t.INVALID_PARAMS, message=message)
        return prompt

    def written(self, runner: Runner, name: str, arguments: Mapping[str, str] | None) -> t.GetPromptResult:
        """A prompt's messages.

        Raises:
            MCPError: Unknown prompt, or arguments that are missing, unknown or too long.
        """
        prompt = self.named(runner, name)
        given = {name: value.strip() for name, value in (arguments or {}).items() if value.strip()}
        known = [each.name for each in prompt.arguments]
        required = [each.name for each in prompt.arguments if each.required]
        problems = [f"missing argument {each}" for each in required if each not in given]
        problems += [f"unknown argument {each[:40]}" for each in given if each not in known]
        problems += [f"{each} is too long" for each in known if len(given.get(each, "")) > _LONGEST]
        if problems:
            takes = f" It takes: {', '.join(known)}." if known else " It takes none."
            raise MCPError(code=t.INVALID_PARAMS, message=f"{prompt.name}: {'; '.join(problems)}.{takes}")
        return t.GetPromptResult(description=prompt.description, messages=prompt.write(given))


_LONGEST = 4000


def _offered(prompt: Prompt, runner: Runner) -> bool:
    return all(tool in runner.operations for tool in prompt.tools)
