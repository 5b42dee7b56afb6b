"""What one credential may have under way at once, so that it takes no room from the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

from starlette.types import Scope

from memories_mcp.server.http.credentials import RequestUser

_CALL = "memories_mcp.call"
"""The key of a request's call in its ASGI scope."""


def credential_of(scope: Scope) -> str:
    """Return what names the key, token or person of a request; empty for a request without any."""
    user = scope.get("user")
    return user.credential if isinstance(user, RequestUser) else ""


class Shares:
    """Counts what each credential has under way.

    Args:
        most: The most that one credential may have.

    Attributes:
        most: The same.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._taken = Counter[str]()

    def has_room(self, credential: str, amount: int = 1) -> bool:
        """Return whether a credential may take this much more."""
        return self._taken[credential] + amount <= self.most

    def take(self, credential: str, amount: int = 1) -> None:
        """Count this much more for a credential, until it is given back."""
        self._taken[credential] += amount

    def give_back(self, credential: str, amount: int = 1) -> None:
        """Count this much less."""
        self._taken[credential] -= amount
        if not self._taken[credential]:
            del self._taken[credential]


class Call:
    """The place of one call among those of its credential.

    The request over HTTP may end before the call does, and the call before the request: the place is free again when
    both have ended.

    Args:
        shares: Counts the calls.
        credential: The credential of the call.

    Attributes:
        refused: Whether there is no place for the call.
    """

    def __init__(self, shares: Shares, credential: str) -> None:
        self.refused = not shares.has_room(credential)
        self._shares = shares
        self._credential = credential
        self._holders = 0

    @contextmanager
    def hold(self) -> Generator[None, None, None]:
        """Take the place while the body runs, unless it is taken already."""
        self._holders += 1
        if self._holders == 1:
            self._shares.take(self._credential)
        try:
            yield
        finally:
            self._holders -= 1
            if not self._holders:
                self._shares.give_back(self._credential)

    def describe_refusal(self) -> str:
        """Return why the call is refused, and what to do."""
        return f"This caller has {self._shares.most} calls under way, the most allowed. Call again when one has ended."


def set_call(scope: Scope, call: Call) -> None:
    """Add a call to the scope of its request."""
    scope[_CALL] = call


def call_of(scope: Scope) -> Call | None:
    """Return the call of a request; `None` if it is not counted."""
    return scope.get(_CALL)
