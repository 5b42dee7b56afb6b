"""Refusals of the API: each code, status and message has its type, its text and its next step."""

from __future__ import annotations

import resource
import time
from email.utils import formatdate
from types import SimpleNamespace

import pytest

from memories_mcp import errors
from memories_mcp.api import connections
from memories_mcp.api.responses import api_error, seconds_until


@pytest.mark.parametrize(
    ("code", "status", "message", "kind", "summary", "next_step"),
    [
        ("0429", 200, "", errors.RateLimited, "The API answered code 0429: too many requests.", "Wait 1 s, then"),
        ("", 429, "", errors.RateLimited, "The API answered HTTP 429: too many requests.", "Wait 1 s, then"),
        ("0001", 200, "Request has exceeded the limit", errors.RateLimited, "too many requests.", "Wait 1 s, then"),
        ("0402", 200, "", errors.OutOfCredits, "no credits left", "Recharge the account"),
        ("0401", 200, "", errors.Unauthorized, "the key was refused", "MEMORIES_API_KEY"),
        ("0403", 200, "", errors.Unauthorized, "the key was refused", "MEMORIES_API_KEY"),
        ("9009", 200, "", errors.Unauthorized, "the key was refused", "MEMORIES_API_KEY"),
        ("", 401, "", errors.Unauthorized, "HTTP 401: the key was refused", "MEMORIES_API_KEY"),
        ("", 403, "", errors.Unauthorized, "HTTP 403: the key was refused", "MEMORIES_API_KEY"),
        ("0001", 200, "User don't login", errors.Unauthorized, "the key was refused", "MEMORIES_API_KEY"),
        ("0001", 200, "Video is not parsed", errors.NotReady, "is not ready", "wait_until_ready"),
        ("", 404, "not found", errors.ApiError, "HTTP 404: the path does not exist.", "Check MEMORIES_BASE_URL."),
        ("0001", 200, "Video not found", errors.NotFound, "no such item in this namespace", "list_videos"),
        ("0001", 499, "No videos found", errors.NotFound, "no such item in this namespace", "list_videos"),
        ("0001", 500, "Video not found", errors.ApiError, "a temporary fault", "Try again in a minute."),
        ("", 500, "", errors.ApiError, "HTTP 500: the service has a temporary fault.", "Try again in a minute."),
        ("0001", 200, "The network is abnormal", errors.ApiError, "a temporary fault", "Try again in a minute."),
        ("0001", 200, "please try again later", errors.ApiError, "a temporary fault", "Try again in a minute."),
        ("0409", 200, "", errors.ApiError, "code 0409: the same request was sent before.", "Do not repeat it."),
        ("0408", 200, "", errors.ApiError, "The API answered code 0408.", "Check the arguments."),
        ("0410", 200, "", errors.ApiError, "The API answered code 0410.", "Check the arguments."),
        ("<b>", 200, "", errors.ApiError, "The API answered HTTP 200.", "Check the arguments."),
    ],
)  # fmt: skip
def test_each_refusal_says_what_failed_and_what_to_do(
    code: str, status: int, message: str, kind: type[errors.ApiError], summary: str, next_step: str
) -> None:
    error = api_error(code, message, status=status)

    assert type(error) is kind
    assert error.summary.endswith(summary) or summary in error.summary
    assert next_step in error.next_step


def test_a_refusal_is_of_http_200_unless_another_status_is_named() -> None:
    error = api_error("0001", "no reason")

    assert (error.status, error.code, error.words) == (200, "0001", "no reason")
    assert api_error("", "no reason").summary == "The API answered HTTP 200."


def test_the_wait_that_the_service_asks_for_is_named_and_kept() -> None:
    limited = api_error("", "", status=429, retry_after="7")
    away = api_error("", "", status=503, retry_after="7")

    assert (limited.retry_after, away.retry_after) == (7, 7)
    assert limited.next_step.startswith("Wait 7 s")
    assert away.next_step == "Try again in 7 s."
    assert api_error("0429", "").retry_after == 1


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("86400", 86400), ("86401", 86400), ("9" * 40, 86400)])
def test_a_wait_in_seconds_is_at_most_a_day(text: str, seconds: float) -> None:
    assert seconds_until(text) == seconds


@pytest.mark.parametrize(("ahead", "seconds"), [(-90, 0), (0, 0), (90, 90), (2 * 86400, 86400)])
def test_a_wait_until_a_date_is_between_nothing_and_a_day(
    monkeypatch: pytest.MonkeyPatch, ahead: int, seconds: float
) -> None:
    now = int(time.time())
    monkeypatch.setattr("memories_mcp.api.responses.time", SimpleNamespace(time=lambda: float(now)))

    assert seconds_until(formatdate(now + ahead, usegmt=True)) == seconds


@pytest.mark.parametrize(
    ("files", "connections_at_most"), [(16, 8), (32, 8), (100, 25), (1024, 256), (9999, 500), (-1, 500)]
)
def test_connections_take_a_quarter_of_the_files_that_may_be_open(
    monkeypatch: pytest.MonkeyPatch, files: int, connections_at_most: int
) -> None:
    def limits(_: int) -> tuple[int, int]:
        return files, files

    monkeypatch.setattr(resource, "getrlimit", limits)

    assert connections._connection_limit() == connections_at_most  # pyright: ignore[reportPrivateUsage] -- the bound itself
