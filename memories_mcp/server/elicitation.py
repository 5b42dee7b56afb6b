"""Asking a person in the middle of a call, in both protocol eras.

In the handshake era the server sends `elicitation/create` and waits. From 2026-07-28 on it may not: the call ends with
the question, and the client calls again with the answer and a state that only this server can have made (the SDK's
`RequestStateBoundary` seals it, bound to tool, arguments and caller). What a call asked before is not asked again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any, cast

import mcp_types as t
from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import NoBackChannelError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from memories_mcp.context import Preview

logger = logging.getLogger(__name__)

_SHOWN_ITEMS = 20


class NeedsInput(Exception):
    """The call ends here and goes on when the client has asked the person."""

    def __init__(self, key: str, request: t.ElicitRequest, state: str) -> None:
        super().__init__(key)
        self.result = t.InputRequiredResult(input_requests={key: request}, request_state=state)


class Elicitation:
    """The questions of one call.

    Args:
        ctx: The call's.
        params: What came with it; answers and state when it is called again.
    """

    def __init__(
        self, ctx: ServerRequestContext[Any, Any], params: t.CallToolRequestParams | t.GetPromptRequestParams
    ) -> None:
        self._ctx = ctx
        self._responses = params.input_responses or {}
        state: dict[str, Any] = json.loads(params.request_state) if params.request_state else {}
        self._answers: dict[str, Any] = state.get("answers", {})
        self._asked: str | None = state.get("asked")

    @property
    def possible(self) -> bool:
        """Whether the client can show forms; a bare `elicitation` means forms."""
        capabilities = self._ctx.session.client_capabilities
        elicitation = capabilities.elicitation if capabilities else None
        return elicitation is not None and (elicitation.form is not None or elicitation.url is None)

    async def confirm(self, preview: Preview) -> bool | None:
        """Show what would be lost; whether the person agreed, or `None` where nobody can be asked."""
        left_out = len(preview.items) - _SHOWN_ITEMS
        lines = [preview.action, *(f"- {each}" for each in preview.items[:_SHOWN_ITEMS])]
        message = "\n".join(lines + ([f"- and {left_out} more"] if left_out > 0 else []))
        field = {"type": "boolean", "title": "Go on", "description": preview.action, "default": False}
        schema = {"type": "object", "properties": {"confirm": field}, "required": ["confirm"]}
        answer = await self.form("confirm", message, schema)
        if answer is None:
            return None
        return answer.action == "accept" and (answer.content or {}).get("confirm") is True

    async def form(self, key: str, message: str, schema: dict[str, Any]) -> t.ElicitResult | None:
        """Have a form filled in; `None` where the client cannot.

        Raises:
            NeedsInput: The client must ask and call again.
        """
        if not self.possible:
            return None
        if self._ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return await self._form_at_once(message, schema)
        # Bound to the question's words: should they differ the next time, what was agreed to is asked anew.
        question = hashlib.sha256(json.dumps([key, message, schema], sort_keys=True).encode()).hexdigest()[:32]
        response = self._responses.get(key) if self._asked == question else None
        if isinstance(response, t.ElicitResult):
            self._answers[question] = response.model_dump(mode="json", exclude_none=True)
        if question in self._answers:
            return t.ElicitResult.model_validate(self._answers[question])
        request = t.ElicitRequest(params=t.ElicitRequestFormParams(message=message, requested_schema=schema))
        raise NeedsInput(key, request, json.dumps({"answers": self._answers, "asked": question}))

    async def _form_at_once(self, message: str, schema: dict[str, Any]) -> t.ElicitResult | None:
        request_id = cast(t.RequestId, self._ctx.request_id)
        try:
            return await self._ctx.session.elicit_form(message, schema, related_request_id=request_id)
        except NoBackChannelError:
            return None
        except MCPError as error:
            logger.info("a form was not shown", extra={"code": error.error.code})
            return None
        except ValidationError:  # an answer that is none
            logger.info("a form was answered with something else than an answer")
            return t.ElicitResult(action="cancel")
