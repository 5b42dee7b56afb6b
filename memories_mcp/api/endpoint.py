"""What is known of one endpoint before it is called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Rate = Literal["upload", "scrape", "search", "chat", "read", "list", "delete", "download", "task", "detail", "caption"]
"""A class of requests that the API counts together (API 2.10)."""

Pace = Literal["quick", "slow", "transfer"]
"""How long an answer may take: `slow` runs a model, `transfer` moves a file."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method and path of the API.

    Attributes:
        method: `GET` or `POST`.
        path: Below the prefix, such as `list_videos`.
        rate: The class whose rate limit it shares.
        repeatable: Whether a second try can neither cost nor change anything twice.
        pace: How long an answer may take.
        host: `caption` is a host of its own, with a key of its own (API 2.1).
    """

    method: Literal["GET", "POST"]
    path: str
    rate: Rate
    repeatable: bool
    pace: Pace = "quick"
    host: Literal["api", "caption"] = "api"

    @property
    def full_path(self) -> str:
        """The path on the host."""
        return f"{'/serve/api/v1' if self.host == 'api' else '/v1/understand'}/{self.path}"

    @property
    def success(self) -> frozenset[str]:
        """The codes that mean success on this host; the oldest search page has `SUCCESS` (API 2.3)."""
        return frozenset({"0000", "SUCCESS"} if self.host == "api" else {"0", "0000"})

    def __str__(self) -> str:
        return f"{self.method} {self.full_path}"


def read(path: str, rate: Rate, *, method: Literal["GET", "POST"] = "GET") -> Endpoint:
    """An endpoint that only looks something up: it may be asked again."""
    return Endpoint(method=method, path=path, rate=rate, repeatable=True)


def write(path: str, rate: Rate, *, pace: Pace = "quick", method: Literal["GET", "POST"] = "POST") -> Endpoint:
    """An endpoint that changes or costs something: it is never sent twice."""
    return Endpoint(method=method, path=path, rate=rate, repeatable=False, pace=pace)
