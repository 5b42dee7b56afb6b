"""pytest fixtures for applications that use this package: a sandbox for the session, a fresh account for each test.

The package registers this module as a pytest plugin, so that tests name the fixtures and import nothing. Only what a
test requests is loaded.
"""

from __future__ import annotations

import json
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from memories_mcp.sandbox.faults import Fault

if TYPE_CHECKING:
    from langchain_tools import MemoriesToolkit


@dataclass(frozen=True)
class SandboxAccount:
    """An account of the sandbox with its own copy of the demo library.

    Attributes:
        api_key: The key of the account.
        base_url: The URL of the sandbox.
    """

    api_key: str
    base_url: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a server, a command or a component of this package uses the account."""
        return {
            "MEMORIES_API_KEY": self.api_key,
            "MEMORIES_CAPTION_API_KEY": self.api_key,
            "MEMORIES_BASE_URL": self.base_url,
            "MEMORIES_CAPTION_BASE_URL": self.base_url,
            "MEMORIES_RATE_LIMITS": "off",
        }

    def add_fault(self, fault: Fault, *, path: str = "", times: int = 1, seconds: float | None = None) -> None:
        """Make the next requests of this account fail.

        Args:
            fault: The fault, such as `rate_limit`; `docs/sandbox.md` describes all of them.
            path: Part of the path of the requests that fail; empty for any request.
            times: How many requests fail.
            seconds: How long a `slow` response is delayed.
        """
        body = {"fault": fault, "path": path, "times": times} | ({} if seconds is None else {"seconds": seconds})
        request = urllib.request.Request(
            f"{self.base_url}/sandbox/faults",
            data=json.dumps(body).encode(),
            headers={"Authorization": self.api_key, "Content-Type": "application/json"},
        )
        # The standard library's client, without proxies: the sandbox is on loopback, and this module is loaded often.
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()


@pytest.fixture(scope="session")
def memories_sandbox() -> Iterator[str]:
    """The URL of a sandbox that runs until the session ends."""
    from anyio.from_thread import start_blocking_portal

    from memories_mcp.sandbox import run_sandbox

    with start_blocking_portal("asyncio") as portal, portal.wrap_async_context_manager(run_sandbox()) as url:
        yield url


@pytest.fixture
def memories_account(memories_sandbox: str) -> SandboxAccount:
    """A fresh account: changes of one test are not seen by another."""
    return SandboxAccount(f"sk-test-{uuid.uuid4().hex}", memories_sandbox)


@pytest.fixture
def memories_environment(memories_account: SandboxAccount, monkeypatch: pytest.MonkeyPatch) -> SandboxAccount:
    """A fresh account that the `MEMORIES_*` variables of the test name; all others of them are unset."""
    import os

    for name in list(os.environ):
        if name.startswith("MEMORIES_"):
            monkeypatch.delenv(name)
    for name, value in memories_account.environment.items():
        monkeypatch.setenv(name, value)
    return memories_account


@pytest.fixture
def memories_toolkit(memories_environment: SandboxAccount) -> Iterator[MemoriesToolkit]:
    """A LangChain toolkit with all tools on a fresh account; closed after the test. Needs `memories-mcp[langchain]`."""
    from langchain_tools import MemoriesToolkit

    with MemoriesToolkit(toolsets=["all"]) as toolkit:
        yield toolkit
