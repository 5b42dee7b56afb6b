"""`memories-mcp install` on files with comments and trailing commas: only the server's entry changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from memories_mcp.cli import jsonc
from memories_mcp.cli.doctor import check
from memories_mcp.cli.install import Plan, apply_plan, make_plan
from memories_mcp.cli.mcp_clients import CLIENT_APPS
from memories_mcp.errors import ConfigurationError
from memories_mcp.settings import Settings

VS_CODE = """\
// My servers
{
\t/* the team's, "quoted" */
\t"servers": {
\t\t"other": { "command": "x", "args": ["//no", "/* comment */", "a,}"], }, // keep, this
\t\t// "old": { "command": "y" },
\t},
\t"inputs": [
\t\t{ "id": "mine", "type": "promptString" } // and this
\t], // the end
}
// bye
"""


def plan_for(client: str, home: Path, *args: str) -> Plan:
    return make_plan(CLIENT_APPS[client], args, "sk-very-secret-key", home=home, environ={})


def install(client: str, home: Path, text: str, *args: str) -> str:
    plan = plan_for(client, home, *args)
    plan.path.parent.mkdir(parents=True, exist_ok=True)
    plan.path.write_bytes(text.encode())
    apply_plan(plan)
    return plan.path.read_bytes().decode()


def assert_added(before: str, after: str) -> None:
    """Every character of the text before is still there, in the same order."""
    position = 0
    for character in before:
        position = after.index(character, position) + 1


def test_comments_order_and_layout_stay(tmp_path: Path) -> None:
    after = install("vscode", tmp_path, VS_CODE)
    lines = after.splitlines()

    assert [line for line in VS_CODE.splitlines() if line not in lines] == [
        '\t\t{ "id": "mine", "type": "promptString" } // and this'
    ]
    assert '\t\t{ "id": "mine", "type": "promptString" }, // and this' in lines
    assert '\t\t"memories": {' in lines
    assert_added(VS_CODE, after)
    config = jsonc.loads(after)
    assert config["servers"]["other"]["args"] == ["//no", "/* comment */", "a,}"]
    assert config["servers"]["memories"]["type"] == "stdio"
    assert [prompt["id"] for prompt in config["inputs"]] == ["mine", "memories-api-key"]


@pytest.mark.parametrize("client", ["vscode", "cursor", "claude"])
@pytest.mark.parametrize(
    "before",
    [
        "",
        "\n",
        "// nothing yet",
        "/* nothing\nyet */\n",
        "{}",
        "{ // empty\n}",
        "{/**/}",
        '{"a": 1}',
        '{"a": "}" /* , */ }',
        '{\n    "SECTION": {},\n}\n',
        '{\n  "SECTION": {\n    // none\n  }\n}\n',
        '{\n  "SECTION": null, // none\n  "inputs": null\n}\n',
        '{"SECTION": {"b": {"command": "b"}}, "inputs": []}',
        '{\n  "SECTION": {"b": {"command": "b"} /* last */, },\n}',
        '{\n  "SECTION": {"b": {"command": "\\"//"}} // "SECTION": {}\n}',
    ],
)
def test_the_entry_is_added_to_any_text_and_nothing_else_changes(tmp_path: Path, client: str, before: str) -> None:
    before = before.replace("SECTION", CLIENT_APPS[client].section)
    after = install(client, tmp_path, before)
    section = CLIENT_APPS[client].section
    old, new = jsonc.loads(before), jsonc.loads(after)

    assert new[section].pop("memories")["command"]
    assert new[section] == (old.get(section) or {})
    assert {key: new[key] for key in old.keys() - {section, "inputs"}} == {
        key: old[key] for key in old.keys() - {section, "inputs"}
    }
    if "null" not in before:
        assert_added(before, after)
    assert "already" in apply_plan(plan_for(client, tmp_path))


def test_line_ends_are_kept(tmp_path: Path) -> None:
    after = install("vscode", tmp_path, VS_CODE.replace("\n", "\r\n"))
    assert after.count("\n") == after.count("\r\n") > VS_CODE.count("\n")

    toml = install("codex", tmp_path, '# mine\r\nmodel = "x"\r\n')
    assert toml.startswith('# mine\r\nmodel = "x"\r\n\r\n[mcp_servers.memories]\r\n')
    assert toml.count("\n") == toml.count("\r\n")


def test_a_byte_order_mark_is_dropped_and_the_rest_stays(tmp_path: Path) -> None:
    after = install("vscode", tmp_path, "\ufeff" + VS_CODE)

    assert_added(VS_CODE, after)
    assert not after.startswith("\ufeff")


def test_comments_in_the_entry_itself_stay_when_it_is_updated(tmp_path: Path) -> None:
    before = """\
{
    "mcpServers": {
        "memories": {
            // pinned for the team
            "command": "/old", /* the program */
            "env": {
                "MEMORIES_UNIQUE_ID": "team", // ours
            },
            "disabled": true,
        },
    },
}
"""
    after = install("cursor", tmp_path, before, "--read-only")

    for comment in ("// pinned for the team", "/* the program */", "// ours"):
        assert comment in after
    entry = jsonc.loads(after)["mcpServers"]["memories"]
    assert entry["command"] != "/old"
    assert entry["disabled"] is True
    assert entry["args"][-1] == "--read-only"
    assert entry["env"] == {"MEMORIES_UNIQUE_ID": "team", "MEMORIES_API_KEY": "${env:MEMORIES_API_KEY}"}


def test_of_two_entries_with_the_same_key_the_effective_one_is_changed(tmp_path: Path) -> None:
    after = install("cursor", tmp_path, '{"mcpServers": {"a": 1}, "mcpServers": {"b": {}}}')

    assert jsonc.loads(after)["mcpServers"].keys() == {"b", "memories"}


@pytest.mark.parametrize(
    "broken", ["{ // open", '{"a": 1 /* open }', '{"a": 1,, }', "// c\n[1,]", '{"a" 1}', '{"a": "open}', "{} {}"]
)
def test_a_file_that_even_an_editor_cannot_read_is_unchanged(tmp_path: Path, broken: str) -> None:
    with pytest.raises(ConfigurationError, match="The file is unchanged"):
        install("vscode", tmp_path, broken)

    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert path.read_bytes() == broken.encode()


@pytest.mark.anyio
@pytest.mark.parametrize("client", ["vscode", "cursor", "claude"])
async def test_doctor_reads_files_with_comments(tmp_path: Path, client: str) -> None:
    install(client, tmp_path, "// mine\n{ /* all */ }\n")
    findings = [finding async for finding in check(Settings(sandbox=True), tmp_path, {})]
    [finding] = [finding for finding in findings if finding.message.startswith(f"{CLIENT_APPS[client].title}:")]

    assert "starts" in finding.message
