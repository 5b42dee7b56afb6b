"""Additions to the server: the one extension point for programs that embed it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mcp.server import Server

from memories_mcp.runner import AnyOperation
from memories_mcp.server.prompts import Prompt
from memories_mcp.server.resource_types import ResourceType


@dataclass(frozen=True, kw_only=True)
class Extension:
    """Offers more than the package does; passed to `Tenants`, and read from there by the whole server.

    The additions follow the package's own and pass through the same handlers: an operation becomes a tool, and a
    resource type or a prompt without `tools` is offered to every caller.

    Example:
        >>> tenants = Tenants(settings, over_http=True, extension=Extension(operations=[search_slides]))
        >>> async with run_http_server(settings, tenants=tenants) as url:
        ...     print(url)

    Attributes:
        operations: Offered besides those that the settings choose.
        resource_types: Listed and matched after the package's own.
        prompts: Listed after the package's own.
        install: Called once with the finished server, to add or wrap request handlers.
    """

    operations: Sequence[AnyOperation] = ()
    resource_types: Sequence[ResourceType[Any]] = ()
    prompts: Sequence[Prompt] = ()
    install: Callable[[Server[Any]], None] | None = None
