"""`python -m memories_mcp` is `memories-mcp`."""

import sys

from memories_mcp.cli.main import main

sys.exit(main())
