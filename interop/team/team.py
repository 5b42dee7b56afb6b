"""`make team`: three replicas behind nginx, with the files of `deploy/`, on loopback. One line for each check."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from interop.environments import environment_python
from interop.team.checks import (
    calls_reach_every_replica,
    changes_are_heard_elsewhere,
    confirmations_count_elsewhere,
    forms_are_answered,
    nothing_was_sent_twice,
    progress_arrives,
    typescript_clients_work,
)
from interop.team.common import Team, report
from interop.team.disruptions import (
    a_killed_replica_is_replaced_at_once,
    a_refusal_of_a_stopping_replica_is_passed_on,
    a_rolling_restart_loses_no_call,
    a_stopping_replica_finishes_its_chats,
)
from interop.team.packages import ensure_redis_server
from interop.team.parts import NAMES, Nginx, Replica, find_nginx, run_api, run_redis

HERE = Path(__file__).parent
SECONDS = 200
"""The time after which the run fails."""

CHECKS: list[Callable[[Team], Awaitable[str]]] = [
    calls_reach_every_replica,
    progress_arrives,
    forms_are_answered,
    confirmations_count_elsewhere,
    changes_are_heard_elsewhere,
    a_stopping_replica_finishes_its_chats,
    a_refusal_of_a_stopping_replica_is_passed_on,
    a_rolling_restart_loses_no_call,
    a_killed_replica_is_replaced_at_once,
    typescript_clients_work,
    nothing_was_sent_twice,
]


def lint_manifests() -> bool:
    """Check the chart and compose.yaml, and return whether they are right."""
    python = environment_python("manifests", (HERE / "manifests.txt").read_text(encoding="utf-8").split())
    done = subprocess.run([str(python), str(HERE / "manifests.py")], capture_output=True, text=True, timeout=120)
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    report(not done.returncode, "chart by Helm and the schemas of Kubernetes, compose.yaml", "; ".join(lines[-5:]))
    return not done.returncode


async def run() -> int:
    """Start the parts, run the checks, and return the number of failures."""
    with tempfile.TemporaryDirectory(prefix="team-") as name, ExitStack() as processes:
        folder = Path(name)
        folder.chmod(0o755)  # the processes of nginx may run as another user
        (folder / "signing_key").write_text(secrets.token_hex(32), encoding="utf-8")
        async with run_api() as (url, api):
            redis_url = processes.enter_context(run_redis(ensure_redis_server(), folder))
            replicas = [Replica(name, url, redis_url, folder) for name in NAMES]
            nginx = Nginx(find_nginx(), folder, replicas)
            team = Team(nginx, replicas, api)
            try:
                await asyncio.gather(*(replica.start() for replica in replicas))
                if problem := nginx.check():
                    report(False, "nginx.conf", problem)
                    return 1
                nginx.start()
                for check in CHECKS:
                    await team.check(re.sub("_", " ", check.__name__), lambda check=check: check(team))
            finally:
                nginx.stop()
                for replica in replicas:
                    replica.signal(signal.SIGKILL)
            if team.failed:
                sys.stdout.write(f"{nginx.errors()[-2000:]}\n")
    return team.failed


def main() -> int:
    """Run all checks and return the exit status."""
    if sys.platform == "win32":
        sys.exit("make team needs Linux or macOS.")
    for name in [name for name in os.environ if name.startswith("MEMORIES_")]:
        del os.environ[name]
    failed = 0 if lint_manifests() else 1
    failed += asyncio.run(asyncio.wait_for(run(), SECONDS))
    sys.stdout.write(f"team: {failed} checks failed\n" if failed else "team: all checks passed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
