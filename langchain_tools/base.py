"""Fields and behaviour that toolkit, retriever and loader share: the account and the life cycle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

from langchain_tools.bridge import bridge
from langchain_tools.credentials import Resolver
from langchain_tools.lifetime import SharedClients
from memories_mcp.errors import ConfigurationError
from memories_mcp.settings import Settings, parse_setting


def _to_secret(key: SecretStr | str | None) -> SecretStr | None:
    return SecretStr(key) if isinstance(key, str) else key


def _to_text(key: SecretStr | str | None) -> str | None:
    return key.get_secret_value() if isinstance(key, SecretStr) else key


class MemoriesComponent(BaseModel):
    """A component that uses one Memories.ai account.

    A field without a value takes the environment's (`MEMORIES_API_KEY` and the like). Closing is optional; `with` and
    `async with` close the connections at their end.
    """

    # A mistyped argument may hold a key, which pydantic's errors would quote.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    # Frozen, because the clients are built from these fields only once; `model_copy(update=…)` builds a new component.
    api_key: Annotated[SecretStr | str | None, AfterValidator(_to_secret)] = Field(default=None, frozen=True)
    """Key of the account; kept as a `SecretStr`."""
    base_url: str | None = Field(default=None, frozen=True)
    """Scheme and host of the API."""
    unique_id: str | None = Field(default=None, frozen=True)
    """Namespace of the library; with a value here, no other namespace can be reached."""
    sandbox: bool | None = Field(default=None, frozen=True)
    """Use the offline sandbox; all open components of a process share one."""
    per_run: bool = Field(default=False, frozen=True)
    """Each run brings its own `memories_api_key`, a `SecretStr`, and `memories_unique_id`, in LangGraph's context or
    in `config["configurable"]`. The environment's keys, namespace and files are not used; file tools need
    `files_root`."""
    credentials: Resolver | None = Field(default=None, frozen=True, exclude=True, repr=False)
    """As `per_run`, but the application's function returns the key of each run: it gets LangGraph's `Runtime`, or
    outside a graph `config["configurable"]`, and returns the key, or an object or mapping with `api_key`, `unique_id`
    and `caption_api_key`. It may be async."""

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

    @property
    def _is_per_run(self) -> bool:
        return self.per_run or self.credentials is not None

    def _make_clients(self, settings: Settings) -> SharedClients:
        return SharedClients(settings, per_run=self._is_per_run, resolver=self.credentials)

    def _read_settings(self) -> Settings:
        """Return the environment's settings, overridden by the fields.

        Raises:
            ConfigurationError: A value is invalid; the text names the argument or the variable.
        """
        if self._is_per_run and self.api_key is not None:
            raise ConfigurationError(
                "api_key refused: with per_run or credentials, each run brings its own key.",
                next_step="Leave api_key out.",
            )
        settings = Settings.from_environment()
        if self._is_per_run:  # the operator's keys, namespace and files must not be open to users
            settings = replace(settings, api_key="", caption_api_key="", unique_id="", files_root=None)
        return settings.change(
            api_key=parse_argument("api_key", _to_text(self.api_key)),
            base_url=parse_argument("base_url", self.base_url),
            unique_id=parse_argument("unique_id", self.unique_id),
            sandbox=self.sandbox,
        )


def clients_of(component: MemoriesComponent) -> SharedClients:
    """Return the clients of a component, for a function that works with its account."""
    return component._clients  # pyright: ignore[reportPrivateUsage] -- private for users; this package shares it


def parse_argument(name: str, text: str | None) -> Any:
    """Parse a constructor argument by the rules of the environment variable of the same setting."""
    return None if text is None else parse_setting(name, text.strip(), f"{name}=")
