"""Print the lowest version of each dependency that `pyproject.toml` allows, as constraints for pip."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

PROJECT: dict[str, Any] = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]


def main() -> None:
    """Print one line per dependency; each must have a lower and an upper bound."""
    extras = PROJECT["optional-dependencies"]
    for requirement in [*PROJECT["dependencies"], *extras["langchain"], *extras["team"]]:
        match = re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+),<\d+", requirement)
        if match is None:
            raise SystemExit(f"{requirement}: unsupported form. Write name>=LOWEST,<MAJOR.")
        sys.stdout.write(f"{match[1]}=={match[2]}\n")


if __name__ == "__main__":
    main()
