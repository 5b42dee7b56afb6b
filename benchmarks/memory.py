"""Memory of large transfers."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from statistics import median

from benchmarks.processes import HERE, ROOT, sandbox, with_api
from benchmarks.rows import Measurement, Result, Row

RUNS = 3
FILE_MIB = 1024
ROW = Row(
    "memory.transfer",
    f"{FILE_MIB} MiB uploaded and downloaded",
    "Files are streamed; the buffers of the connection and of the file need a few MiB.",
    most=32,
    unit="MiB",
)


def _added_mib() -> float:
    with sandbox() as url, tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(HERE / "transfer.py"), url, folder, str(FILE_MIB)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=600, cwd=ROOT, env=with_api(url)
        )
    return int(done.stdout.split()[0]) / 1024


def _measure() -> Iterator[Result]:
    added = sorted(_added_mib() for _ in range(RUNS))
    yield Result(ROW, median(added), f"{added[0]:.1f} to {added[-1]:.1f} in {RUNS} runs")


MEMORY = Measurement(
    "memory", "Memory of large transfers", "Resident memory that the client's process adds at its peak.", _measure
)
