"""Prompts: ready-made tasks that lead to cited answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import mcp_types as t
from mcp import MCPError

from memories_mcp.runner import Runner

CompletionSource = Literal["video", "session", ""]
"""Where the values of a prompt's argument are completed from; empty for no completion."""

_MAX_VALUE_CHARACTERS = 4000
_MAX_PROBLEMS = 10


@dataclass(frozen=True, kw_only=True)
class Argument:
    """An argument of a prompt.

    Attributes:
        name: The name in requests.
        description: Shown to the person who fills in the argument.
        required: Whether the prompt needs a value.
        completion: Where values are completed from.
    """

    name: str
    description: str
    required: bool = True
    completion: CompletionSource = ""


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A ready-made task.

    Attributes:
        name: The name in requests.
        title: The name shown to people.
        description: What the prompt is for.
        arguments: In the order a form shows them.
        tools: The tools that the text names; the prompt is offered only with all of them.
        write: Returns the messages for complete, checked arguments.
    """

    name: str
    title: str
    description: str
    arguments: Sequence[Argument]
    tools: Sequence[str]
    write: Callable[[Mapping[str, str]], list[t.PromptMessage]]

    def is_offered(self, runner: Runner) -> bool:
        """Return whether the runner has every tool that the prompt names."""
        return all(tool in runner.operations for tool in self.tools)


_CITE = (
    "Cite every claim: put [1], [2], … behind it, and list each number under the answer with the video's name, the "
    "time as m:ss-m:ss and the evidence ref. Quote only what the tools returned, never from memory. If the tools' "
    "results do not support an answer, say so."
)


def _user_message(*paragraphs: str) -> list[t.PromptMessage]:
    return [t.PromptMessage(role="user", content=t.TextContent(text="\n\n".join(paragraphs)))]


def _identify(video: str) -> str:
    return f"The video is {video!r}; the tools take this number or name as it is."


def _find_moment(arguments: Mapping[str, str]) -> list[t.PromptMessage]:
    video = arguments.get("video")
    scope = f"{_identify(video)} Search only this video, with video_nos." if video else "Search the whole library."
    return _user_message(
        f"Find the moment in my videos where this is seen or said: {arguments['description']!r}.",
        f"{scope} Call get_evidence with words for what would be seen or said there as query; if nothing matches, try "
        "other words. Give the moment with its start and end, and the reasons for it. If it is not certain, give the "
        "next best match too.",
        _CITE,
    )


def _answer(arguments: Mapping[str, str]) -> list[t.PromptMessage]:
    video = arguments.get("video")
    if video:
        steps = f"{_identify(video)} Question it with chat_with_videos."
    else:
        steps = "Find the relevant videos with search_videos, then question them with chat_with_videos."
    return _user_message(
        f"Answer from my videos: {arguments['question']!r}.",
        f"{steps} Then check the moments behind the answer with get_evidence and its session_id, and correct the "
        "answer if they contradict it.",
        _CITE,
    )


def _compare(arguments: Mapping[str, str]) -> list[t.PromptMessage]:
    aspect = arguments.get("aspect")
    task = f"Compare two of my videos in this respect: {aspect!r}." if aspect else "Compare two of my videos."
    return _user_message(
        task,
        f"The videos are {arguments['first_video']!r} and {arguments['second_video']!r}; the tools take these numbers "
        "or names as they are.",
        "In one call of chat_with_videos with both videos, ask what they have in common and where they differ. Check "
        "the moments in the answer with get_evidence. Answer with a table: one row per aspect, one column per video.",
        _CITE,
    )


def _minutes(arguments: Mapping[str, str]) -> list[t.PromptMessage]:
    return _user_message(
        "Write the minutes of a recorded meeting.",
        f"{_identify(arguments['video'])} Read everything that is said with get_audio_transcription, page by page to "
        "the end. For what is shown on screen, use get_video_transcription.",
        "Give: the participants, as far as the recording names them; the topics in order, each with its start; the "
        "decisions; the tasks, each with the person responsible and the deadline; the open questions.",
        _CITE,
    )


def _audit(arguments: Mapping[str, str]) -> list[t.PromptMessage]:
    focus = arguments.get("focus")
    task = f"Audit my video library, with this focus: {focus!r}." if focus else "Audit my video library."
    return _user_message(
        task,
        "List all videos with list_videos, page by page, including those with status failed and processing. Report: "
        "the number of videos and their total length; the failed videos, with the cause; the videos still being "
        "processed; names that occur twice or do not describe the video; the subject of each video, from "
        "search_videos if the name does not show it.",
        "Do not change or delete anything; propose what should be done. Cite every claim: give the video_no of each "
        "video concerned, and for what is seen or said also the time as m:ss-m:ss and the evidence ref.",
    )


_ONE_VIDEO = Argument(
    name="video", description="Number or name of one video; leave out for all", required=False, completion="video"
)

PROMPTS: tuple[Prompt, ...] = (
    Prompt(
        name="find_moment",
        title="Find a moment",
        description="Find where something is seen or said in your videos.",
        arguments=[Argument(name="description", description="What is seen or said at the moment"), _ONE_VIDEO],
        tools=["get_evidence"],
        write=_find_moment,
    ),
    Prompt(
        name="answer_with_citations",
        title="Answer with citations",
        description="Answer a question from your videos and cite the moment behind every claim.",
        arguments=[Argument(name="question", description="The question to answer"), _ONE_VIDEO],
        tools=["search_videos", "chat_with_videos", "get_evidence"],
        write=_answer,
    ),
    Prompt(
        name="compare_videos",
        title="Compare two videos",
        description="Compare two videos: what they share, where they differ, and the moments that show it.",
        arguments=[
            Argument(name="first_video", description="Number or name of the first video", completion="video"),
            Argument(name="second_video", description="Number or name of the second video", completion="video"),
            Argument(name="aspect", description="What to compare; leave out for everything", required=False),
        ],
        tools=["chat_with_videos", "get_evidence"],
        write=_compare,
    ),
    Prompt(
        name="meeting_minutes",
        title="Minutes of a meeting",
        description="Write the minutes of a recorded meeting: topics, decisions and tasks, each with its moment.",
        arguments=[Argument(name="video", description="Number or name of the recording", completion="video")],
        tools=["get_audio_transcription", "get_video_transcription"],
        write=_minutes,
    ),
    Prompt(
        name="audit_library",
        title="Audit the library",
        description="Report what the library holds, what failed, and what is missing or duplicated.",
        arguments=[Argument(name="focus", description="What to pay special attention to", required=False)],
        tools=["list_videos", "search_videos"],
        write=_audit,
    ),
)


class Prompts:
    """Lists and renders prompts.

    Args:
        prompts: In the order they are listed.
    """

    def __init__(self, prompts: Sequence[Prompt] = PROMPTS) -> None:
        self._prompts = {prompt.name: prompt for prompt in prompts}

    def list_prompts(self, runner: Runner) -> list[t.Prompt]:
        """Return the prompts whose tools this caller has."""
        return [
            t.Prompt(
                name=prompt.name,
                title=prompt.title,
                description=prompt.description,
                arguments=[
                    t.PromptArgument(name=argument.name, description=argument.description, required=argument.required)
                    for argument in prompt.arguments
                ],
            )
            for prompt in self._prompts.values()
            if prompt.is_offered(runner)
        ]

    def get(self, runner: Runner, name: str) -> Prompt:
        """Return a prompt by its name.

        Raises:
            MCPError: This caller has no such prompt.
        """
        prompt = self._prompts.get(name)
        if prompt is None or not prompt.is_offered(runner):
            names = ", ".join(name for name, prompt in self._prompts.items() if prompt.is_offered(runner))
            message = f"Unknown prompt: {name[:80]}. Available prompts: {names or 'none'}."
            raise MCPError(code=t.INVALID_PARAMS, message=message)
        return prompt

    def render(self, runner: Runner, name: str, arguments: Mapping[str, str] | None) -> t.GetPromptResult:
        """Return the messages of a prompt.

        Args:
            runner: Offers the tools that a prompt needs.
            name: The prompt.
            arguments: The arguments of the request.

        Raises:
            MCPError: The prompt is unknown, or an argument is missing, unknown or too long.
        """
        prompt = self.get(runner, name)
        values = {name: value.strip() for name, value in (arguments or {}).items() if value.strip()}
        names = [argument.name for argument in prompt.arguments]
        problems = [
            f"missing argument {argument.name}"
            for argument in prompt.arguments
            if argument.required and argument.name not in values
        ]
        problems += [f"unknown argument {name[:40]}" for name in values if name not in names]
        problems += [f"{name} is too long" for name in names if len(values.get(name, "")) > _MAX_VALUE_CHARACTERS]
        if len(problems) > _MAX_PROBLEMS:
            problems[_MAX_PROBLEMS:] = [f"{len(problems) - _MAX_PROBLEMS} more problems"]
        if problems:
            message = f"{prompt.name}: {'; '.join(problems)}. Arguments: {', '.join(names) or 'none'}."
            raise MCPError(code=t.INVALID_PARAMS, message=message)
        return t.GetPromptResult(description=prompt.description, messages=prompt.write(values))
