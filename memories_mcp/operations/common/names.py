"""Names of private videos and URLs of public posts, which stand in place of numbers in arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple, TypeVar, cast

from memories_mcp.errors import AmbiguousName, InvalidArguments, NotFound
from memories_mcp.models.base import Input, PrivateInput
from memories_mcp.models.coercions import one_line
from memories_mcp.models.ids import StandIn, VideoNo
from memories_mcp.models.spellings import find_annotation
from memories_mcp.operations.common.lookups import describe_video
from memories_mcp.operations.common.name_search import NameMatch, NameSearch, can_be_part, fold_name
from memories_mcp.operations.common.newest import NewestVideos
from memories_mcp.operations.common.posts import KnownPosts
from memories_mcp.validation import validate

_MOST_CANDIDATES = 5
_MOST_SIMILAR = 3
_MOST_PROBLEMS = 5
"""The look-ups stop after so many names that mean no video."""
_MOST_SENTENCES = 20
_QUOTED_LENGTH = 80

InputT = TypeVar("InputT", bound=Input)


class _Videos(PrivateInput):
    video_nos: list[VideoNo]


@dataclass
class _Reading:
    """How the texts of one call are read.

    Attributes:
        sentences: What each text was read as.
        problems: The texts that mean no video, or several.
    """

    sentences: dict[str, str] = field(default_factory=dict[str, str])
    problems: list[_Problem] = field(default_factory=list["_Problem"])


class _Problem(NamedTuple):
    name: str
    summary: str
    rows: list[str]
    next_step: str
    is_ambiguous: bool


class StandIns:
    """Replaces names and URLs in arguments by the numbers of videos, for one API key.

    Args:
        newest: The newest videos of the key's namespaces.
        posts: The public videos whose URLs are known.
    """

    def __init__(self, newest: NewestVideos, posts: KnownPosts) -> None:
        self._newest = newest
        self._posts = posts

    async def resolve(self, args: InputT, *, strict: bool = False) -> tuple[InputT, list[str]]:
        """Return the arguments with numbers only, and a sentence on each text that was replaced.

        The sentences hold text of the service: they belong inside the fence.

        Args:
            args: The validated arguments.
            strict: Whether to compare with the present state of the whole library, because the action cannot be
                undone: a cached list is not enough, and in a library too large to compare, no part of a name is.

        Raises:
            AmbiguousName: Several videos match a name.
            NotFound: No video matches a name.
            InvalidArguments: The post of a URL is unknown.
            MemoriesError: The look-up failed.
        """
        search = NameSearch(self._newest, getattr(args, "unique_id", None), strict)
        reading = _Reading()
        numbers: dict[str, object] = {}
        for argument, stand_in in _stand_ins(type(args)).items():
            value: object = getattr(args, argument)
            is_list = isinstance(value, list)
            items = cast(list[str], value if is_list else [value] if value else [])
            if not any(stand_in.split(item)[0] for item in items):
                continue
            values: list[str] = []
            for item in items:
                text, rest = stand_in.split(item)
                if not text:
                    values.append(item)
                elif stand_in.kind == "url":
                    values.append(self._read_url(argument, text, reading) + rest)
                else:
                    videos = await search.find_all(text) if is_list and not rest else {text: await search.find(text)}
                    values += [_read_name(argument, name, match, reading) + rest for name, match in videos.items()]
                if len(reading.problems) >= _MOST_PROBLEMS:
                    break
            numbers[argument] = list(dict.fromkeys(values)) if is_list else values[0]
        if reading.problems:
            raise _make_error(reading.problems)
        if not numbers:
            return args, []
        # Validated again: a list of names in one text has become longer.
        resolved = validate(type(args), {**dict(args), **numbers})
        return args.model_copy(update=dict(resolved)), _limit(list(reading.sentences.values()))

    async def find_numbers(self, videos: Sequence[str], unique_id: str | None) -> tuple[list[str], list[str]]:
        """Return the numbers of videos that are given by number or name, without repetitions, and the sentences.

        Args:
            videos: Numbers, private or public, and names of private videos.
            unique_id: The namespace.

        Raises:
            MemoriesError: As in `resolve`.
        """
        arguments = {"video_nos": list(videos), "unique_id": unique_id}
        args, sentences = await self.resolve(validate(_Videos, arguments))
        return list(dict.fromkeys(args.video_nos)), sentences

    def _read_url(self, argument: str, url: str, reading: _Reading) -> str:
        number = self._posts.number(url)
        if number is None:
            raise InvalidArguments(
                [
                    f"{argument}: no result has named the number of this post yet ({_quote(url)}); "
                    "search_public_videos with query=words of its title may find the video, and "
                    "upload_platform_urls_public takes it as video_urls and adds it to the public library."
                ]
            )
        reading.sentences[url] = f'"{_cut(url)}" was read as {number}.'
        return number


@cache
def _stand_ins(model: type[Input]) -> dict[str, StandIn]:
    """Return the arguments of a model in which a text may stand in place of a number."""
    stand_ins = {name: find_annotation(field, StandIn) for name, field in model.model_fields.items()}
    return {name: stand_in for name, stand_in in stand_ins.items() if stand_in}


# Sentences and errors


def _read_name(argument: str, name: str, match: NameMatch | None, reading: _Reading) -> str:
    """Return the number of the video that a name means; without one, record the problem and return the name."""
    if match is None:
        return name
    if len(match.videos) == 1 and match.is_certain:
        video = match.videos[0]
        stored = "" if video.video_name == name else f' "{_cut(video.video_name or "")}"'
        reading.sentences[name] = f'"{_cut(name)}" was read as {video.video_no}{stored}.'
        return video.video_no
    if all(problem.name != name for problem in reading.problems):
        describe = _describe_several if match.videos else _describe_none
        reading.problems.append(describe(argument, name, match))
    return name


def _describe_several(argument: str, name: str, match: NameMatch) -> _Problem:
    count = len(match.videos)
    rows = [describe_video(video) for video in match.videos[:_MOST_CANDIDATES]]
    if count > _MOST_CANDIDATES:
        rows.append(f"and {'at least ' if match.has_more else ''}{count - _MOST_CANDIDATES} more")
    if count > 1:
        summary = f"{argument}: {'at least ' if match.has_more else ''}{count} videos match {_quote(name)}."
    else:
        summary = (
            f"{argument}: {_quote(name)} may match more videos than this one, the library is too large to compare all "
            "names, and the action cannot be undone."
        )
    return _Problem(name, summary, rows, "Call again with the number of the video that is meant.", is_ambiguous=True)


def _describe_none(argument: str, name: str, match: NameMatch) -> _Problem:
    import difflib  # imported late: few names are unknown

    summary = f"{argument}: no video's name is or contains {_quote(name)}."
    if not can_be_part(fold_name(name)):
        summary = f"{argument}: no video is named {_quote(name)}, and it is too short to be taken as a part of a name."
    by_name = {fold_name(video.video_name or "")[:_QUOTED_LENGTH]: video for video in reversed(match.known)}
    similar = difflib.get_close_matches(fold_name(name)[:_QUOTED_LENGTH], by_name, _MOST_SIMILAR)
    rows = [describe_video(by_name[text]) for text in similar]
    if rows:
        summary += " Videos with similar names are listed here."
    step = "Look for the video with list_videos, and check unique_id if it was uploaded under one."
    return _Problem(name, summary, rows, step, is_ambiguous=False)


def _make_error(problems: Sequence[_Problem]) -> AmbiguousName | NotFound:
    """Return one error for all names that mean no video, or several."""
    kind = AmbiguousName if any(problem.is_ambiguous for problem in problems) else NotFound
    rows: list[str] = []
    for problem in problems:
        if problem.rows and len(problems) > 1:
            rows.append(f"{_quote(problem.name)}:")
        rows += problem.rows
    steps = dict.fromkeys(problem.next_step for problem in problems)
    return kind("\n".join(problem.summary for problem in problems), words="\n".join(rows), next_step=" ".join(steps))


def _limit(sentences: list[str]) -> list[str]:
    more = len(sentences) - _MOST_SENTENCES
    return [*sentences[:_MOST_SENTENCES], f"{more} more names were read as videos."] if more > 0 else sentences


def _quote(text: str) -> str:
    return repr(_cut(one_line(text)))


def _cut(text: str) -> str:
    return text if len(text) <= _QUOTED_LENGTH else f"{text[: _QUOTED_LENGTH - 1]}…"
