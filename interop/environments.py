"""Python environments for packages that cannot share one: made once for each list of requirements."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent.parent / ".interop"
UV = [sys.executable, "-m", "uv"]


def environment_python(name: str, requirements: Sequence[str]) -> Path:
    """Return the interpreter of an environment with these requirements; make the environment if there is none.

    Args:
        name: The environment's folder below `.interop`.
        requirements: As `pip install` takes them; a changed list makes the environment again.
    """
    folder = FOLDER / f"python-{name}"
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    stamp = folder / "installed.txt"
    wanted = "\n".join([sys.version, *requirements])
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        subprocess.run([*UV, "venv", "-q", "--clear", "--python", sys.executable, str(folder)], check=True, timeout=120)
        command = [*UV, "pip", "install", "-q", "--python", str(python), *requirements]
        subprocess.run(command, check=True, timeout=600, cwd=FOLDER.parent)
        stamp.write_text(wanted, encoding="utf-8")
    return python
