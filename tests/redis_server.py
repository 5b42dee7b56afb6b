"""A Redis server of one test module, from the binary of the system."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

BINARY = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(BINARY is None, reason="redis-server is not installed (apt-get install redis-server)")


class RedisProcess:
    """A Redis server on a loopback port of its own, which can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._folder = folder
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> Any:
        """A client, as `Any`: the package leaves the types of options and answers open."""
        return Redis.from_url(self.url, decode_responses=True)  # pyright: ignore[reportUnknownMemberType]

    def start(self) -> None:
        assert BINARY
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        self.process = subprocess.Popen(
            [BINARY, "--port", str(self.port), *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert self.process.stdout
        for line in self.process.stdout:
            if b"Ready to accept connections" in line:
                return
        raise AssertionError("redis-server did not start")

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def run_redis(folder: Path) -> Generator[RedisProcess]:
    server = RedisProcess(folder)
    try:
        yield server
    finally:
        server.stop()
