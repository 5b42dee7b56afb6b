"""`make bench`: speed, size and memory of the server against reference servers.

    python -m benchmarks.run [NAME ...]

Prints each result. Only a complete run writes `benchmarks/results.md` and `benchmarks/figures.json`, which keeps the
figures for the next one. Fails if a limit is missed.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version

from benchmarks.langchain_calls import LANGCHAIN
from benchmarks.memory import MEMORY
from benchmarks.processes import HERE, compile_package
from benchmarks.rows import Measurement, Result, Unavailable
from benchmarks.sizes import SIZES
from benchmarks.start import START
from benchmarks.stdio import STDIO
from benchmarks.throughput import HTTP, HTTP_SESSIONS
from benchmarks.tokens import TOKENS

MEASUREMENTS = (START, STDIO, HTTP, HTTP_SESSIONS, LANGCHAIN, SIZES, TOKENS, MEMORY)
FIGURES = HERE / "figures.json"
METHOD = """\
Figures without a unit are ratios of ours to the reference, medians over pairs of runs that alternate, with the smallest
and the largest ratio of a pair: absolute times vary with the machine. In the measurements of calls, a fixed answer
stands for the API. The typed references, on `MCPServer` at log level WARNING and on FastMCP, send the same request and
return the same fields; the bare server forwards the API's JSON unread."""


def report(results: Mapping[Measurement, list[Result]], previous: Mapping[str, float], machine: str) -> str:
    """Return the results as Markdown.

    Args:
        results: The results by measurement.
        previous: The figures of the run before, by the keys of the rows.
        machine: The machine and the versions.
    """
    lines = ["# Benchmark results", "", f"Written by `make bench`: {machine}.", "", METHOD]
    for measurement, rows in results.items():
        lines += ["", f"## {measurement.title}", "", measurement.method, ""]
        lines += ["| | Result | Limit | Previous | Why this limit |", "| --- | --- | --- | --- | --- |"]
        for row, figure, details in rows:
            mark = "" if row.allows(figure) else f" **missed** {row.missed}".rstrip()
            value = f"**{row.format(figure)}**{mark}<br>{details}" if details else f"**{row.format(figure)}**{mark}"
            before = row.format(previous[row.key]) if row.key in previous else ""
            lines.append(f"| {row.title} | {value} | {row.limit} | {before} | {row.reason} |")
    return "\n".join(lines) + "\n"


def describe_machine() -> str:
    """Return the machine and the versions of what is compared."""
    machine = f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} processors"
    return f"{machine}, {', '.join(f'{name} {version(name)}' for name in ('mcp', 'fastmcp', 'langchain-core'))}"


def main(names: list[str]) -> int:
    """Run the named measurements or all of them and return the exit status."""
    by_name = {measurement.name: measurement for measurement in MEASUREMENTS}
    if unknown := set(names) - set(by_name):
        print(f"No measurement is named {', '.join(sorted(unknown))}. There are: {', '.join(by_name)}.")
        return 2
    for variable in [name for name in os.environ if name.startswith("MEMORIES_")]:
        del os.environ[variable]  # the settings of the user
    os.environ["MEMORIES_RATE_LIMITS"] = "off"
    compile_package()
    results: dict[Measurement, list[Result]] = {}
    complete = not names
    for measurement in [by_name[name] for name in names] or MEASUREMENTS:
        print(measurement.title)
        rows = results.setdefault(measurement, [])
        try:
            for result in measurement.measure():
                rows.append(result)
                mark = "ok    " if result.row.allows(result.figure) else "missed"
                limit = f" (limit {result.row.limit})" if result.row.limit else ""
                line = f"{result.row.title}: {result.row.format(result.figure)}{limit}; {result.details}"
                print(f"  {mark} {line}", flush=True)
        except Unavailable as reason:
            print(f"  not measured: {reason}")
            complete = False
    if complete:
        previous: dict[str, float] = json.loads(FIGURES.read_text()) if FIGURES.is_file() else {}
        (HERE / "results.md").write_text(report(results, previous, describe_machine()), encoding="utf-8")
        figures = {row.key: round(figure, 3) for rows in results.values() for row, figure, _ in rows}
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    passed = all(row.allows(figure) for rows in results.values() for row, figure, _ in rows)
    return 0 if passed and all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
