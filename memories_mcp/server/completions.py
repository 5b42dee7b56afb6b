"""Completion of arguments: videos by name, conversations by title, tracks and formats from their values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import mcp_types as t
from mcp import MCPError

from memories_mcp.models.evidence import Track
from memories_mcp.server.prompts import Prompts
from memories_mcp.server.resources import Resources
from memories_mcp.server.tenant import RequestScope

_MAX_VALUES = 100
"""The protocol's limit."""
_MIN_SEARCH_CHARACTERS = 3
"""The whole library is searched from this many characters on."""

_FIXED_VALUES: dict[str, Sequence[str]] = {"track": get_args(Track), "format": ("markdown", "json")}

Source = Literal["video", "session", "fixed", ""]
"""Where the values of an argument come from; empty for none."""

_SOURCES: dict[str, Source] = {"video_no": "video", "session_id": "session", "track": "fixed", "format": "fixed"}


async def complete_argument(
    scope: RequestScope, params: t.CompleteRequestParams, prompts: Prompts, resources: Resources
) -> t.CompleteResult:
    """Return the values that match the text typed so far, best first.

    Args:
        scope: The request.
        params: The prompt or template, its argument, and the text typed so far.
        prompts: The server's prompts.
        resources: The server's resources.

    Raises:
        MCPError: There is no such prompt, template or argument.
    """
    name, typed = params.argument.name, params.argument.value.strip()
    match _source(scope, params, prompts, resources):
        case "video":
            values = await _match_videos(scope, typed)
        case "session":
            newest = await scope.tenant.recent.newest()
            values = _match(typed, ((session.session_id, session.title) for session in newest.sessions))
        case "fixed":
            values = _match(typed, ((value, value) for value in _FIXED_VALUES[name]))
        case "":
            values = []
    page = values[:_MAX_VALUES]
    return t.CompleteResult(completion=t.Completion(values=page, total=len(values), has_more=len(values) > len(page)))


def _source(scope: RequestScope, params: t.CompleteRequestParams, prompts: Prompts, resources: Resources) -> Source:
    """Return where the values of the argument come from."""
    name = params.argument.name
    if isinstance(params.ref, t.PromptReference):
        prompt = prompts.get(scope.runner, params.ref.name)
        for argument in prompt.arguments:
            if argument.name == name:
                return argument.completion
        raise MCPError(code=t.INVALID_PARAMS, message=f"Unknown argument of {prompt.name}: {name[:40]}.")
    for template, resource_type in resources.types:
        if resource_type.path == params.ref.uri.partition("{?")[0] and resource_type.is_offered(scope.runner):
            if name not in template.variable_names:
                message = f"Unknown variable of {resource_type.template}: {name[:40]}."
                raise MCPError(code=t.INVALID_PARAMS, message=message)
            return _SOURCES.get(name, "")
    raise MCPError(code=t.INVALID_PARAMS, message="Unknown resource template", data={"uri": params.ref.uri[:2000]})


async def _match_videos(scope: RequestScope, typed: str) -> list[str]:
    newest = await scope.tenant.recent.newest()
    numbers = _match(typed, ((video.video_no, video.video_name or "") for video in newest.videos))
    if not numbers and newest.more_videos and len(typed) >= _MIN_SEARCH_CHARACTERS:
        numbers = [video.video_no for video in await scope.tenant.recent.find_videos(typed)]
    return numbers


def _match(typed: str, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return the values whose own text or name contains what was typed; those that begin with the text first.

    Args:
        typed: The text typed so far.
        pairs: Values with their names.
    """
    text = typed.lower()
    matches = [(value, name.lower()) for value, name in pairs if text in value.lower() or text in name.lower()]
    matches.sort(key=lambda match: not (match[1].startswith(text) or match[0].lower().startswith(text)))
    return [value for value, _ in matches]
