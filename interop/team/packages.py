"""The programs of the system that the team check uses."""

from __future__ import annotations

import shutil
import subprocess


def ensure_redis_server() -> str:
    """Return the path of redis-server; install Debian's package if it is missing, without starting its service."""
    if path := shutil.which("redis-server"):
        return path
    # The policy file keeps the package from starting a service; it replaces none.
    script = (
        "set -e; test -e /usr/sbin/policy-rc.d || { printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d; "
        "chmod +x /usr/sbin/policy-rc.d; trap 'rm /usr/sbin/policy-rc.d' EXIT; }; "
        "apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server"
    )
    subprocess.run(["/bin/sh", "-c", script], check=True)
    path = shutil.which("redis-server")
    assert path, "the package has no redis-server"
    return path
