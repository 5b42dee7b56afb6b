"""Media types by the first bytes of a file, for uploads and downloads alike."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from typing import Literal

MediaKind = Literal["video", "image"]
FileKind = Literal["video", "audio", "image", "other"]
"""The content of a file, as far as its name shows it."""
Signature = Callable[[bytes], bool]
"""Tests whether the first 16 bytes of a file fit a media type."""
_MEDIA: dict[FileKind, dict[str, tuple[tuple[str, ...], Signature]]] = {
    "video": {
        "video/mp4": ((".mp4",), lambda start: start[4:8] == b"ftyp" and start[8:10] != b"qt"),
        "video/quicktime": ((".mov",), lambda start: start[4:8] in {b"ftyp", b"moov", b"wide", b"mdat", b"free"}),
        "video/x-msvideo": ((".avi",), lambda start: start[:4] == b"RIFF" and start[8:12] == b"AVI "),
        "video/x-matroska": ((".mkv",), lambda start: start[:4] == b"\x1a\x45\xdf\xa3"),
    },
    "image": {
        "image/jpeg": ((".jpg", ".jpeg"), lambda start: start[:3] == b"\xff\xd8\xff"),
        "image/png": ((".png",), lambda start: start[:8] == b"\x89PNG\r\n\x1a\n"),
        "image/gif": ((".gif",), lambda start: start[:4] == b"GIF8"),
        "image/bmp": ((".bmp",), lambda start: start[:2] == b"BM"),
        "image/webp": ((".webp",), lambda start: start[:4] == b"RIFF" and start[8:12] == b"WEBP"),
    },
}
"""File name extensions and signature of each media type that the service accepts, by kind of media (API 2.11)."""
_OTHER_EXTENSIONS: dict[FileKind, tuple[str, ...]] = {
    "video": (".webm", ".m4v", ".wmv", ".flv", ".mpg", ".mpeg", ".3gp", ".mts"),
    "audio": (".mp3", ".wav", ".m4a", ".aac", ".flac", ".ogg", ".opus", ".wma"),
    "image": (".heic", ".tif", ".tiff", ".avif"),
}
"""Usual extensions of media that the service does not accept."""
IMAGE_EXTENSIONS = frozenset(extension for extensions, _ in _MEDIA["image"].values() for extension in extensions)

_BYTES_OF_TEXT = 1024
"""Bytes after which binary data has shown a control character; every video container does so within 16."""
_CONTROLS = frozenset({*range(0x20), 0x7F} - set(b"\t\n\r\f\x1b"))


def media_type_of(start: bytes, kind: MediaKind) -> str | None:
    """Return the media type whose signature the first 16 bytes of a file have, or `None`."""
    return next((name for name, (_, matches) in _MEDIA[kind].items() if matches(start)), None)


def extensions_of(kind: FileKind) -> list[str]:
    """Return the file name extensions that the service accepts for a kind of file, in lower case and sorted."""
    return sorted(extension for extensions, _ in _MEDIA.get(kind, {}).values() for extension in extensions)


def file_kind(extension: str) -> FileKind:
    """Return the kind of the files with a file name extension."""
    extension = extension.lower()
    for kind, extensions in _OTHER_EXTENSIONS.items():
        if extension in extensions or extension in extensions_of(kind):
            return kind
    return "other"


def is_text(start: bytes) -> bool:
    """Return whether a file that begins with these bytes is empty or a text, such as JSON, HTML or a proxy's message.

    A text has no control characters; its encoding may be UTF-8, UTF-16, UTF-32 or, as in some messages, an 8-bit one.
    """
    sample = start[:_BYTES_OF_TEXT]
    encoding = json.detect_encoding(sample)
    if encoding.startswith("utf-8"):
        return not any(byte in _CONTROLS for byte in sample)
    text = sample.decode(encoding, "replace").lstrip()
    if encoding in {"utf-16", "utf-32"}:  # the sample begins with a byte order mark
        return not any(character == "\ufffd" or unicodedata.category(character) == "Cn" for character in text)
    return text[:1] in {"{", "[", "<"} and "\0" not in text  # the zeros of binary data resemble UTF-16 and UTF-32
