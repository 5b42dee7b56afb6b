"""Draw the terminal of `memories-mcp demo` as docs/images/demo.svg.

    python -m tools.draw_demo

The ids and the fence of the demo are new in each run, so that the picture is drawn by hand, not by `make docs`.
"""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from memories_mcp.cli.demo import demo

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "demo.svg"
WIDTH = 110


def main() -> None:
    """Run the demo and write the picture."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False, color_system="truecolor")
    asyncio.run(demo(console, "memories-mcp"))
    PICTURE.parent.mkdir(exist_ok=True)
    svg = console.export_svg(title="memories-mcp demo", theme=MONOKAI, unique_id="demo")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # they would load fonts from the network
    PICTURE.write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
