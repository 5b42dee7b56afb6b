"""The exceptions that this package raises deliberately.

MemoriesError                 base class; the text says what failed and what to do next
├── ConfigurationError        missing or invalid setting; the text names the variable
├── InvalidArguments          one line per field
├── AmbiguousName             several videos have the name that stands in place of a number
├── Declined                  the user refused to confirm; nothing was sent
├── SpendLimitReached         the operator's limit of a caller and day; nothing was sent
├── Unreachable               no connection or timeout, after retries
├── UnexpectedResponse        not the documented shape
├── FileRefused               outside the files root, wrong type, too large
├── MediaUnavailable          there is no picture or clip of a moment
└── ApiError(code, status)    the API refused the request
    ├── Unauthorized   ├── OutOfCredits   ├── NotFound   ├── NotReady   └── RateLimited(retry_after)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class MemoriesError(Exception):
    """Base class of every error that the caller, user or operator can act on.

    Attributes:
        summary: What failed and why, in one or two sentences.
        words: The message that the service sent, verbatim and untrusted; renderers fence it. Empty if there is none.
        next_step: What to do next, as an imperative sentence; may be empty.
    """

    def __init__(self, summary: str, *, words: str = "", next_step: str = "") -> None:
        super().__init__(summary, words, next_step)
        self.summary = summary
        self.words = words
        self.next_step = next_step

    def __reduce__(self) -> tuple[Any, ...]:
        # Worker processes pickle errors. The default would call the constructor, whose signature differs by class.
        return _restore, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        quoted = f'"{self.words}"' if self.words else ""
        return " ".join(part for part in (self.summary, quoted, self.next_step) if part)


def _restore(error_class: type[MemoriesError], args: tuple[Any, ...], attributes: dict[str, Any]) -> MemoriesError:
    error = error_class.__new__(error_class, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class ConfigurationError(MemoriesError):
    """A setting is missing or invalid; the text names it."""


class InvalidArguments(MemoriesError):
    """The arguments are invalid; no request was sent.

    Args:
        problems: One line per problem: the field, a colon, the reason.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("Invalid arguments:\n" + "\n".join(f"- {problem}" for problem in problems))
        self.problems = tuple(problems)


class AmbiguousName(MemoriesError):
    """Several videos have the name that stands in place of a number; `words` lists them."""


class Declined(MemoriesError):
    """The user refused to confirm; nothing was sent."""


class SpendLimitReached(MemoriesError):
    """The caller has sent as many requests of a price class today as the operator allows; nothing was sent."""


class Unreachable(MemoriesError):
    """No connection, or no complete response in time."""


class UnexpectedResponse(MemoriesError):
    """A response does not have the documented shape."""


class FileRefused(MemoriesError):
    """A file may not be read or written: outside the files root, wrong type, too large, already present."""


class MediaUnavailable(MemoriesError):
    """There is no picture or clip of a moment: the video cannot be downloaded, does not reach it, or is damaged."""


class ApiError(MemoriesError):
    """The API refused the request.

    Attributes:
        code: The API's code, such as `0001`; empty if only the HTTP status shows the refusal.
        status: The HTTP status; 200 for most refusals.
        retry_after: Seconds until a request may succeed; 0 if the API names none.
    """

    def __init__(
        self,
        summary: str,
        *,
        code: str = "",
        status: int = 200,
        retry_after: float = 0,
        words: str = "",
        next_step: str = "",
    ) -> None:
        super().__init__(summary, words=words, next_step=next_step)
        self.code = code
        self.status = status
        self.retry_after = retry_after


class Unauthorized(ApiError):
    """The key is wrong, disabled or lacks the permission."""


class OutOfCredits(ApiError):
    """The account has no credits left."""


class NotFound(ApiError):
    """The namespace has no such video, session or task."""


class NotReady(ApiError):
    """The video is still being processed."""


class RateLimited(ApiError):
    """Too many requests; `retry_after` is always set."""

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
        super().__init__(summary, code=code, status=status, retry_after=retry_after, words=words, next_step=next_step)


FATAL_ERRORS = (ConfigurationError, Unauthorized, OutOfCredits)
"""Errors that other arguments cannot avoid: the operator must change the key, the account or a setting."""
