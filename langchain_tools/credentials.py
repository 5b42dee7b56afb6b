"""The keys and the namespace of a run: values of the run, or the result of the application's resolver."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, NoReturn, cast

from pydantic import SecretStr

from langchain_tools.bridge import bridge
from langchain_tools.run_context import CurrentRun, is_control_flow
from memories_mcp.errors import ConfigurationError
from memories_mcp.settings import parse_setting

Resolver = Callable[[Any], object]
"""Returns the credentials of a run, or an awaitable of them. It gets LangGraph's `Runtime`, or outside a graph
`config["configurable"]`."""

_FIELDS = ("api_key", "unique_id", "caption_api_key")
_NAME = "credentials="


class RunCredentials(NamedTuple):
    """Keys and namespace of one run; secret."""

    api_key: str
    caption_key: str
    unique_id: str

    def __repr__(self) -> str:
        return "RunCredentials(…)"  # keeps the keys out of tracebacks


class CredentialsSource:
    """The source of the credentials of each run.

    Args:
        unique_id: The namespace that is fixed for all runs; empty if each run has its own.
        resolver: The application's function; `None` for the run's values `memories_api_key`, `memories_unique_id` and
            `memories_caption_api_key`.
    """

    def __init__(self, unique_id: str, resolver: Resolver | None) -> None:
        self._unique_id = unique_id
        self._resolver = resolver

    def get(self, run: CurrentRun) -> RunCredentials:
        """Return the credentials of a run.

        Raises:
            ConfigurationError: The run has no key, a value is invalid, its namespace contradicts the fixed one, or the
                resolver failed.
        """
        if self._resolver is None:
            return self._of_run(run)
        try:
            result = self._resolver(run.runtime)
            if inspect.isawaitable(result):
                awaitable = result
                result = bridge.run(lambda _: _wait_for(awaitable))
        except Exception as error:  # the application's function may raise anything
            _raise_failure(error)
        return self._of_result(result)

    async def aget(self, run: CurrentRun) -> RunCredentials:
        """Return the credentials of a run from async code, and await the resolver there; otherwise as `get`."""
        if self._resolver is None:
            return self._of_run(run)
        try:
            result = self._resolver(run.runtime)
            if inspect.isawaitable(result):
                result = await result
        except Exception as error:  # the application's function may raise anything
            _raise_failure(error)
        return self._of_result(result)

    def _of_run(self, run: CurrentRun) -> RunCredentials:
        values = {name: run.configurable.get(f"memories_{name}") for name in _FIELDS}
        for name in ("api_key", "caption_api_key"):
            if values[name] is not None and not isinstance(values[name], SecretStr):
                raise ConfigurationError(
                    f"memories_{name} refused: it is not a SecretStr, and checkpoints and traces record plain strings.",
                    next_step="Wrap the key: SecretStr(key).",
                )
        return self._check(
            values,
            "memories_{}",
            ConfigurationError(
                "This run has no API key.",
                next_step="Pass memories_api_key, a SecretStr, in the run's context or config['configurable'], or a "
                f"function that returns the key as {_NAME} of the component.",
            ),
        )

    def _of_result(self, result: object) -> RunCredentials:
        if isinstance(result, str | SecretStr):
            result = {"api_key": result}
        if isinstance(result, Mapping):
            values = dict(cast(Mapping[str, object], result))
            if unknown := [str(name) for name in values if name not in _FIELDS]:
                raise ConfigurationError(
                    f"{_NAME} returned unknown names: {', '.join(unknown)}.",
                    next_step=f"Return {', '.join(_FIELDS)}; only api_key is required.",
                )
        else:
            values = {name: getattr(result, name, None) for name in _FIELDS}
        return self._check(
            values,
            f"{{}} from {_NAME}",
            ConfigurationError(
                f"{_NAME} returned no API key for this run.",
                next_step="Return the key, or an object or mapping with api_key, for every run.",
            ),
        )

    def _check(self, values: Mapping[str, object], source: str, missing: ConfigurationError) -> RunCredentials:
        """Return the values as credentials.

        Args:
            values: The values by the names of `_FIELDS`; each may be absent.
            source: A format of the name that an error gives to a value.
            missing: The error for a missing key.
        """
        api_key, caption_key = (
            _parse_key(name, values.get(name), source.format(name)) for name in ("api_key", "caption_api_key")
        )
        if not api_key:
            raise missing
        unique_id = str(values.get("unique_id") or "").strip()
        if self._unique_id and unique_id and self._unique_id != unique_id:
            name = source.format("unique_id")
            raise ConfigurationError(
                f"{name} refused: it is not the unique_id that is fixed for all runs.", next_step="Leave it out."
            )
        return RunCredentials(api_key, caption_key, self._unique_id or unique_id)


def _parse_key(name: str, value: object, source: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str | SecretStr):
        raise ConfigurationError(f"{source} refused: it is neither a SecretStr nor a string.")
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return cast(str, parse_setting(name, text.strip(), source))


def _raise_failure(error: Exception) -> NoReturn:
    """Raise the error for a resolver that failed; its words are left out, because they may hold a key."""
    if is_control_flow(error):
        raise error
    raise ConfigurationError(
        f"{_NAME} failed: it raised {type(error).__name__}.", next_step="Correct the function that returns the key."
    ) from None


async def _wait_for(awaitable: Awaitable[object]) -> object:
    return await awaitable
