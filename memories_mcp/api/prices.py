"""What the service charges for: the price class of each endpoint, and the only place that says so."""

from __future__ import annotations

from collections.abc import Iterable

from memories_mcp.api.endpoints import SUMMARY, UPDATE_TRANSCRIPTION, Endpoint, Rate

PRICES: dict[Rate, str] = {
    "search": "search",
    "chat": "chat",
    "read": "transcript",
    "upload": "upload",
    "scrape": "scrape",
    "download": "download",
    "caption": "caption",
    "list": "",
    "detail": "",
    "task": "",
    "delete": "",
}
"""The price class of the endpoints of each class of requests (API 2.12); empty if they are free."""
_DIFFERENT = {SUMMARY: "chat", UPDATE_TRANSCRIPTION: "retranscribe"}
"""Endpoints that run a model, and share their rate limit with others that do not."""

PRICE_CLASSES = (*dict.fromkeys(filter(None, [*PRICES.values(), *_DIFFERENT.values()])),)
"""Every price class."""


def price_of(endpoint: Endpoint) -> str:
    """Return the price class of an endpoint; empty if its requests are free."""
    return _DIFFERENT.get(endpoint) or PRICES[endpoint.rate]


def prices_of(endpoints: Iterable[Endpoint]) -> list[str]:
    """Return the price classes of the endpoints of an operation, without those that are free."""
    classes = {price_of(endpoint) for endpoint in endpoints}
    return [price for price in PRICE_CLASSES if price in classes]
