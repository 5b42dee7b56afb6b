"""Prints the lowest version that `pyproject.toml` allows of each dependency, as constraints for pip."""

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
    """One line a dependency; every one must have bounds on both sides."""
    for each in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["langchain"]]:
        found = re.fullmatch(r"([\w-]+)>=([\d.]+),<\d+", each)
        if found is None:
            raise SystemExit(f"{each}: write name>=LOWEST,<MAJOR")
        sys.stdout.write(f"{found[1]}=={found[2]}\n")


if __name__ == "__main__":
    main()
