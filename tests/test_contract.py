"""Each operation x each rule: what every tool must be, whatever it does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
from conftest import SAMPLES
from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_tools import MemoriesToolkit
from memories_mcp.errors import InvalidArguments
from memories_mcp.models.base import JsonOutput
from memories_mcp.operation import Effect, Operation
from memories_mcp.operations import OPERATIONS, TOOLSETS
from memories_mcp.runner import Runner
from memories_mcp.server.app import make_server
from memories_mcp.settings import Settings

AnyOperation = Operation[Any, Any]
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)


def nodes(schema: object) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        node = cast(dict[str, Any], schema)
        yield node
        for name, value in node.items():
            for each in value.values() if name in ("properties", "$defs") else [value]:
                yield from nodes(each)
    elif isinstance(schema, list):
        for each in cast(list[Any], schema):
            yield from nodes(each)


def test_names_are_unique_and_every_toolset_has_operations() -> None:
    names = [operation.name for operation in OPERATIONS]

    assert len(set(names)) == len(names)
    assert all(toolset.operations for toolset in TOOLSETS)


@each_operation
def test_its_name_fits_every_client(operation: AnyOperation) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{2,39}", operation.name)


@each_operation
def test_it_says_what_it_does_in_words_a_model_can_choose_by(operation: AnyOperation) -> None:
    assert operation.definition["title"]
    assert 40 <= len(operation.description) <= 600
    assert operation.description.split("\n")[0].endswith((".", ","))


@each_operation
def test_every_argument_is_described(operation: AnyOperation) -> None:
    undescribed = [name for name, each in operation.input_schema["properties"].items() if not each.get("description")]

    assert undescribed == []


@each_operation
def test_its_input_schema_is_closed_and_portable(operation: AnyOperation) -> None:
    schema = operation.input_schema

    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    for node in nodes(schema):
        assert not {"title", "anyOf", "oneOf", "allOf", "not", "$ref", "$defs", "pattern"} & node.keys(), node
        assert not isinstance(node.get("type"), list), node
        assert node.get("default", ...) is not None, node


@each_operation
def test_its_output_schema_is_an_object_that_declares_its_fields(operation: AnyOperation) -> None:
    schema = operation.output_schema

    assert schema["type"] == "object"
    assert set(schema["properties"]) > {"note"}
    for node in nodes(schema):
        assert "title" not in node
        assert "anyOf" not in node


@each_operation
def test_its_example_is_a_valid_call_with_all_that_is_required(operation: AnyOperation) -> None:
    jsonschema.validate(operation.example, operation.input_schema)

    operation.validate(operation.example, {})


@each_operation
def test_only_reads_are_offered_read_only(operation: AnyOperation) -> None:
    offered = Runner(Settings(toolsets=("all",), read_only=True)).operations

    assert (operation.name in offered) == (operation.effect is Effect.READ)


@each_operation
def test_no_endpoint_of_a_write_is_ever_repeated(operation: AnyOperation) -> None:
    if operation.effect is Effect.READ:
        assert operation.endpoints or operation.uses_files
    else:
        assert any(not endpoint.repeatable for endpoint in operation.endpoints)


@each_operation
def test_an_unknown_argument_is_refused_by_name(operation: AnyOperation) -> None:
    with pytest.raises(InvalidArguments, match="nonsense: unknown argument"):
        operation.validate({**operation.example, "nonsense": 1}, {})


@each_operation
def test_a_null_for_what_may_be_left_out_is_left_out(operation: AnyOperation) -> None:
    optional = {name for name, each in operation.input.model_fields.items() if not each.is_required()}
    for nothing in (None, "null"):
        nulls = dict.fromkeys(optional - operation.example.keys(), nothing)

        assert operation.validate({**operation.example, **nulls}, {}) == operation.validate(operation.example, {})


@each_operation
def test_a_list_may_come_as_json_text_or_as_one_value(operation: AnyOperation) -> None:
    for name, value in operation.example.items():
        if isinstance(value, list):
            as_text = {**operation.example, name: json.dumps(value)}
            first = cast(list[Any], value)[0]

            assert operation.validate(as_text, {}) == operation.validate(operation.example, {})
            assert operation.validate({**operation.example, name: first}, {}) == operation.validate(
                {**operation.example, name: [first]}, {}
            )


@each_operation
def test_a_pinned_namespace_leaves_the_schema_and_is_refused_as_an_argument(operation: AnyOperation) -> None:
    pinned = {"unique_id": "team"}
    if "unique_id" not in operation.input.model_fields:
        assert operation.definition_without(pinned) is operation.definition
        return

    assert "unique_id" not in operation.definition_without(pinned)["inputSchema"]["properties"]
    assert operation.validate(operation.example, pinned).unique_id == "team"
    with pytest.raises(InvalidArguments, match="unique_id: unknown argument"):
        operation.validate({**operation.example, "unique_id": "other"}, pinned)


@each_operation
def test_mcp_and_langchain_show_one_schema(operation: AnyOperation, tmp_path: Path) -> None:
    kit = MemoriesToolkit(toolsets=["all"], api_key=None, files_root=tmp_path)
    tool = next(each for each in kit.get_tools() if each.name == operation.name)
    shown = convert_to_openai_tool(tool)["function"]

    assert shown["name"] == operation.name
    assert shown["description"] == operation.description
    assert shown["parameters"] == operation.input_schema


@pytest.mark.anyio
@each_operation
async def test_without_a_key_it_names_the_variable(operation: AnyOperation, files_root: Path) -> None:
    from mcp import Client

    settings = Settings(toolsets=("all",), files_root=files_root, confirm=False, callback_url="https://c.example")
    async with Client(make_server(settings)) as client:
        result = await client.call_tool(operation.name, operation.example)

    if not operation.endpoints:
        assert not result.is_error
        return
    assert result.is_error
    variable = "MEMORIES_CAPTION_API_KEY" if operation.toolset == "captions" else "MEMORIES_API_KEY"
    assert variable in str(result.content)
    assert "--sandbox" in str(result.content)
    assert {each.name for each in files_root.iterdir()} == set(SAMPLES)


@pytest.mark.anyio
@each_operation
async def test_its_example_works_on_the_sandbox_and_fits_its_schema(
    operation: AnyOperation, settings: Settings, files_root: Path
) -> None:
    runner = Runner(settings.change(files_root=files_root, confirm=False))
    try:
        answer = await runner.run(operation, operation.example)
    finally:
        await runner.aclose()

    jsonschema.validate(answer.structured, operation.output_schema)
    json.dumps(answer.structured)


def leaves(value: object, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, each in cast(dict[str, Any], value).items():
            yield from leaves(each, key)
    elif isinstance(value, list):
        for each in cast(list[Any], value):
            yield from leaves(each, name)
    else:
        yield name, value


# Derived from what the text shows: a ref, or the fields that name a moment. Files of the service are for programs.
_DERIVED = {"uri", "kind", "ref", "bucket", "blob"}


def _as_text(name: str, value: Any) -> set[str]:
    from memories_mcp.rendering.text import format_clock, format_size

    if name.endswith("_seconds"):
        return {format_clock(value)}
    if isinstance(value, bool):
        return {"yes" if value else "no"}
    if name == "size_bytes":
        return {format_size(value), str(value)}
    if name in {"created_at", "modified_at"}:
        return {value, value[:16].replace("T", " ")}
    if name in {"status", "raw_status"}:  # the head of a list says what stands for what
        return {value, "ready unless noted (ready is PARSE, processing UNPARSE, failed FAIL)"}
    if name == "score":
        return {f"{value:.2f}"}
    return {" ".join(str(value).split()), str(value)}


@pytest.mark.anyio
@each_operation
async def test_its_text_carries_the_facts_of_its_structured_content(
    operation: AnyOperation, settings: Settings, files_root: Path
) -> None:
    runner = Runner(settings.change(files_root=files_root))
    try:
        answer = await runner.run(operation, operation.example)
    finally:
        await runner.aclose()
    text = answer.text
    if isinstance(answer.output, JsonOutput):
        text = " ".join(str(value) for _, value in leaves(json.loads(text)))
    flat = " ".join(text.split())

    absent = [
        (name, value)
        for name, value in leaves(answer.structured)
        if name not in _DERIVED and not any(" ".join(form.split()) in flat for form in _as_text(name, value))
    ]
    assert absent == []


def test_dates_are_iso_8601_in_utc() -> None:
    from memories_mcp.models.media import Video

    video = Video.model_validate({"video_no": "VI1", "create_time": "1755245460412", "status": "PARSE"})

    assert video.created_at == datetime(2025, 8, 15, 8, 11, tzinfo=UTC)
    assert '"2025-08-15T08:11:00Z"' in video.model_dump_json()
