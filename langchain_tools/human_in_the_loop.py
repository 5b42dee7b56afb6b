"""The request for a person's decision and the answers to it, in the shapes of LangChain's `HumanInTheLoopMiddleware`.

LangChain types both as dictionaries (`HITLRequest`, `HITLResponse`), so that this package needs no `langchain`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from memories_mcp.context import Preview
from memories_mcp.errors import ConfigurationError

INTERRUPT = "memories_confirmation"
"""The `type` of an interrupt's value."""

_APPROVALS = {"approve", "approved", "accept", "accepted", "yes", "y", "true"}
_REJECTIONS = {"reject", "rejected", "ignore", "decline", "declined", "deny", "denied", "no", "n", "false"}


Decision = tuple[bool, str]
"""Whether to carry out the action, and the person's message if not; a plain tuple, because checkpoints store it."""


def make_request(tool: str, arguments: Mapping[str, Any], preview: Preview) -> dict[str, Any]:
    """Return the value of an interrupt: a `HITLRequest` of one action, and the fields of the preview.

    Args:
        tool: The name of the tool.
        arguments: The arguments of the call.
        preview: What the call is about to do.
    """
    description = "\n".join((preview.action, *(f"- {item}" for item in preview.items)))
    return {
        "type": INTERRUPT,
        "tool": tool,
        **preview.model_dump(),
        "action_requests": [{"name": tool, "args": dict(arguments), "description": description}],
        "review_configs": [{"action_name": tool, "allowed_decisions": ["approve", "reject"]}],
    }


def read_decision(answer: object, request: Mapping[str, Any]) -> Decision:
    """Return the decision that an answer holds.

    Args:
        answer: A `HITLResponse` of one decision, the decision alone, or a plain yes or no.
        request: The value of the interrupt.

    Raises:
        ConfigurationError: The answer cannot be read, or changes the action.
    """
    action = request["action_requests"][0]
    decision = _only_decision(answer)
    fields = cast(Mapping[str, Any], decision if isinstance(decision, Mapping) else {"type": decision})
    kind, message = fields.get("type"), fields.get("message")
    word = str(kind).strip().lower() if isinstance(kind, str | bool) else ""
    if word in _REJECTIONS:
        return False, message.strip() if isinstance(message, str) else ""
    if word == "edit":
        if fields.get("edited_action") == {"name": action["name"], "args": action["args"]}:
            return True, ""
        raise ConfigurationError(
            f"Edit of {action['name']} refused: an answer cannot change the action that the preview shows; nothing was "
            "changed.",
            next_step="Reject the action, with a message to the model that names the change.",
        )
    if word in _APPROVALS:
        return True, ""
    raise ConfigurationError(
        f"The answer to the interrupt of {action['name']} cannot be read; nothing was changed.",
        next_step='Resume with {"decisions": [{"type": "approve"}]}, with {"decisions": [{"type": "reject", "message": '
        '"…"}]}, or with True or False.',
    )


def _only_decision(answer: object) -> object:
    """Return the decision of an answer; `None` if it holds several or none."""
    decisions = answer
    if isinstance(answer, Mapping):
        decisions = cast(Mapping[str, object], answer).get("decisions", decisions)
    if not isinstance(decisions, list):
        return decisions
    rows = cast(list[object], decisions)
    return rows[0] if len(rows) == 1 else None
