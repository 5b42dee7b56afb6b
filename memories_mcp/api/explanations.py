"""What only its request shows about an error: the key to hide, the advice after a write, the settings to check."""

from __future__ import annotations

import re

from memories_mcp.api.endpoints import Endpoint
from memories_mcp.api.responses import is_temporary, next_step_if_unclear, proves_refusal
from memories_mcp.errors import ApiError, MemoriesError, RateLimited, UnexpectedResponse

_SHORTEST_KEY_PART = 8
"""Characters of a key that no text may repeat."""


def explain(error: MemoriesError, endpoint: Endpoint, key: str) -> None:
    """Complete an error in place.

    Args:
        error: The error of a request.
        endpoint: The endpoint that was called.
        key: The key of the request, which services and proxies may repeat in their messages.
    """
    error.words = hide_key(error.words, key)
    if not endpoint.repeatable and _is_unclear(error):
        error.next_step = next_step_if_unclear(endpoint)
    if endpoint.host == "caption":
        error.next_step = re.sub(r"\bMEMORIES_(API_KEY|BASE_URL)\b", r"MEMORIES_CAPTION_\1", error.next_step)


def _is_unclear(error: MemoriesError) -> bool:
    """Return whether the API may have carried out the request nevertheless."""
    if isinstance(error, RateLimited):
        return bool(error.code) and not proves_refusal(error)
    return isinstance(error, UnexpectedResponse) or (isinstance(error, ApiError) and is_temporary(error))


def hide_key(text: str, key: str) -> str:
    """Return a text with `[key]` in place of the key and of its parts, if they are long enough to be recognised."""
    size = _SHORTEST_KEY_PART
    hidden = {
        position
        for start in range(len(text) - size + 1)
        if text[start : start + size] in key
        for position in range(start, start + size)
    }
    marked = "".join("\0" if position in hidden else character for position, character in enumerate(text))
    return re.sub("\0+", "[key]", marked)
