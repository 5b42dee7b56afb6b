"""Decoding of responses: envelopes, refusals, conversion into types (API 2.3 and 2.4)."""

from __future__ import annotations

import json
import math
import re
import time
from email.utils import mktime_tz, parsedate_tz
from functools import cache
from itertools import islice
from typing import Any, TypeVar, cast

import httpx2
from pydantic import TypeAdapter, ValidationError

from memories_mcp.api.endpoints import Endpoint
from memories_mcp.api.large_json import parse_in_steps
from memories_mcp.errors import (
    ApiError,
    NotFound,
    NotReady,
    OutOfCredits,
    RateLimited,
    Unauthorized,
    UnexpectedResponse,
)
from memories_mcp.models.coercions import one_line
from memories_mcp.models.tolerance import read_leniently, reading_answer

T = TypeVar("T")

_NOT_READY = re.compile(r"not parsed|not ready|(still|being) process")
_SUCCESS = frozenset({"0000", "SUCCESS"})
_MESSAGE_LENGTH = 300
LARGE = 256 * 1024
"""Bytes of a body from which on it is read in a thread, in short steps; a page of results has a tenth of it."""
_LONGEST_RETRY_AFTER = 24 * 60 * 60.0
_FIELD_FAULTS = {"missing": "is missing", "model_type": "is no object", "dict_type": "is no object"}
"""What is wrong with a field, by the type of the library's error."""
_JSON_KINDS = {str: "a text", int: "a number", float: "a number", bool: "true or false", type(None): "null"}


def media_type(response: httpx2.Response) -> str:
    """Return the media type of a response in lower case, without parameters."""
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_document(response: httpx2.Response) -> bool:
    """Return whether the media type is that of an envelope or of a proxy's error page, not of a stream."""
    return media_type(response) in {"application/json", "text/html"}


def decode_response(body: bytes, response: httpx2.Response, endpoint: Endpoint) -> Any:
    """Return the `data` of a response whose body has been read.

    Args:
        body: The complete body.
        response: The response, for its status and headers.
        endpoint: The endpoint that was called.

    Raises:
        ApiError: The API refused the request.
        UnexpectedResponse: The body is not a JSON object or array.
    """
    retry_after = response.headers.get("retry-after", "")
    try:
        return decode_body(body, status=response.status_code, retry_after=retry_after, success=endpoint.success)
    except UnexpectedResponse as error:
        error.next_step = next_step_if_unclear(endpoint)
        raise
    except NotFound as error:
        if "public" in endpoint.path:  # lists and namespaces have no public videos
            error.next_step = "Copy the video_no again from the result that contains it."
        elif endpoint.path.startswith("folders"):
            error.next_step = "Check the folder with list_folders, and the videos with list_videos."
        raise


def decode_body(body: bytes, *, status: int, retry_after: str = "", success: frozenset[str] = _SUCCESS) -> Any:
    """Return the `data` of an envelope, or the whole document where the API documents no envelope.

    Args:
        body: The complete body.
        status: The HTTP status.
        retry_after: The `Retry-After` header.
        success: The codes that mean success.

    Raises:
        ApiError: The API refused the request; so does HTTP 200 with a code other than success (API 2.4).
        UnexpectedResponse: The body is not a JSON object or array.
    """
    try:
        document = json.loads(body) if len(body) <= LARGE else parse_in_steps(_decode(body))
    except (ValueError, RecursionError):
        if status >= 300:
            raise api_error("", _plain_text(body), status=status, retry_after=retry_after) from None
        raise UnexpectedResponse(
            f"The API answered HTTP {status} with {_body_kind(body)}.",
            next_step="This is a fault between here and the API; try again later.",
        ) from None
    return unwrap_envelope(document, status=status, retry_after=retry_after, success=success)


def unwrap_envelope(
    document: Any, *, status: int = 200, retry_after: str = "", success: frozenset[str] = _SUCCESS
) -> Any:
    """Return the `data` of a parsed document; errors are those of `decode_body`.

    Args:
        document: The parsed body.
        status: The HTTP status.
        retry_after: The `Retry-After` header; empty if there is none.
        success: The codes that mean success.
    """
    if isinstance(document, list):
        return cast(list[Any], document)
    if not isinstance(document, dict):
        raise UnexpectedResponse(
            f"The API answered HTTP {status} with {_JSON_KINDS[type(document)]} instead of a result.",
            next_step="Try again later.",
        )
    envelope = cast(dict[str, Any], document)
    code = _short_text(envelope.get("code", ""))
    if code:
        failed = code not in success
    else:
        failed = status >= 300 or envelope.get("success") is False or envelope.get("failed") is True
    if failed:
        message = envelope.get("msg") or envelope.get("message") or envelope.get("error") or ""
        raise api_error(code, _short_text(message), status=status, retry_after=retry_after)
    if "data" in envelope or code:
        return envelope.get("data")
    return envelope


def parse(data: Any, into: type[T], endpoint: Endpoint, request: object = None) -> T:
    """Return `data` read as the type `into`; what cannot be read is left out where the type can do without it.

    Args:
        data: The `data` of a response.
        into: The type to read.
        endpoint: The endpoint that was called, for the error text.
        request: The arguments of the request: what is left out counts once for repeated requests.

    Raises:
        UnexpectedResponse: The data does not fit the type; the text names the field.
    """
    try:
        with reading_answer(f"{endpoint.path} {request}"):
            return read_leniently(_adapter(into).validate_python, data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        field = one_line(".".join(str(part) for part in problem["loc"]))[:100] or "data"
        # The library's own words name classes.
        fault = _FIELD_FAULTS.get(problem["type"], "cannot be read")
        raise UnexpectedResponse(
            f"The API's answer to {endpoint.path} is not as documented: {field} {fault}.",
            next_step=next_step_if_unclear(endpoint),
        ) from None


def next_step_if_unclear(endpoint: Endpoint) -> str:
    """Return the advice for a failure after which it is unclear whether the API carried out the request."""
    if endpoint.repeatable:
        return "Try again later."
    if not endpoint.shown_by:
        return "The request may have been billed; try again only if the result is worth the cost."
    return f"The request may have been carried out; check {endpoint.shown_by} before you try again."


def api_error(code: str, message: str, *, status: int = 200, retry_after: str = "") -> ApiError:
    """Return the error for a refusal.

    Args:
        code: The API's code; empty if there is none.
        message: The API's message.
        status: The HTTP status.
        retry_after: The `Retry-After` header.
    """
    if code and not re.fullmatch(r"-?[0-9]{1,6}", code):  # the code is untrusted text too
        code, message = "", f"{code}: {message}"
    message = one_line(message)[:_MESSAGE_LENGTH]
    lower = message.lower()
    answer = f"The API answered code {code}" if code else f"The API answered HTTP {status}"
    seconds = seconds_until(retry_after)
    details: dict[str, Any] = {"code": code, "status": status, "words": message}
    if code == "0429" or status == 429 or "request has exceeded the limit" in lower:
        seconds = 1.0 if seconds is None else seconds
        wait = f"Wait {seconds:g} s, then try" if seconds else "Try"
        return RateLimited(
            f"{answer}: too many requests.",
            retry_after=seconds,
            next_step=f"{wait} again with fewer calls at a time.",
            **details,
        )
    if code == "0402":
        return OutOfCredits(
            f"{answer}: the account has no credits left.",
            next_step="Recharge the account at memories.ai; trying again will not help.",
            **details,
        )
    if code in {"0401", "0403", "9009"} or status in {401, 403} or "user don't login" in lower:
        return Unauthorized(
            f"{answer}: the key was refused.",
            next_step="Check the key (MEMORIES_API_KEY) and its permissions; trying again will not help.",
            **details,
        )
    if 300 <= status < 400 and not code:  # such as the sign-in page of a network
        return ApiError(
            f"{answer}: a redirect, which is not followed.",
            next_step="Check the network and MEMORIES_BASE_URL.",
            **details,
        )
    if status < 400 and _NOT_READY.search(lower):
        return NotReady(
            f"{answer}: the video is not ready: it is still being processed, or the processing failed.",
            next_step="Call wait_until_ready with its number as video_nos, then try again. Upload a failed one again.",
            **details,
        )
    if status == 404:  # for an unknown id the API answers HTTP 200, so this is a wrong URL
        return ApiError(f"{answer}: the path does not exist.", next_step="Check MEMORIES_BASE_URL.", **details)
    if status < 500 and ("not found" in lower or "no videos found" in lower):
        return NotFound(
            f"{answer}: no such item in this namespace.",
            next_step="Check the id with list_videos or list_sessions, and unique_id if it was uploaded under one.",
            **details,
        )
    if status >= 500 or is_transient(message):
        next_step = f"Try again in {seconds:g} s." if seconds else "Try again in a minute."
        return ApiError(
            f"{answer}: the service has a temporary fault.", retry_after=seconds or 0, next_step=next_step, **details
        )
    if code == "0409":
        return ApiError(f"{answer}: the same request was sent before.", next_step="Do not repeat it.", **details)
    return ApiError(f"{answer}.", next_step="Check the arguments.", **details)


def seconds_until(retry_after: str) -> float | None:
    """Return the seconds of a `Retry-After` header, at most a day; `None` without a value that can be read.

    Args:
        retry_after: Seconds, or a date in one of the three forms of HTTP.
    """
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return min(float(text[:20]), _LONGEST_RETRY_AFTER)
    try:
        date = parsedate_tz(text)
        seconds = math.ceil(mktime_tz(date) - time.time()) if date else None
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    if seconds is None:
        return None
    return min(max(float(seconds), 0.0), _LONGEST_RETRY_AFTER)


def proves_refusal(error: RateLimited) -> bool:
    """Return whether a refusal for rate shows that the API did not carry out the request; its words alone do not."""
    return error.code == "0429" or error.status == 429


def is_temporary(error: ApiError) -> bool:
    """Return whether a refusal reports a fault that passes, after which it is unclear what was carried out."""
    return error.status >= 500 or is_transient(error.words)


def is_transient(message: str) -> bool:
    """Return whether the message of a refusal with code 0001 reports a temporary fault (API 2.4)."""
    lower = message.lower()
    return "network is abnormal" in lower or "try again later" in lower


def _short_text(value: Any) -> str:
    """Return the beginning of a value as text; an object or a list, which may be large, as JSON."""
    if isinstance(value, dict | list):
        value = "".join(islice(json.JSONEncoder(ensure_ascii=False).iterencode(value), _MESSAGE_LENGTH))
    return str(value)[: 10 * _MESSAGE_LENGTH]


def _decode(body: bytes) -> str:
    """Decode a JSON document as `json.loads` does."""
    return body.decode(json.detect_encoding(body), "surrogatepass")


def _plain_text(body: bytes) -> str:
    text = body[:_MESSAGE_LENGTH].decode("utf-8", "replace").strip()
    return "" if text.startswith("<") else text


def _body_kind(body: bytes) -> str:
    start = body.lstrip()
    if start.startswith(b"<"):
        return "HTML"
    if start.startswith((b"{", b"[")):
        return "broken JSON"
    return "no JSON"


@cache
def _adapter(into: Any) -> TypeAdapter[Any]:
    return TypeAdapter(into)
