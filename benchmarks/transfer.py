"""How much memory a large upload and download take over rest, in a process of its own: a peak only ever grows.

    python benchmarks/transfer.py API_URL FOLDER MIB

Prints KiB over rest, the bytes that progress told of, and KiB over rest with 64 MiB of ballast, which tries the
measure.
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
    """The most that this process ever held, in KiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss would begin with the peak of the process that started this one
        return int(status.read_text().split("VmHWM:")[1].split()[0])
    import resource  # macOS

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def sparse(path: Path, size: int) -> None:
    """A file that passes for a video."""
    with path.open("wb") as file:
        file.write(b"\0\0\0\x20ftypisom")
        file.truncate(size)


async def main(url: str, folder: Path, mib: int) -> None:
    """Send and fetch a small file, then a large one."""
    told = [0.0]
    runner = Runner(Settings(api_key="sk-scale", base_url=url, sandbox=True, files_root=folder))

    async def follow(progress: Progress) -> None:
        told.append(progress.done)

    async def there_and_back(name: str) -> None:
        async def run(tool: str, **arguments: Any) -> Any:
            return (await runner.run(runner.operations[tool], arguments, follow=follow)).output

        sent = await run("upload_video_file", path=f"{name}.mp4")
        await run("download_video", video_no=sent.video_no, path=f"{name}-back.mp4")

    sparse(folder / "small.mp4", MIB)
    sparse(folder / "large.mp4", mib * MIB)
    await there_and_back("small")
    rest = peak()
    await there_and_back("large")
    grown = peak() - rest
    await runner.aclose()
    ballast = bytearray(os.urandom(64 * MIB))
    print(grown, int(max(told)), peak() - rest, len(ballast))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
