"""Fields and behaviour that toolkit, retriever and loader share: the account and the life cycle."""

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
    """A component that uses one Memories.ai account.

    A field without a value takes the environment's (`MEMORIES_API_KEY` and the like). Closing is optional; `with` and
    `async with` close the connections at their end.
    """

    model_config = ConfigDict(extra="forbid")

    # Frozen, because the clients are built from these fields only once; `model_copy(update=…)` builds a new component.
    api_key: SecretStr | None = Field(default=None, frozen=True)
    """Key of the account."""
    base_url: str | None = Field(default=None, frozen=True)
    """Scheme and host of the API."""
    unique_id: str | None = Field(default=None, frozen=True)
    """Namespace of the library; with a value here, no other namespace can be reached."""
    sandbox: bool | None = Field(default=None, frozen=True)
    """Use the offline sandbox; all open components of a process share one."""

    _clients: SharedClients = PrivateAttr()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; with `update`, build a new component with its own connections."""
        if not update:
            return super().model_copy(deep=deep)
        fields = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**{**fields, **update})

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        bridge.run(lambda _: self._clients.aclose())

    async def aclose(self) -> None:
        """Close the connections from async code; a later call opens new ones."""
        await bridge.arun(lambda _: self._clients.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def _read_settings(self, *, per_run: bool = False) -> Settings:
        """Return the environment's settings, overridden by the fields.

        Raises:
            ConfigurationError: A value is invalid; the text names the argument or the variable.
        """
        if per_run and self.api_key:
            raise ConfigurationError(
                "api_key refused: with per_run, each run brings its own key.", next_step="Leave api_key out."
            )
        settings = Settings.from_environment()
        if per_run:  # the operator's keys, namespace and files must not be open to users
            settings = replace(settings, api_key="", caption_api_key="", unique_id="", files_root=None)
        return settings.change(
            api_key=parse_argument("api_key", self.api_key.get_secret_value() if self.api_key else None),
            base_url=parse_argument("base_url", self.base_url),
            unique_id=parse_argument("unique_id", self.unique_id),
            sandbox=self.sandbox,
        )


def parse_argument(name: str, text: str | None) -> Any:
    """Parse a constructor argument by the rules of the environment variable of the same setting."""
    return None if text is None else parse_setting(name, text.strip(), f"{name}=")
