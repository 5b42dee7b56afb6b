"""Memory that a large upload and download add, measured in a separate process because a peak never falls.

    python benchmarks/transfer.py API_URL FOLDER MIB

Prints the added KiB, the bytes that progress reported, the added KiB with 64 MiB of ballast, and the size of the
ballast; the last two show that the measurement registers memory.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from memories_mcp.context import Progress
from memories_mcp.runner import Runner
from memories_mcp.settings import Settings

MIB = 1024**2


def peak() -> int:
    """Return the peak memory of this process, in KiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux, ru_maxrss starts at the peak of the parent process
        return int(status.read_text().split("VmHWM:")[1].split()[0])
    import resource  # macOS

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def sparse(path: Path, size: int) -> None:
    """Write a sparse file that the file checks accept as a video."""
    with path.open("wb") as file:
        file.write(b"\0\0\0\x20ftypisom")
        file.truncate(size)


async def main(url: str, folder: Path, mib: int) -> None:
    """Upload and download a small file, then a large one, and print the figures."""
    reported = [0.0]
    runner = Runner(Settings(api_key="sk-scale", base_url=url, sandbox=True, files_root=folder))

    async def follow(progress: Progress) -> None:
        reported.append(progress.done)

    async def round_trip(name: str) -> None:
        async def run(tool: str, **arguments: Any) -> Any:
            return (await runner.run(runner.operations[tool], arguments, on_progress=follow)).output

        video = await run("upload_video_file", path=f"{name}.mp4")
        await run("download_video", video_no=video.video_no, path=f"{name}-back.mp4")

    sparse(folder / "small.mp4", MIB)
    sparse(folder / "large.mp4", mib * MIB)
    await round_trip("small")
    baseline = peak()
    await round_trip("large")
    added = peak() - baseline
    await runner.aclose()
    ballast = bytearray(os.urandom(64 * MIB))
    print(added, int(max(reported)), peak() - baseline, len(ballast))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
