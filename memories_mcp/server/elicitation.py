"""Forms shown to a person during a call, in both protocol eras.

In the handshake era the server sends `elicitation/create` and waits. From 2026-07-28 on a server sends no requests: the
call ends with the form, and the client repeats the call with the response and a state that only this server can issue
(the SDK's `RequestStateBoundary` seals it, bound to tool, arguments and caller). A form that was answered in an earlier
round is not shown again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

import mcp_types as t
from mcp import MCPError
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import NoBackChannelError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from memories_mcp.context import Preview

logger = logging.getLogger(__name__)

_MAX_ITEMS = 20


class InputRequired(Exception):
    """Ends a call of the modern era; the client shows the form and repeats the call.

    Attributes:
        result: The response to send: the form and the sealed state.
    """

    def __init__(self, key: str, request: t.ElicitRequest, state: str) -> None:
        super().__init__(key)
        self.result = t.InputRequiredResult(input_requests={key: request}, request_state=state)


class Elicitation:
    """The forms of one call.

    Args:
        ctx: The context of the request.
        params: The parameters of the request; a repeated call carries responses and state.
        on_ask: Called each time that a form is shown.
    """

    def __init__(
        self,
        ctx: ServerRequestContext[Any, Any],
        params: t.CallToolRequestParams | t.GetPromptRequestParams,
        *,
        on_ask: Callable[[], None] = lambda: None,
    ) -> None:
        self._ctx = ctx
        self._on_ask = on_ask
        self._responses = params.input_responses or {}
        state: dict[str, Any] = json.loads(params.request_state) if params.request_state else {}
        self._answers: dict[str, Any] = state.get("answers", {})
        self._open_question: str | None = state.get("question")

    @property
    def supported(self) -> bool:
        """Whether the client can show forms; a bare `elicitation` capability means forms."""
        capabilities = self._ctx.session.client_capabilities
        elicitation = capabilities.elicitation if capabilities else None
        return elicitation is not None and (elicitation.form is not None or elicitation.url is None)

    async def confirm(self, preview: Preview) -> bool | None:
        """Show a preview in a form with one checkbox.

        Returns:
            Whether the person agreed; `None` if the client cannot show forms.

        Raises:
            InputRequired: The client must show the form and repeat the call.
        """
        lines = [preview.action, *(f"- {item}" for item in preview.items[:_MAX_ITEMS])]
        if len(preview.items) > _MAX_ITEMS:
            lines.append(f"- and {len(preview.items) - _MAX_ITEMS} more")
        field = {"type": "boolean", "title": "Go on", "description": preview.action, "default": False}
        schema = {"type": "object", "properties": {"confirm": field}, "required": ["confirm"]}
        answer = await self.form("confirm", "\n".join(lines), schema, bound_to=preview.items)
        if answer is None:
            return None
        return answer.action == "accept" and (answer.content or {}).get("confirm") is True

    async def form(
        self, key: str, message: str, schema: dict[str, Any], *, bound_to: Sequence[str] = ()
    ) -> t.ElicitResult | None:
        """Show a form.

        Args:
            key: Names the form within the call.
            message: The text above the fields.
            schema: JSON Schema of the fields.
            bound_to: What the answer counts for besides, as far as the message does not show it.

        Returns:
            The person's answer; `None` if the client cannot show forms.

        Raises:
            InputRequired: The client must show the form and repeat the call.
        """
        if not self.supported:
            return None
        if self._ctx.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            self._on_ask()
            return await self._send_form(message, schema)
        # An answer counts for this text and these fields only: if they change between rounds, the form is shown again.
        question = hashlib.sha256(json.dumps([key, message, schema, *bound_to], sort_keys=True).encode()).hexdigest()[
            :32
        ]
        response = self._responses.get(key) if self._open_question == question else None
        if isinstance(response, t.ElicitResult):
            self._answers[question] = response.model_dump(mode="json", exclude_none=True)
        if question in self._answers:
            return t.ElicitResult.model_validate(self._answers[question])
        request = t.ElicitRequest(params=t.ElicitRequestFormParams(message=message, requested_schema=schema))
        self._on_ask()
        raise InputRequired(key, request, json.dumps({"answers": self._answers, "question": question}))

    async def _send_form(self, message: str, schema: dict[str, Any]) -> t.ElicitResult | None:
        """Send `elicitation/create`, as the handshake era does, and wait for the answer."""
        request_id = cast(t.RequestId, self._ctx.request_id)
        try:
            return await self._ctx.session.elicit_form(message, schema, related_request_id=request_id)
        except NoBackChannelError:
            return None
        except MCPError as error:
            logger.info("the client refused a form", extra={"code": error.error.code})
            return None
        except ValidationError:  # a malformed answer must not count as consent
            logger.info("the client answered a form with a malformed result")
            return t.ElicitResult(action="cancel")
