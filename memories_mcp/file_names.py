"""The file that a caller means: the readings of a path as it was written, and names that look alike."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import islice
from urllib.parse import unquote_to_bytes

from memories_mcp.models.coercions import one_line

_LOOK_ALIKES = str.maketrans(
    dict.fromkeys("‘’‚‛′ʼʹ`´＇", "'") | dict.fromkeys("“”„‟″", '"') | dict.fromkeys("‐‑‒–—―−", "-")
)
_QUOTED = re.compile(r"""(?s:'(.+)'|"(.+)"|`(.+)`|‘(.+)’|“(.+)”)""")
_FILE_URI = re.compile(r"file:(?://(?P<host>[^/\\]*))?(?P<path>[/\\].*)", re.IGNORECASE | re.DOTALL)
_ESCAPED = re.compile(r"\\([^\w\\/.])")
"""A character that a shell takes literally after a backslash, such as a blank."""

_MOST_COMPARED = 2000
"""Names of a folder that are searched for similar ones."""
_MOST_SIMILAR = 5


def readings(path: str) -> Iterator[str]:
    """Yield what a path can mean, the most literal reading first: quotes, URIs and escapes are taken off one by one."""
    yield path
    bare = unwrapped(path)
    yield bare
    if os.sep == "/" and "\\" in bare:
        yield unescaped(bare)
        yield unescaped(bare).replace("\\", "/")
    if "%" in bare:
        yield _percent_decoded(bare)


def unwrapped(path: str) -> str:
    """Return a path without the blanks and quotes around it; that of a `file:` URI if it is one of this machine."""
    bare = path.strip()
    if quoted := _QUOTED.fullmatch(bare):
        bare = quoted[quoted.lastindex or 0].strip()
    uri = _FILE_URI.fullmatch(bare)
    if uri is None or (uri["host"] or "").lower() not in {"", "localhost", "127.0.0.1"}:
        return bare
    decoded = _percent_decoded(uri["path"])
    return decoded[1:] if re.match(r"/[A-Za-z]:", decoded) else decoded  # file:///C:/folder


def unescaped(path: str) -> str:
    """Return a path without the backslashes with which a shell escapes blanks and signs; on Windows as it is."""
    return _ESCAPED.sub(r"\1", path) if os.sep == "/" else path


def _percent_decoded(text: str) -> str:
    return os.fsdecode(unquote_to_bytes(text))


def appearance(name: str) -> str:
    """Return a name in one form for all names that look the same on a screen.

    They differ only in Unicode's composition (NFC or NFD), in kinds of blanks, quotes and dashes, in full-width forms
    and in invisible characters.
    """
    return one_line(unicodedata.normalize("NFKC", name.translate(_LOOK_ALIKES)).translate(_LOOK_ALIKES))


def look_alikes(name: str, names: Iterable[str], *, ignore_case: bool) -> list[str]:
    """Return the names that look the same as a name; if there are none, those that differ only in case.

    Args:
        name: The name to find.
        names: The names to compare it to.
        ignore_case: Whether names that differ in case count.
    """
    forms = {candidate: appearance(candidate) for candidate in names}
    wanted = appearance(name)
    same = [candidate for candidate, form in forms.items() if form == wanted]
    if same or not ignore_case:
        return sorted(same)
    return sorted(candidate for candidate, form in forms.items() if form.casefold() == wanted.casefold())


def similar_names(name: str, names: Iterable[str]) -> list[str]:
    """Return up to five names that a misspelt name may stand for, the nearest first."""
    import difflib  # imported late: most names exist

    forms = {appearance(candidate).casefold(): candidate for candidate in islice(names, _MOST_COMPARED)}
    wanted = appearance(name).casefold()
    return [forms[form] for form in difflib.get_close_matches(wanted, forms, n=_MOST_SIMILAR)]


def printable(name: str) -> str:
    """Return a name in valid Unicode, for a message or a request: names on disk may hold any bytes."""
    return os.fsencode(name).decode("utf-8", "replace")
