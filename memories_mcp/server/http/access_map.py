"""The map of sign-in: which subject, group or e-mail domain uses which API key, in which namespace."""

from __future__ import annotations

import logging
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from memories_mcp.errors import ConfigurationError
from memories_mcp.settings import Settings, environment, parse_setting

logger = logging.getLogger(__name__)

ALL_NAMESPACES = "*"
_OPERATOR = "operator"
_SUBJECT = "{subject}"
_CONDITIONS = ("subject", "group", "email_domain")
_FIELDS = {*_CONDITIONS, "key", "caption_key", "namespace", "read_only"}
_MAX_MAP_BYTES = 1024 * 1024
_MAX_KEY_BYTES = 4096
_MAX_NAMESPACE = 200

_Signature = tuple[int, int, int, int]


def _signature(path: Path) -> _Signature:
    """Return what changes when a file is written or replaced."""
    status = os.stat(path)
    return status.st_mtime_ns, status.st_ino, status.st_size, status.st_dev


class _KeyFile:
    """An API key in a file, read again when the file changes; no `repr` shows the key."""

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._source = source
        self._seen = _signature(path)
        self._key = self._read()

    def get(self) -> str:
        """Return the key; if a new version of the file cannot be used, the key of the last one that could."""
        try:
            if (signature := _signature(self._path)) != self._seen:
                self._seen = signature
                self._key = self._read()
        except (OSError, ConfigurationError) as error:
            logger.warning("a key file cannot be used; its last key stays in use", extra={"reason": _reason(error)})
        return self._key

    def _read(self) -> str:
        with self._path.open("rb") as file:
            content = file.read(_MAX_KEY_BYTES + 1)
        if len(content) > _MAX_KEY_BYTES or not content.strip():
            raise ConfigurationError(f"{self._source}: the file {self._path} holds no key.")
        return _parse_key(content.decode("ascii", "replace"), self._source)


@dataclass(frozen=True)
class _FixedKey:
    _key: str

    def get(self) -> str:
        return self._key

    def __repr__(self) -> str:
        return "_FixedKey(…)"


class _OperatorKey:
    def get(self) -> str:
        return ""


_Key = _KeyFile | _FixedKey | _OperatorKey


class NoAccess(Exception):
    """The map gives a person nothing; the text is for the person."""


@dataclass(frozen=True)
class Access:
    """What a person may use.

    Attributes:
        api_key: The API key; empty for the operator's own.
        caption_key: The key of the caption service; empty for none, or with `operator_key` for the operator's.
        operator_key: Whether the operator's own keys are used.
        namespace: The forced namespace; `None` if the person may use all of the account.
        read_only: Whether only tools that change nothing are offered.
    """

    api_key: str
    caption_key: str
    operator_key: bool
    namespace: str | None
    read_only: bool

    def __repr__(self) -> str:
        return "Access(…)"  # keeps keys out of tracebacks


@dataclass(frozen=True)
class _Rule:
    condition: str
    value: str
    key: _Key
    caption_key: _Key | None
    namespace: str
    read_only: bool

    def matches(self, claims: Mapping[str, Any], groups: frozenset[str]) -> bool:
        if self.condition == "subject":
            return claims.get("sub") == self.value
        if self.condition == "group":
            return self.value in groups
        return _verified_domain(claims) == self.value

    def access(self, subject: str) -> Access:
        # Quoting is one-to-one: no two subjects have one namespace.
        namespace = self.namespace.replace(_SUBJECT, quote(subject, safe="@|:+"))
        if len(namespace) > _MAX_NAMESPACE:
            raise NoAccess(f"The name of your account is too long for a namespace of {_MAX_NAMESPACE} characters.")
        return Access(
            api_key=self.key.get(),
            caption_key=self.caption_key.get() if self.caption_key else "",
            operator_key=isinstance(self.key, _OperatorKey),
            namespace=None if namespace == ALL_NAMESPACES else namespace,
            read_only=self.read_only,
        )


@dataclass(frozen=True)
class _Rules:
    groups_claim: str
    rules: tuple[_Rule, ...]


class AccessMap:
    """The rules of the map file, read again when the file changes.

    Args:
        path: The map file.
        settings: The operator's.

    Raises:
        ConfigurationError: The file cannot be used; the text names the rule.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        self._settings = settings
        try:
            self._seen: _Signature | None = _signature(path)
            self._rules = self._read()
        except OSError as error:
            raise ConfigurationError(f"MEMORIES_OAUTH_MAP: {_reason(error)}.") from None

    def find(self, claims: Mapping[str, Any]) -> Access:
        """Return what the first rule that matches gives to the holder of these verified claims.

        Raises:
            NoAccess: No rule matches, or the one that does cannot be used.
        """
        self._reload()
        groups = _groups(claims, self._rules.groups_claim)
        rule = next((rule for rule in self._rules.rules if rule.matches(claims, groups)), None)
        if rule is None:
            raise NoAccess("Your account has no access to this server.")
        return rule.access(str(claims["sub"]))

    def _reload(self) -> None:
        try:
            signature = _signature(self._path)
        except OSError:
            signature = None
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self._rules = self._read()
        except (OSError, ConfigurationError) as error:
            logger.error(
                "the new access map cannot be used; the last one stays in use", extra={"reason": _reason(error)}
            )
        else:
            logger.warning("the access map was read again", extra={"rules": len(self._rules.rules)})

    def _read(self) -> _Rules:
        with self._path.open("rb") as file:
            content = file.read(_MAX_MAP_BYTES + 1)
        if len(content) > _MAX_MAP_BYTES:
            raise ConfigurationError(f"MEMORIES_OAUTH_MAP: the file is longer than {_MAX_MAP_BYTES // 1024} KiB.")
        try:
            document = tomllib.loads(content.decode())
        except (ValueError, RecursionError) as error:
            # The parser's message names the place and quotes no values.
            raise ConfigurationError(f"MEMORIES_OAUTH_MAP: the file is not valid TOML: {_place(error)}.") from None
        return _Rules(*self._parse(document))

    def _parse(self, document: dict[str, Any]) -> tuple[str, tuple[_Rule, ...]]:
        unknown = document.keys() - {"groups_claim", "allow"}
        if unknown:
            raise _problem("", f"unknown entry {min(unknown)[:60]!r}", "Use groups_claim and [[allow]]")
        groups_claim = document.get("groups_claim", "groups")
        entries: object = document.get("allow", [])
        if not isinstance(groups_claim, str) or not groups_claim:
            raise _problem("", "groups_claim is not the name of a claim", "Write a text")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in cast(list[object], entries)):
            raise _problem("", "allow is not a list of tables", "Begin each rule with [[allow]]")
        rules: dict[tuple[str, str], _Rule] = {}
        for number, entry in enumerate(cast(list[dict[str, Any]], entries), 1):
            rule = self._rule(entry, f"rule {number}")
            if (rule.condition, rule.value) in rules:
                raise _problem(f"rule {number}", f"an earlier rule has the same {rule.condition}", "Keep one of them")
            rules[rule.condition, rule.value] = rule
        return groups_claim, tuple(rules.values())

    def _rule(self, entry: dict[str, Any], name: str) -> _Rule:
        unknown = entry.keys() - _FIELDS
        if unknown:
            raise _problem(name, f"unknown field {min(unknown)[:60]!r}", f"Use {', '.join(sorted(_FIELDS))}")
        conditions = [field for field in _CONDITIONS if field in entry]
        if len(conditions) != 1:
            raise _problem(name, "not exactly one condition", f"Use one of {', '.join(_CONDITIONS)}")
        condition = conditions[0]
        for field in {*entry} - {"read_only"}:
            if not isinstance(entry[field], str) or not entry[field].strip():
                raise _problem(name, f"{field} is not a text, or is empty", "Write a text")
        read_only = entry.get("read_only", False)
        if not isinstance(read_only, bool):
            raise _problem(name, "read_only is not true or false", "Write one of them, without quotes")
        value = entry[condition]
        return _Rule(
            condition=condition,
            value=value.lower().removeprefix("@") if condition == "email_domain" else value,
            key=self._key(entry.get("key", ""), name, "key"),
            caption_key=self._key(entry["caption_key"], name, "caption_key") if "caption_key" in entry else None,
            namespace=self._namespace(entry.get("namespace", ""), name),
            read_only=read_only,
        )

    def _namespace(self, namespace: str, name: str) -> str:
        fixed = self._settings.unique_id
        if fixed:
            if namespace not in {"", fixed}:
                raise _problem(name, "MEMORIES_UNIQUE_ID fixes another namespace", "Remove one of them")
            return fixed
        if not namespace:
            advice = f'Write one, with {_SUBJECT} for a namespace a person, or "{ALL_NAMESPACES}" for the whole account'
            raise _problem(name, "no namespace", advice)
        rest = namespace.replace(_SUBJECT, "")
        if "{" in rest or "}" in rest:
            raise _problem(name, "namespace has an unknown placeholder", f"Use {_SUBJECT}")
        if not namespace.isprintable() or namespace != namespace.strip() or len(namespace) > _MAX_NAMESPACE:
            raise _problem(name, "namespace is not one", f"Use at most {_MAX_NAMESPACE} printable characters")
        return namespace

    def _key(self, reference: str, name: str, field: str) -> _Key:
        kind, _, target = reference.partition(":")
        source = f"MEMORIES_OAUTH_MAP, {name}, {field}"
        if reference == _OPERATOR:
            return self._operator_key(name, field)
        if kind == "env" and target:
            value = environment().get(target, "").strip()
            if not value:
                raise _problem(name, f"{field}: the environment variable {target[:100]} is not set", "Set it")
            return _FixedKey(_parse_key(value, source))
        if kind == "file" and target:
            try:
                return _KeyFile(self._path.parent / Path(target).expanduser(), source)
            except (OSError, RuntimeError) as error:
                raise _problem(name, f"{field}: {_reason(error)}", "Name a file that the server can read") from None
        # The value may be a key, so the message does not show it.
        advice = f"Write {_OPERATOR}, file: and a path, or env: and the name of a variable; never the key itself"
        raise _problem(name, f"{field} is not a reference to a key", advice)

    def _operator_key(self, name: str, field: str) -> _Key:
        settings = self._settings
        own = settings.api_key if field == "key" else settings.caption_api_key
        if own or settings.sandbox:
            return _FixedKey(own) if field == "caption_key" else _OperatorKey()
        variable = "MEMORIES_API_KEY" if field == "key" else "MEMORIES_CAPTION_API_KEY"
        raise _problem(name, f"{field}: the operator's own key is not set", f"Set {variable}")


def _parse_key(text: str, source: str) -> str:
    return str(parse_setting("api_key", text, source))


def _problem(rule: str, reason: str, advice: str) -> ConfigurationError:
    place = f"MEMORIES_OAUTH_MAP: {rule}" if rule else "MEMORIES_OAUTH_MAP"
    return ConfigurationError(f"{place}: {reason}.", next_step=f"{advice}.")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _place(error: Exception) -> str:
    message = str(error)
    start = message.rfind("(at ")
    return message[start:].strip("()") if start >= 0 else "it is not UTF-8, or is nested too deeply"


def _groups(claims: Mapping[str, Any], name: str) -> frozenset[str]:
    """Return the groups of a claim: a list of texts or one text, in a claim of this name or at this dotted path."""
    value: object = claims.get(name)
    if value is None:
        value = claims
        for part in name.split("."):
            value = cast(dict[str, object], value).get(part) if isinstance(value, dict) else None
    if isinstance(value, str):
        return frozenset({value})
    return frozenset(_texts(value))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield from (item for item in cast(list[object], value) if isinstance(item, str))


def _verified_domain(claims: Mapping[str, Any]) -> str:
    """Return the domain of the e-mail address, if the issuer has verified the address."""
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") not in (True, "true"):
        return ""
    _, at, domain = email.rpartition("@")
    return domain.lower() if at else ""
