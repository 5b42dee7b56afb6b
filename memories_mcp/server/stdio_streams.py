"""The streams of messages over stdin and stdout, read and written by the event loop where both are pipes.

The SDK's own transport reads and writes in threads, which costs each call half a millisecond; files, terminals and
Windows need them.
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from asyncio.streams import FlowControlMixin
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
import mcp_types as t
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

from memories_mcp.server.stdio_messages import LONGEST_LINE, AnsweringReader, open_stdin

if TYPE_CHECKING:
    from mcp.shared._stream_protocols import WriteStream

_STDIN, _STDOUT, _STDERR = 0, 1, 2


@asynccontextmanager
async def stdio_streams() -> AsyncGenerator[tuple[AnsweringReader, WriteStream[SessionMessage]], None]:
    """Yield the streams of incoming and outgoing messages; lines that are no message are answered with an error."""
    async with AsyncExitStack() as stack:
        if _are_pipes():
            incoming, outgoing = await stack.enter_async_context(_pipes())
        else:
            incoming, outgoing = await stack.enter_async_context(stdio_server(stdin=open_stdin()))
        yield AnsweringReader(incoming, outgoing), outgoing


def _are_pipes() -> bool:
    """Return whether the event loop can read stdin and write stdout without effect on another stream."""
    if sys.platform == "win32":
        return False
    states = [os.fstat(stream) for stream in (_STDIN, _STDOUT)]
    if not all(stat.S_ISFIFO(state.st_mode) or stat.S_ISSOCK(state.st_mode) for state in states):
        return False
    try:
        errors = os.fstat(_STDERR)
    except OSError:
        return True
    # A pipe that two streams share would no longer block for either of them, and stderr is written to by blocking code.
    places = {(state.st_dev, state.st_ino) for state in (*states, errors)}
    return len(places) == len(states) + 1


@asynccontextmanager
async def _pipes() -> AsyncGenerator[tuple[_Incoming, _Outgoing], None]:
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        for stream in (_STDIN, _STDOUT):
            stack.callback(os.set_blocking, stream, os.get_blocking(stream))
        stdout = os.dup(_STDOUT)
        stack.callback(os.close, stdout)
        stack.callback(os.dup2, stdout, _STDOUT)
        os.dup2(_STDERR, _STDOUT)  # what a library prints would break the protocol
        lines = asyncio.StreamReader(LONGEST_LINE, loop)
        stdin = open(_STDIN, "rb", buffering=0, closefd=False)  # noqa: SIM115  # the transport closes it
        reading, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines, loop=loop), stdin)
        stack.callback(reading.close)
        pipe = open(os.dup(stdout), "wb", buffering=0)  # noqa: SIM115  # the transport closes it
        writing, protocol = await loop.connect_write_pipe(lambda: FlowControlMixin(loop), pipe)
        stack.callback(writing.close)
        writing.set_write_buffer_limits(0)  # a message counts as sent once all of it is written
        yield _Incoming(lines), _Outgoing(asyncio.StreamWriter(writing, protocol, None, loop), lines)


class _Incoming:
    """The messages on stdin; a line that is no message is returned as the exception that says why."""

    def __init__(self, lines: asyncio.StreamReader) -> None:
        self._lines = lines

    async def receive(self) -> SessionMessage | Exception:
        line = await self._read_line()
        if not line:
            raise anyio.EndOfStream
        try:
            # As text, so that bytes that are not UTF-8 are refused with a reason.
            return SessionMessage(
                t.jsonrpc_message_adapter.validate_json(line.decode(errors="surrogateescape"), by_name=False)
            )
        except ValidationError as error:
            return error

    async def _read_line(self) -> bytes:
        """Return the next line; of one that is too long only the beginning, which no longer is valid JSON."""
        start = b""
        while True:
            try:
                line = await self._lines.readuntil()
            except asyncio.IncompleteReadError as error:
                line = error.partial
            except asyncio.LimitOverrunError as error:
                part = await self._lines.readexactly(error.consumed)
                start = start or part
                continue
            return start or line

    async def aclose(self) -> None:
        self._lines.feed_eof()


class _Outgoing:
    """The messages on stdout."""

    def __init__(self, writer: asyncio.StreamWriter, lines: asyncio.StreamReader) -> None:
        self._writer = writer
        self._lines = lines

    async def send(self, item: SessionMessage, /) -> None:
        self._writer.write(item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
        try:
            await self._writer.drain()
        except OSError:
            self._lines.feed_eof()  # the client is gone
            raise anyio.BrokenResourceError from None

    async def aclose(self) -> None:
        self._writer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()
