"""Every error this package raises on purpose.

MemoriesError                 the text is for whoever must act next
├── ConfigurationError        no key, bad setting: names the variable
├── InvalidArguments          one line a field
├── Declined                  a person said no; nothing was sent
├── Unreachable               connection or timeout, after retries
├── UnexpectedResponse        not the documented shape
├── FileRefused               outside the files root, wrong type, too large
└── ApiError(code, status)    the API said no
    ├── Unauthorized   ├── OutOfCredits   ├── NotFound   ├── NotReady   └── RateLimited(retry_after)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class MemoriesError(Exception):
    """Something went wrong that the reader can act on.

    Attributes:
        summary: What failed, in our words.
        words: What the network said, verbatim and untrusted; surfaces fence it.
        next_step: What to do now, in our words.
    """

    def __init__(self, summary: str, *, words: str = "", next_step: str = "") -> None:
        super().__init__(summary, words, next_step)
        self.summary = summary
        self.words = words
        self.next_step = next_step

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, self.__dict__)  # constructors differ; workers send errors by pickle

    def __str__(self) -> str:
        quoted = f'"{self.words}"' if self.words else ""
        return " ".join(part for part in (self.summary, quoted, self.next_step) if part)


def _again(kind: type[MemoriesError], args: tuple[Any, ...], attributes: dict[str, Any]) -> MemoriesError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class ConfigurationError(MemoriesError):
    """A setting is missing or makes no sense; the text names it."""


class InvalidArguments(MemoriesError):
    """Arguments that were refused before any request was made, one line a problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("Invalid arguments:\n" + "\n".join(f"- {problem}" for problem in problems))
        self.problems = tuple(problems)


class Declined(MemoriesError):
    """A person was asked to confirm and said no; nothing was sent."""


class Unreachable(MemoriesError):
    """No connection, or no answer in time."""


class UnexpectedResponse(MemoriesError):
    """An answer that does not have the documented shape."""


class FileRefused(MemoriesError):
    """A file may not be read or written: outside the files root, wrong type, too large, exists."""


class ApiError(MemoriesError):
    """The API refused the request.

    Attributes:
        code: The API's own code, such as `0001`; empty where only HTTP failed.
        status: The HTTP status, which is 200 for most of the API's refusals.
    """

    def __init__(
        self, summary: str, *, code: str = "", status: int = 200, words: str = "", next_step: str = ""
    ) -> None:
        super().__init__(summary, words=words, next_step=next_step)
        self.code = code
        self.status = status


class Unauthorized(ApiError):
    """The key is wrong, disabled, or not allowed to do this."""


class OutOfCredits(ApiError):
    """The account has no credits left."""


class NotFound(ApiError):
    """No such video, session or task in this namespace."""


class NotReady(ApiError):
    """The video is still being processed."""


class RateLimited(ApiError):
    """Too many requests; `retry_after` seconds from now another may pass."""

    def __init__(
        self,
        summary: str,
        *,
        retry_after: float,
        code: str = "",
        status: int = 200,
        words: str = "",
        next_step: str = "",
    ) -> None:
        super().__init__(summary, code=code, status=status, words=words, next_step=next_step)
        self.retry_after = retry_after


UNMENDABLE = (ConfigurationError, Unauthorized, OutOfCredits)
"""What no other arguments can mend: somebody must act first."""
