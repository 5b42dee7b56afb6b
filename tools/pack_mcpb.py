"""`make mcpb`: validate the manifest and pack the bundle for Claude Desktop, with Anthropic's packer."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from interop.run import MODULES, NODE, install
from tools import distribution

CONTENT = ("pyproject.toml", "README.md", "LICENSE", "memories_mcp", "langchain_tools")
PACKER = MODULES / "@anthropic-ai/mcpb/dist/cli/cli.js"


def main() -> None:
    """Copy the content of the bundle, validate its manifest and pack it."""
    install()  # the packer comes from the npm registry
    target = distribution.ROOT / "dist" / f"memories-mcp-{distribution.PROJECT['version']}.mcpb"
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in CONTENT:
            source = distribution.ROOT / name
            if source.is_dir():
                shutil.copytree(source, Path(folder) / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder)
        manifest = Path(folder) / "manifest.json"
        manifest.write_text(distribution.content("mcpb/manifest.json"), encoding="utf-8")
        for command in (["validate", str(manifest)], ["pack", folder, str(target)]):
            done = subprocess.run([str(NODE), str(PACKER), *command], capture_output=True, text=True, timeout=120)
            if done.returncode:
                raise SystemExit(done.stdout + done.stderr)
    sys.stdout.write(f"{target.relative_to(distribution.ROOT)}, {target.stat().st_size / 1024:.0f} KiB\n")


if __name__ == "__main__":
    main()
