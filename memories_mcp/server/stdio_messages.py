"""Lines of stdin that are no JSON-RPC messages: each is answered with an error, and the server goes on."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

import anyio
import mcp_types as t
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

if TYPE_CHECKING:
    from mcp.shared._stream_protocols import WriteStream

logger = logging.getLogger(__name__)

LONGEST_LINE = 16 * 1024**2
"""Characters of a message; a longer line is refused without being kept in memory."""
_MOST_REFUSALS = 100
"""Messages of a batch that are answered one by one."""
_BYTE_ORDER_MARK = "\ufeff"
_FIRST_ID = re.compile(r'\s*\{[^{}\[\]]{0,1000}?"id"\s*:\s*("(?:[^"\\]|\\.){0,200}"|-?\d{1,18})\s*[,}]')
"""The id of a message, if it stands before the first object inside the message."""
_HOW_TO_SEND = "Send each JSON-RPC message on a line of its own, as UTF-8 without a byte order mark."


class _Lines(io.TextIOWrapper):
    """The lines of stdin. Bytes that are not UTF-8 stay visible as surrogates, so that their line can be refused."""

    def __init__(self) -> None:
        stdin = open(sys.stdin.fileno(), "rb", closefd=False)  # noqa: SIM115  # stays open as long as the process
        super().__init__(stdin, encoding="utf-8", errors="surrogateescape")

    def readline(self, size: int = -1, /) -> str:
        """Return the next line; of one that is too long only the beginning, which no longer is valid JSON."""
        line = rest = super().readline(LONGEST_LINE + 1)
        while len(rest) > LONGEST_LINE and not rest.endswith("\n"):
            rest = super().readline(LONGEST_LINE + 1)
        return line


def open_stdin() -> anyio.AsyncFile[str]:
    """Return the lines of stdin for the SDK's transport."""
    return anyio.wrap_file(_Lines())


class Incoming(Protocol):
    """The messages of a transport, and exceptions for what is no message."""

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message.

        Raises:
            EndOfStream: The client closed the stream.
        """
        ...

    async def aclose(self) -> None:
        """Read no further message."""
        ...


class AnsweringReader:
    """A stream of messages for the server that answers what is no message, instead of passing the exception on.

    Args:
        incoming: The transport's stream of messages and exceptions.
        outgoing: The transport's stream of answers.
    """

    def __init__(self, incoming: Incoming, outgoing: WriteStream[SessionMessage]) -> None:
        self._incoming = incoming
        self._outgoing = outgoing

    @property
    def last_context(self) -> Any:
        """The context in which the last message was sent, which the SDK hands to the handler."""
        return getattr(self._incoming, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        """Return the next message."""
        while True:
            item = await self._incoming.receive()
            if not isinstance(item, ValidationError):
                return item
            code, reason, ids = _explain(item)
            logger.warning("refused a line of stdin", extra={"code": code, "reason": reason})
            for request_id in ids:
                error = t.ErrorData(code=code, message=f"{reason}. {_HOW_TO_SEND}")
                await self._outgoing.send(SessionMessage(t.JSONRPCError(jsonrpc="2.0", id=request_id, error=error)))

    async def aclose(self) -> None:
        """Close the transport's stream."""
        await self._incoming.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()


def _explain(error: ValidationError) -> tuple[int, str, list[t.RequestId | None]]:
    """Return the code and the reason of a refusal, and the ids of the refused requests as far as they can be read."""
    problems = error.errors(include_url=False)
    first = problems[0]
    if not first["loc"]:
        line = str(first["input"])
        return t.PARSE_ERROR, f"Parse error: {_parse_problem(line, first['msg'])}", [_find_id(line)]
    # An error about a field as a whole carries the object that lacks it, which here is the message.
    message = next(
        (message["input"] for message in problems if len(message["loc"]) == 1 or message["type"] == "missing"), None
    )
    if isinstance(message, list):
        ids = [_id_of(member) for member in cast(list[Any], message)]
        ids = [request_id for request_id in ids if request_id is not None][:_MOST_REFUSALS]
        return t.INVALID_REQUEST, "Invalid request: batches are not supported", list(ids) or [None]
    is_call = isinstance(message, dict) and isinstance(cast(dict[str, Any], message).get("method"), str)
    if is_call and first["loc"][-1] == "params":
        return t.INVALID_PARAMS, "Invalid request parameters: params is not an object", [_id_of(message)]
    return t.INVALID_REQUEST, "Invalid request: this is no JSON-RPC 2.0 message", [_id_of(message)]


def _parse_problem(line: str, reason: str) -> str:
    if len(line) > LONGEST_LINE:
        return f"the line is longer than {LONGEST_LINE} characters"
    if not line.strip():
        return "the line is empty"
    if line.startswith(_BYTE_ORDER_MARK):
        return "the line begins with a byte order mark"
    if "unicode" in reason:
        return "the line is not valid UTF-8"
    if "hex escape" in reason:
        return f"a \\u escape is invalid or half of a surrogate pair: {reason.removeprefix('Invalid JSON: ')}"
    return reason.removeprefix("Invalid JSON: ")


def _find_id(line: str) -> t.RequestId | None:
    """Return the id of a message that is not valid JSON."""
    line = line.removeprefix(_BYTE_ORDER_MARK)
    try:
        return _id_of(json.loads(line, strict=False))
    except (ValueError, RecursionError):
        match = _FIRST_ID.match(line)
    try:
        return json.loads(match[1]) if match else None
    except ValueError:
        return None


def _id_of(message: Any) -> t.RequestId | None:
    request_id = cast(dict[str, Any], message).get("id") if isinstance(message, dict) else None
    if isinstance(request_id, str):
        return request_id if request_id.isprintable() else None
    return request_id if isinstance(request_id, int) and not isinstance(request_id, bool) else None
