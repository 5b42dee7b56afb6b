"""JSON with comments and trailing commas, as editors write it: reading, and changes that keep every other character."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

_TOKENS = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\r\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', re.DOTALL)
_BLANK = re.compile(r"\s*")


class _Member(NamedTuple):
    """A member of an object, or an element of an array, and its place in the text.

    Attributes:
        key: The key; the index in an array.
        value: The value.
        start: The position of the value's first character.
        end: The position after its last.
    """

    key: str | int
    value: Any
    start: int
    end: int


def loads(text: str) -> Any:
    """Return the value of a text; an empty one, or one of comments alone, is an empty object.

    Raises:
        ValueError: The text is not JSON with comments.
    """
    plain = _plain(text)
    try:
        return json.loads(plain) if plain.strip() else {}
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def set_member(text: str, keys: tuple[str, ...], value: Any) -> str:
    """Return the text with one value set; comments, order and layout of all the rest stay.

    Args:
        text: The text of an object; may be empty.
        keys: The keys that lead to the value; missing objects are added.
        value: The new value.

    Raises:
        ValueError: The text is not JSON with comments.
    """
    plain = _plain(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    if not plain.strip():
        blank_line = newline if text and not text.endswith("\n") else ""
        return f"{text}{blank_line}{_render(_nested(keys, value), '', _indent_unit(plain), newline)}{newline}"
    start, depth = _skip(plain, 0), 0
    while depth < len(keys):
        member = next((member for member in reversed([*_members(plain, start)]) if member.key == keys[depth]), None)
        if member is None:
            return _insert(text, plain, start, json.dumps(keys[depth]) + ": ", _nested(keys[depth + 1 :], value))
        depth += 1
        if depth == len(keys) or not isinstance(member.value, dict):
            indent = _indent_at(text, member.start)
            rendered = _render(_nested(keys[depth:], value), indent, _indent_unit(plain), newline)
            return text[: member.start] + rendered + text[member.end :]
        start = member.start
    raise ValueError("there is no key")


def update_member(text: str, keys: tuple[str, ...], old: Any, new: Any) -> str:
    """Return the text with a value changed; the comments inside of it stay as well, unless members must go.

    Args:
        text: The text of an object.
        keys: The keys that lead to the value.
        old: The present value, `None` if there is none.
        new: The new value.

    Raises:
        ValueError: The text is not JSON with comments.
    """
    if old == new:
        return text
    if not isinstance(old, dict) or not isinstance(new, dict) or not old.keys() <= new.keys():
        return set_member(text, keys, new)
    members = cast(dict[str, Any], old)
    for key, value in cast(dict[str, Any], new).items():
        text = update_member(text, (*keys, key), members.get(key), value)
    return text


def append_element(text: str, key: str, value: Any) -> str:
    """Return the text with an element added at the end of the array under a key of the outermost object.

    Args:
        text: The text of an object.
        key: The key of the array; a missing one, or `null`, becomes an array.
        value: The new element.

    Raises:
        ValueError: The text is not JSON with comments.
    """
    plain = _plain(text)
    members = [*_members(plain, _skip(plain, 0))] if plain.strip() else []
    array = next((member for member in reversed(members) if member.key == key), None)
    if array is None or not isinstance(array.value, list):
        return set_member(text, (key,), [value])
    return _insert(text, plain, array.start, "", value)


def _plain(text: str) -> str:
    """Return the text with comments and trailing commas replaced by blanks, so that all positions stay."""
    without_comments = _TOKENS.sub(lambda token: token[1] or re.sub(r"[^\r\n]", " ", token[0]), text)
    return _TRAILING_COMMA.sub(lambda token: token[1] or " ", without_comments)


def _members(plain: str, start: int) -> Iterator[_Member]:
    """Yield the members of the object, or the elements of the array, that begins at `start`."""
    decoder = json.JSONDecoder()
    is_object = plain[start] == "{"
    position = _skip(plain, start + 1)
    index = 0
    while plain[position] not in "}]":
        key: Any = index
        if is_object:
            key, position = decoder.raw_decode(plain, position)
            position = _skip(plain, _skip(plain, position) + 1)  # after the colon
        value, end = decoder.raw_decode(plain, position)
        yield _Member(key, value, position, end)
        index += 1
        position = _skip(plain, end)
        if plain[position] == ",":
            position = _skip(plain, position + 1)


def _insert(text: str, plain: str, start: int, prefix: str, value: Any) -> str:
    """Return the text with a member added at the end of the object or array that begins at `start`.

    Args:
        text: The text.
        plain: The same text without comments and trailing commas.
        start: The position of the opening bracket.
        prefix: The key with its colon; empty in an array.
        value: The new value.
    """
    members = [*_members(plain, start)]
    _, end = json.JSONDecoder().raw_decode(plain, start)
    newline, unit = ("\r\n" if "\r\n" in text else "\n"), _indent_unit(plain)
    outer = _indent_at(text, start)
    indent = outer + unit
    if members and "\n" in text[start : members[0].start]:
        indent = _indent_at(text, members[0].start)
    inner = text[start + 1 : end - 1].rstrip()  # with the comments after the last member
    if members:
        after_last = members[-1].end - start - 1
        has_comma = "," in _TOKENS.sub("", inner[after_last:])
        inner = inner if has_comma else f"{inner[:after_last]},{inner[after_last:]}"
    added = f"{newline}{indent}{prefix}{_render(value, indent, unit, newline)}"
    return f"{text[: start + 1]}{inner}{added}{newline}{outer}{text[end - 1 :]}"


def _skip(plain: str, position: int) -> int:
    match = _BLANK.match(plain, position)
    return match.end() if match else position


def _indent_at(text: str, position: int) -> str:
    """Return the blanks at the start of the line that holds a position."""
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _indent_unit(plain: str) -> str:
    """Return the indentation of the first indented line that is no comment."""
    match = re.search(r"^([ \t]+)[\"{\[]", plain, re.MULTILINE)
    return match[1] if match else "  "


def _nested(keys: tuple[str, ...], value: Any) -> Any:
    for key in reversed(keys):
        value = {key: value}
    return value


def _render(value: Any, indent: str, unit: str, newline: str) -> str:
    text = json.dumps(value, indent=unit, ensure_ascii=False)
    return text.replace("\n", newline + indent)
