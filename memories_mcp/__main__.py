"""The entry point of `python -m memories_mcp`, the same as `memories-mcp`."""

import sys

from memories_mcp.cli.main import main

sys.exit(main())
