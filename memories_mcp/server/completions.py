"""Completing arguments of prompts and templates: videos by name, conversations by title, tracks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import get_args

import mcp_types as t
from mcp import MCPError

from memories_mcp.models.evidence import Track
from memories_mcp.server.prompts import Prompts
from memories_mcp.server.resources import Resources
from memories_mcp.server.tenants import RequestScope

_MOST = 100
"""The protocol's limit of values."""
_SHORTEST_SEARCH = 3
"""Characters from which on the whole library is asked."""

_WORDS: dict[str, Sequence[str]] = {"track": get_args(Track), "format": ("markdown", "json")}


async def completed(
    scope: RequestScope, params: t.CompleteRequestParams, prompts: Prompts, resources: Resources
) -> t.CompleteResult:
    """The values that fit what was typed so far, best first.

    Raises:
        MCPError: There is no such prompt, template or argument.
    """
    name, typed = params.argument.name, params.argument.value.strip()
    match _source(scope, params, prompts, resources):
        case "video":
            values = await _videos(scope, typed)
        case "session":
            newest = await scope.tenant.recent.newest()
            values = _matching(typed, ((each.session_id, each.title) for each in newest.sessions))
        case "words":
            values = _matching(typed, ((each, each) for each in _WORDS[name]))
        case _:
            values = []
    shown = values[:_MOST]
    return t.CompleteResult(completion=t.Completion(values=shown, total=len(values), has_more=len(values) > len(shown)))


def _source(scope: RequestScope, params: t.CompleteRequestParams, prompts: Prompts, resources: Resources) -> str:
    """Where the values of this argument come from."""
    name = params.argument.name
    if isinstance(params.ref, t.PromptReference):
        prompt = prompts.named(scope.runner, params.ref.name)
        argument = next((each for each in prompt.arguments if each.name == name), None)
        if argument is None:
            raise MCPError(code=t.INVALID_PARAMS, message=f"{prompt.name} takes no argument {name[:40]}.")
        return argument.completes
    for template, kind in resources.kinds:
        if kind.path == params.ref.uri.partition("{?")[0] and kind.offered(scope.runner):
            if name not in template.variable_names:
                raise MCPError(code=t.INVALID_PARAMS, message=f"{kind.template} has no variable {name[:40]}.")
            return {"video_no": "video", "session_id": "session", "track": "words", "format": "words"}.get(name, "")
    raise MCPError(code=t.INVALID_PARAMS, message="Unknown resource template", data={"uri": params.ref.uri[:2000]})


async def _videos(scope: RequestScope, typed: str) -> list[str]:
    newest = await scope.tenant.recent.newest()
    found = _matching(typed, ((each.video_no, each.video_name or "") for each in newest.videos))
    if not found and newest.more_videos and len(typed) >= _SHORTEST_SEARCH:
        found = [each.video_no for each in await scope.tenant.recent.named(typed)]
    return found


def _matching(typed: str, pairs: Iterable[tuple[str, str]]) -> list[str]:
    """The first of each pair where either contains what was typed; those that begin with it come first."""
    words = typed.lower()
    hits = [(value, name.lower()) for value, name in pairs if words in value.lower() or words in name.lower()]
    hits.sort(key=lambda hit: not (hit[1].startswith(words) or hit[0].lower().startswith(words)))
    return [value for value, _ in hits]
