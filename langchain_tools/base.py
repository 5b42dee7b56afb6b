"""Whose library it is: what toolkit, retriever and loader are given alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

from langchain_tools.bridge import bridge
from langchain_tools.lifetime import SharedClients
from memories_mcp.errors import ConfigurationError
from memories_mcp.settings import Settings, parse_setting


class MemoriesComponent(BaseModel):
    """An account of Memories.ai; what is not given comes from the environment (`MEMORIES_API_KEY` and its kind).

    Closing is optional: `with`, `async with`, or nothing at all.
    """

    model_config = ConfigDict(extra="forbid")

    # Frozen, as what is made of them is made once; `model_copy(update=…)` makes it anew.
    api_key: SecretStr | None = Field(default=None, frozen=True)
    """Key of the account."""
    base_url: str | None = Field(default=None, frozen=True)
    """Where the API is."""
    unique_id: str | None = Field(default=None, frozen=True)
    """Namespace of the library; given here, nothing else is reached."""
    sandbox: bool | None = Field(default=None, frozen=True)
    """Use the offline twin, which all that ask for it in a process share while one of them is open."""

    _connection: SharedClients = PrivateAttr()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy; with an update it is made as by its constructor, with a connection of its own."""
        if not update:
            return super().model_copy(deep=deep)
        return type(self)(**{**{name: getattr(self, name) for name in self.model_fields_set}, **update})

    def close(self) -> None:
        """Close the connections; a later call opens them again."""
        bridge.wait(lambda _: self._connection.aclose())

    async def aclose(self) -> None:
        """The same from async code."""
        await bridge.run(lambda _: self._connection.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()

    def _settings(self, *, per_run: bool = False) -> Settings:
        """What the environment and the account say.

        Raises:
            ConfigurationError: A value makes no sense; the text names the argument or the variable.
        """
        if per_run and self.api_key:
            raise ConfigurationError("With per_run each run brings its own key; leave api_key out.")
        settings = Settings.from_environment()
        if per_run:  # what belongs to the operator is nobody else's
            settings = replace(settings, api_key="", caption_api_key="", unique_id="", files_root=None)
        return settings.change(
            api_key=parsed("api_key", self.api_key.get_secret_value() if self.api_key else None),
            base_url=parsed("base_url", self.base_url),
            unique_id=parsed("unique_id", self.unique_id),
            sandbox=self.sandbox,
        )


def parsed(name: str, text: str | None) -> Any:
    """An argument read like the variable of the same setting, with the same refusals."""
    return None if text is None else parse_setting(name, text.strip(), f"{name}=")
