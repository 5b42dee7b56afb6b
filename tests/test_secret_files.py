"""Secrets come from files too, as container platforms hand them out."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from memories_mcp.errors import ConfigurationError, MemoriesError
from memories_mcp.settings import Settings

SECRET = "sk-0123456789abcdef0123456789abcdef"
SECRETS = {field.metadata["variable"]: field.name for field in fields(Settings) if field.metadata["secret"]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(f"  {SECRET}\n")
    return file


@pytest.mark.parametrize("variable", SECRETS)
def test_a_file_gives_the_value_without_the_white_space_around_it(variable: str, file: Path) -> None:
    value = f"redis://:{SECRET}@redis.internal:6379" if variable == "MEMORIES_REDIS_URL" else SECRET
    file.write_text(f"  {value}\n")
    settings = Settings.from_environment({f"{variable}_FILE": str(file)})

    assert getattr(settings, SECRETS[variable]) == value


@pytest.mark.parametrize("variable", SECRETS)
def test_a_value_and_a_file_at_once_are_refused(variable: str, file: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"{variable} and {variable}_FILE are both set"):
        Settings.from_environment({variable: SECRET, f"{variable}_FILE": str(file)})


@pytest.mark.parametrize("unset", ["", "  ", "${user_config.api_key_file}"])
def test_a_variable_that_counts_as_unset_does_not_compete(unset: str, file: Path) -> None:
    both = [
        Settings.from_environment({"MEMORIES_API_KEY": SECRET, "MEMORIES_API_KEY_FILE": unset}),
        Settings.from_environment({"MEMORIES_API_KEY": unset, "MEMORIES_API_KEY_FILE": str(file)}),
    ]

    assert [settings.api_key for settings in both] == [SECRET, SECRET]


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "No such file"), (b"", "is empty"), (b" \n", "is empty"), (b"\xff\xfe", "not text in UTF-8"),
     (b"short", "at least 16")],
)  # fmt: skip
def test_a_file_without_a_usable_value_is_an_error_that_shows_no_secret(
    content: bytes | None, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / SECRET  # a secret that was put where the path belongs
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"MEMORIES_HTTP_TOKEN.*{problem}") as caught:
        Settings.from_environment({"MEMORIES_HTTP_TOKEN_FILE": str(file)})

    assert SECRET not in str(caught.value)


def test_a_folder_is_no_file_and_other_settings_take_none(tmp_path: Path) -> None:
    problems: list[MemoriesError] = []
    settings = Settings.from_environment(
        {"MEMORIES_SECRET_FILE": str(tmp_path), "MEMORIES_UNIQUE_ID_FILE": "/nowhere"}, problems=problems
    )

    assert settings == Settings()
    assert len(problems) == 1
    assert "MEMORIES_SECRET_FILE: the file cannot be read" in str(problems[0])
