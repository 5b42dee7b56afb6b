"""Names of arguments as language models and their hosts write them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic.fields import FieldInfo

from memories_mcp.models.coercions import one_line
from memories_mcp.models.spellings import fold

HOST_KEYS: dict[str, str] = {
    "toolCallId": "n8n: n8n-io/n8n#21500, #21716",
    "tool": "n8n: n8n-io/n8n#21500",
    "sessionId": "n8n, from its chat trigger: samir3508/MyCharlie, docs/FIX_MCP_CLIENT_INPUT_FORMAT.md",
    "action": "n8n, from its chat trigger: the same",
    "chatInput": "n8n, from its chat trigger: the same",
    "task_progress": "Cline: cline/cline#8256, #10426",
    "wait_for_previous": "Gemini CLI: google-gemini/gemini-cli#27403",
    "security_context": "CrewAI: crewAIInc/crewAI#4796",
    "_sessionID": "SiYuan: siyuan-note/siyuan#17927",
    "_placeholder": "OpenCode, for tools without arguments: anomalyco/opencode#15078",
    "_auth_auth_type": "mcpproxy: smart-mcp-proxy/mcpproxy-go#322",
    "_meta": "LangChain's adapters: langchain-ai/langchain-mcp-adapters#412",
}
"""Keys that hosts are known to add to the arguments of every tool, each with its source.

Other keys with a leading underscore are dropped too: no operation has such an argument.
"""

_CHAT_TRIGGER = "chatInput"
"""Where it is present, n8n has copied its chat trigger's fields, and `sessionId` is n8n's own."""

_SYNONYMS = {
    "query": "q question search text prompt search_query search_term search_text keyword keywords words phrase input",
    "prompt": "q question query search text message input instruction instructions user_prompt content",
    "user_prompt": "prompt q question query text message input instruction instructions",
    "system_prompt": "system instructions",
    "top_k": "limit max_results num_results results n k count size max top page_size per_page number",
    "page_size": "limit max_results num_results n k count size max top_k per_page number",
    "size": "limit max_results num_results n k count max top_k page_size per_page number",
    "count": "limit max_results n k size max top_k number num_videos max_videos",
    "page": "page_number page_no page_num p",
    "offset": "skip start from_index",
    "skip": "offset",
    "from_message": "offset start message from",
    "video_no": "video_id video id video_number video_nos video_ids ids video_name name",
    "video_nos": "video_no video_id video id video_number video_ids videos ids video_names",
    "folder_id": "folder folder_name name id directory collection",
    "task_id": "task id job_id job import_id",
    "session_id": "session conversation_id conversation chat_id thread_id thread id",
    "refs": "ref reference references evidence citations moments",
    "unique_id": "namespace user_id uid workspace library",
    "video_name": "name title query q search text",
    "status": "state video_status filter",
    "url": "video_url video_urls image_url urls link links uri href source",
    "video_urls": "url urls video_url link links post post_url post_urls posts",
    "profile_url": "username user_name user handle creator creator_name creator_url account channel profile url link",
    "hashtags": "hashtag hash_tags hash_tag tags tag topics",
    "tags": "tag labels label keywords",
    "tag": "tags label labels",
    "path": "file file_path filename file_name filepath image image_path video video_path paths",
    "paths": "path file files file_path file_paths filename images image",
    "persons": "people person faces",
    "start_seconds": "start start_time from begin from_seconds start_sec",
    "end_seconds": "end end_time to until stop to_seconds end_sec",
    "context_seconds": "context margin padding window seconds",
    "max_seconds": "wait_seconds seconds wait timeout timeout_seconds max_wait max_wait_seconds",
    "wait_seconds": "max_seconds seconds wait timeout timeout_seconds max_wait max_wait_seconds",
    "platform": "type source site network",
    "search_type": "type mode search_mode kind",
    "summary_type": "type mode kind format",
    "filtering_level": "filter level threshold min_score",
    "similarity": "threshold min_similarity min_score score",
    "quality": "resolution",
    "overwrite": "force replace",
    "save_as": "path file filename output output_path destination save",
    "confirmation_token": "token confirm confirmation",
    "include_thinkings": "thinking thinkings include_thinking reasoning include_reasoning",
    "thinking": "thinkings include_thinkings reasoning",
    "datetime_taken": "date datetime taken_at recorded_at timestamp since after from_date start_date",
    "camera_model": "camera camera_tag device",
    "camera_tag": "camera camera_model device",
    "latitude": "lat",
    "longitude": "lon lng long",
    "video_transcription_prompt": "prompt transcription_prompt instructions",
    "retain_original_video": "retain keep keep_original retain_original",
}
"""Usual other names of arguments. An operation names those of its own arguments that the caller may mean."""
_SYNONYMS_BY_ARGUMENT = {argument: frozenset(names.split()) for argument, names in _SYNONYMS.items()}

QUOTED_LENGTH = 60
"""Characters of an unknown name or a wrong value that a message repeats."""
_MOST_SUGGESTIONS = 3
_MOST_COMPARED = 100
"""Names that are compared with the arguments in other cases and with the keys of hosts; no honest call has more."""


@dataclass(frozen=True)
class ResolvedNames:
    """The arguments of a call under the operation's own names.

    Attributes:
        values: The values by argument.
        unknown: The names that belong to no argument, in the order of the call.
    """

    values: dict[str, Any]
    unknown: list[str]


def resolve_names(known: Iterable[str], raw: Mapping[str, Any]) -> ResolvedNames:
    """Return a call's arguments under their own names: other cases are accepted, and keys of hosts are dropped.

    Args:
        known: The names of the arguments.
        raw: The arguments as the caller sent them.
    """
    names = tuple(known)
    by_fold = _by_fold(names)
    values = {name: raw[name] for name in names if name in raw}
    others = [name for name in raw if name not in values]
    unknown: list[str] = []
    for name in others[:_MOST_COMPARED]:
        argument = by_fold.get(fold(name)) if len(name) <= QUOTED_LENGTH else None
        if _is_of_host(name, argument, raw, by_fold):
            continue
        if argument is None or name.startswith("_") or argument in values:
            unknown.append(name)
        else:
            values[argument] = raw[name]
    return ResolvedNames(values, unknown + others[_MOST_COMPARED:])


@cache
def _by_fold(known: tuple[str, ...]) -> dict[str, str]:
    return {fold(name): name for name in known}


def _is_of_host(name: str, argument: str | None, raw: Mapping[str, Any], by_fold: Mapping[str, str]) -> bool:
    """Return whether a host added a key; a name that is one of the arguments, or near one, is the caller's own."""
    if name.startswith("_"):
        return argument is None or name in HOST_KEYS
    if name not in HOST_KEYS:
        return False
    if argument is not None:
        return name == "sessionId" and _CHAT_TRIGGER in raw
    return not difflib.get_close_matches(name, by_fold.values(), 1)


def describe_unknown(name: str, fields: Mapping[str, FieldInfo]) -> str:
    """Return the problem of an unknown argument: the argument that the caller means, or the valid ones.

    Args:
        name: The unknown name.
        fields: The valid arguments.
    """
    shown = one_line(name[:QUOTED_LENGTH])
    word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", shown).lower().replace("-", "_")
    argument = _by_fold(tuple(fields)).get(fold(shown))
    suggestions = [
        field_name
        for field_name, field in fields.items()
        if word in _SYNONYMS_BY_ARGUMENT.get(field_name, ()) or word == field.serialization_alias
    ][:_MOST_SUGGESTIONS]
    if argument is not None and name.startswith("_"):
        hint = f"did you mean {argument}?"
    elif argument is not None:
        hint = f"the same as {argument}; send one of them."
    elif suggestions:
        hint = f"use {' or '.join(suggestions)}."
    elif similar := difflib.get_close_matches(shown, fields, 1):
        hint = f"did you mean {similar[0]}?"
    else:
        hint = f"valid arguments: {', '.join(fields) or 'none'}."
    return f"{shown}{'…' if len(name) > QUOTED_LENGTH else ''}: unknown argument; {hint}"
