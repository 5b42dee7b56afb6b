"""The fixtures for the tests of applications, used as an application uses them: by their names."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from memories_mcp.sandbox.testing import (
    SandboxAccount,
    memories_account,
    memories_environment,
    memories_sandbox,
    memories_toolkit,
)

pytest_plugins = ["pytester"]

__all__ = ["memories_account", "memories_environment", "memories_sandbox", "memories_toolkit"]

APPLICATION_TESTS = """
    import os

    def test_a_video_that_one_test_deletes(memories_toolkit):
        delete = memories_toolkit.get_tool("delete_videos")
        pending = delete.invoke({"name": "delete_videos", "args": {"video_nos": ["VI611702946038315594"]},
                                 "id": "1", "type": "tool_call"}).artifact["structured_content"]
        token = pending["confirmation"]["confirmation_token"]
        delete.invoke({"video_nos": ["VI611702946038315594"], "confirmation_token": token})
        assert "VI611702946038315594" not in memories_toolkit.get_tool("list_videos").invoke({})

    def test_is_there_in_the_next(memories_toolkit):
        assert "VI611702946038315594" in memories_toolkit.get_tool("list_videos").invoke({})

    def test_the_environment_names_the_account_and_nothing_else(memories_environment):
        ours = {name: value for name, value in os.environ.items() if name.startswith("MEMORIES_")}
        assert ours == memories_environment.environment

    def test_faults_reach_this_account_only(memories_toolkit, memories_environment):
        memories_environment.add_fault("html", path="list_videos")
        listing = memories_toolkit.get_tool("list_videos")
        assert "HTML" in listing.invoke({})
        assert "bike_chain_repair" in listing.invoke({})
"""


def test_an_application_tests_itself_with_a_fresh_account_each_time(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORIES_TOOLSETS", "chat")
    pytester.makepyfile(APPLICATION_TESTS)  # pyright: ignore[reportUnknownMemberType] -- pytest leaves it untyped
    plugins = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", "-p", "no:asyncio"]
    plugins += ["-p", "no:langsmith_plugin", "--assert=plain"]  # else it spends two seconds on libraries
    if not entry_points(group="pytest11", name="memories"):
        plugins += ["-p", "memories_mcp.sandbox.testing"]
    outcome = pytester.runpytest_subprocess(*plugins, "--allow-hosts=127.0.0.1")

    outcome.assert_outcomes(passed=4)


def test_a_key_is_no_part_of_the_url(memories_account: SandboxAccount) -> None:
    assert memories_account.api_key not in memories_account.base_url


def test_the_plugin_loads_nothing_that_a_test_does_not_request() -> None:
    from test_layers import modules_loaded_by

    loaded = modules_loaded_by("import memories_mcp.sandbox.testing")

    assert not {"uvicorn", "starlette", "sqlite3", "pydantic", "langchain_core", "httpx2", "mcp"} & loaded
