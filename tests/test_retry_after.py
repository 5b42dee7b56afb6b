"""`Retry-After`: seconds or a date, for every refusal that may pass."""

from __future__ import annotations

from email.utils import formatdate
from time import asctime, gmtime, strftime
from types import SimpleNamespace

import httpx2
import pytest
from conftest import FakeWire, calling, envelope, run

from memories_mcp import errors
from memories_mcp.api.responses import seconds_until

pytestmark = pytest.mark.anyio

NOW = 1_790_000_000.25


@pytest.fixture(autouse=True)
def _fixed_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memories_mcp.api.responses.time", SimpleNamespace(time=lambda: NOW))
    monkeypatch.setattr("memories_mcp.api.retry.FIRST_BACKOFF", 0.001)
    monkeypatch.setattr("memories_mcp.api.retry.MAX_BACKOFF", 0.002)


def imf(seconds: float) -> str:
    return formatdate(int(NOW) + seconds, usegmt=True)


def rfc850(seconds: float) -> str:
    return strftime("%A, %d-%b-%y %H:%M:%S GMT", gmtime(NOW + seconds))


def ansi(seconds: float) -> str:
    return asctime(gmtime(NOW + seconds))


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["90", " 90 ", "90.0", imf(90), rfc850(90), ansi(90)])
async def test_a_wait_beyond_the_deadline_fails_at_once_and_is_named(status: int, value: str) -> None:
    wire = FakeWire(httpx2.Response(status, headers={"retry-after": value}))
    async with calling(wire) as runner:
        with pytest.raises(errors.ApiError) as caught:
            await run(runner, "list_sessions")

    assert len(wire.requests) == 1
    assert caught.value.retry_after == 90
    assert "90 s" in caught.value.next_step
    assert isinstance(caught.value, errors.RateLimited) == (status == 429)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["0", imf(-60), rfc850(-60), ansi(-60)])
async def test_a_past_date_is_no_wait(status: int, value: str) -> None:
    wire = FakeWire(httpx2.Response(status, headers={"retry-after": value}), envelope({"sessions": []}))
    async with calling(wire) as runner:
        await run(runner, "list_sessions")

    assert len(wire.requests) == 2


@pytest.mark.parametrize("value", ["9" * 400, "999999999", imf(10 * 365 * 24 * 3600), "Fri, 01 Jan 9999 00:00:00 GMT"])
def test_an_absurd_wait_is_a_day(value: str) -> None:
    assert seconds_until(value) == 24 * 3600


@pytest.mark.parametrize(
    "value",
    ["", "soon", "-5", "inf", "nan", "1e9", "٣", "Wed, 99 Foo 2026 99:99:99 GMT", "Sun, 06 Nov 99999999999 GMT"],
)
def test_what_cannot_be_read_is_no_wait_that_the_api_named(value: str) -> None:
    assert seconds_until(value) is None
