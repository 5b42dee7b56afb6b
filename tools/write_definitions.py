"""Writes each tool's definition from its code, as the server serves it; `--check` only compares.

Titles and annotations come from the decorator, descriptions from docstrings, schemas from the models. Docstrings below
fields are read from the source here, so that no start of the product has to.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from memories_mcp.json_schema import DEFINITIONS, json_schema
from memories_mcp.models.base import Input, Row
from memories_mcp.operation import Operation
from memories_mcp.operations import OPERATIONS
from memories_mcp.operations.viewer import viewer


@cache
def _field_docstrings(path: str) -> dict[str, dict[str, str]]:
    """The docstrings below the fields of every class of a file: class name to field name to text."""
    classes: dict[str, dict[str, str]] = {}
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ClassDef):
            continue
        fields = classes.setdefault(node.name, {})
        for statement, following in zip(node.body, node.body[1:], strict=False):
            match statement, following:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    fields[name] = inspect.cleandoc(text)
                case _:
                    pass
    return classes


def _describe_fields(model: type[BaseModel]) -> None:
    """Give the fields of a model and of its subclasses their docstrings, before pydantic builds any of them."""
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            path = inspect.getsourcefile(base)
            assert path
            for name, text in _field_docstrings(path)[base.__name__].items():
                model.model_fields[name].description = text
    for subclass in model.__subclasses__():
        _describe_fields(subclass)


def make_definition(operation: Operation[Any, Any]) -> dict[str, Any]:
    """What models see of an operation, in the shape of MCP's `Tool`."""
    for root in (Input, Row):
        _describe_fields(root)
    return {
        "name": operation.name,
        "title": operation.title,
        "description": inspect.cleandoc(operation.function.__doc__ or ""),
        "annotations": operation.hints,
        "inputSchema": json_schema(operation.input, "validation"),
        "outputSchema": json_schema(operation.output, "serialization"),
    }


def main(folder: Path = DEFINITIONS) -> int:
    """Write the definitions, or with `--check` name those that are not current."""
    wanted = {
        operation.name: json.dumps(make_definition(operation), indent=1, ensure_ascii=False) + "\n"
        for operation in (*OPERATIONS, *viewer.operations)
    }
    written = {path.stem: path.read_text(encoding="utf-8") for path in folder.glob("*.json")}
    stale = sorted(name for name in wanted.keys() | written.keys() if wanted.get(name) != written.get(name))
    if "--check" in sys.argv:
        if stale:
            sys.stdout.write(f"not current, run make definitions: {', '.join(stale)}\n")
        return bool(stale)
    for name in stale:
        path = folder / f"{name}.json"
        if name in wanted:
            path.write_text(wanted[name], encoding="utf-8")
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
