"""A Chromium for the checks of the viewer: the system's, or one that is installed for them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
PACKAGE = "@sparticuz/chromium@153.0.0"
_PATH_OF_PACKAGE = "import('@sparticuz/chromium').then(async (m) => console.log(await m.default.executablePath()))"


def browser(folder: Path, node: Path) -> str:
    """Return the path of Chromium: that of CHROMIUM, the system's, Debian's package, or that of an npm package.

    Args:
        folder: The folder of `node_modules`.
        node: The interpreter.
    """
    if named := os.environ.get("CHROMIUM"):
        return named
    if path := _installed() or _from_apt() or _from_npm(folder, node):
        return path
    sys.exit("The viewer cannot be checked: there is no Chromium. Install it, or set CHROMIUM to the path of one.")


def _installed() -> str | None:
    return next((path for path in map(shutil.which, NAMES) if path), None)


def _from_apt() -> str | None:
    if sys.platform == "win32" or os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    for command in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
        if _failed(["apt-get", "-qq", *command]):
            return None
    return _installed()


def _from_npm(folder: Path, node: Path) -> str | None:
    install = [
        "npm",
        "install",
        "--no-save",
        "--no-package-lock",
        "--no-fund",
        "--no-audit",
        "--loglevel=error",
        PACKAGE,
    ]
    if _failed(install, folder):
        return None
    command = [str(node), "-e", _PATH_OF_PACKAGE]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    path = process.stdout.strip()
    return path if Path(path).is_file() else None


def _failed(command: list[str], folder: Path | None = None) -> bool:
    try:
        return bool(subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, timeout=600).returncode)
    except (OSError, subprocess.TimeoutExpired):
        return True
