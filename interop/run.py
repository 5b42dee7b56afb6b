"""`make interop`: clients and checks that this project did not write, against the server on its sandbox."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE.parent / ".interop"
MODULES = FOLDER / "node_modules"
NODE = MODULES / ".bin" / "node"
CONFORMANCE = MODULES / "@modelcontextprotocol/conformance/dist/index.js"
INSPECTOR = MODULES / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
SERVER = [sys.executable, "-m", "memories_mcp", "--sandbox"]
REVISIONS = ("2025-11-25", "2026-07-28")


def install() -> None:
    """Install the clients, once for each set of versions; Node itself comes with them, as a package."""
    wanted, stamp = HERE / "package.json", FOLDER / "installed.json"
    if stamp.is_file() and stamp.read_bytes() == wanted.read_bytes():
        return
    FOLDER.mkdir(exist_ok=True)
    shutil.copy(wanted, FOLDER / "package.json")
    command = ["npm", "install", "--no-package-lock", "--no-fund", "--no-audit", "--loglevel=error"]
    subprocess.run(command, cwd=FOLDER, check=True, timeout=900)
    shutil.copy(wanted, stamp)


def environment() -> dict[str, str]:
    """This environment without our own settings, and with a place for what the Inspector keeps."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEMORIES_")}
    store = tempfile.mkdtemp(prefix="interop-")
    return kept | {"INTEROP_DIR": str(FOLDER), "MCP_CATALOG_PATH": f"{store}/mcp.json", "MCP_STORAGE_DIR": store}


class Checks:
    """Runs commands, says how each went, and remembers whether all went well."""

    def __init__(self) -> None:
        self.environment = environment()
        self.failed = 0

    def run(self, title: str, command: Sequence[str | Path], *, silent_about: str = "") -> str:
        """A command that must exit with 0 and must not say what it should be silent about."""
        begun = time.monotonic()
        try:
            done = subprocess.run(
                [str(part) for part in command], capture_output=True, text=True, timeout=180, env=self.environment
            )
            output, good = done.stdout + done.stderr, done.returncode == 0
        except subprocess.TimeoutExpired as late:
            output, good = str(late), False
        good = good and not (silent_about and re.search(silent_about, output, re.IGNORECASE))
        last = output.strip().splitlines()[-1][:160] if output.strip() else ""
        self.said(good, f"{title} ({time.monotonic() - begun:.1f} s)", last if title.startswith("typescript") else "")
        if not good:
            sys.stdout.write("\n".join(f"     {line[:300]}" for line in output.splitlines()[-25:]) + "\n")
        return output

    def said(self, good: bool, title: str, more: str = "") -> None:
        """One line of the report."""
        self.failed += not good
        sys.stdout.write(f"{'ok  ' if good else 'FAIL'} {title} {more}".rstrip() + "\n")
        sys.stdout.flush()


@contextmanager
def serving(command: Sequence[str | Path], pattern: str, environment: dict[str, str]) -> Generator[str, None, None]:
    """A server in a process of its own; its base URL is in the first line it prints."""
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip
    try:
        assert process.stdout
        found = re.search(pattern, process.stdout.readline())
        assert found, "the server did not start"
        yield found[1]
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def clients(checks: Checks, url: str) -> None:
    """The official TypeScript SDK, both versions, three transports, both eras."""
    ways = [("stdio", [str(part) for part in SERVER]), ("http", [f"{url}/mcp"]), ("sse", [f"{url}/sse"])]
    for sdk, eras in (("v1", ["legacy"]), ("v2", ["legacy", "modern"])):
        for era in eras:
            for transport, target in ways:
                command = [NODE, HERE / "clients.mjs", sdk, transport, era, *target]
                checks.run(f"typescript {sdk} {transport} {era}:", command)


def inspector(checks: Checks, url: str) -> None:
    """The MCP Inspector's command line with its strict reading of schemas: no error and no warning."""
    methods = [["tools/list", "--strict"], ["resources/list"], ["resources/templates/list"], ["prompts/list"]]
    targets: list[tuple[str, list[str], list[str]]] = []
    for era in ("legacy", "modern"):
        targets += [
            (f"stdio {era}", SERVER, ["--protocol-era", era]),
            (f"http {era}", ["--transport", "http", "--server-url", f"{url}/mcp"], ["--protocol-era", era]),
        ]
    targets.append(("sse", ["--transport", "sse", "--server-url", f"{url}/sse"], []))
    for title, target, era_options in targets:
        for method, *options in methods:
            command = [NODE, INSPECTOR, "--cli", *target, *era_options, "--method", method, *options]
            silent = r"\bwarning" if options else ""
            checks.run(f"inspector {title} {method} {' '.join(options)}".rstrip(), command, silent_about=silent)


def conformance(checks: Checks, url: str) -> None:
    """Every required scenario of both revisions passes, but for those excluded with a reason; each of these fails."""
    exclusions = tomllib.loads((HERE / "exclusions.toml").read_text(encoding="utf-8"))["excluded"]
    excluded = {each["scenario"] for each in exclusions if each["reason"]}
    ran: set[str] = set()
    for revision in REVISIONS:
        command = [str(NODE), str(CONFORMANCE), "server", "--url", f"{url}/mcp", "--requirements", revision]
        with tempfile.TemporaryDirectory(prefix="interop-") as results:
            done = subprocess.run(
                [*command, "-o", results], capture_output=True, text=True, timeout=600, env=checks.environment
            )
        summary, _, unscored = done.stdout.partition("=== SUMMARY ===")[2].partition("Not scored for")
        marks = re.findall(r"^([✓✗]) ([a-z0-9-]+):", summary, re.MULTILINE)
        scored = {name: mark for mark, name in marks}
        for name in re.findall(r"^ +[✓✗] ([a-z0-9-]+) ", unscored, re.MULTILINE):
            scored.pop(name, None)
        ran |= set(scored)
        passed = {name for name, mark in scored.items() if mark == "✓"}
        wrong = sorted((set(scored) - passed) - excluded)
        stale = sorted(passed & excluded)
        title = f"conformance {revision}: {len(passed)} of {len(scored)} required scenarios, the rest excluded"
        checks.said(len(scored) > 20 and not wrong and not stale, title)
        for name in wrong:
            sys.stdout.write(f"     {name} fails and is not excluded\n")
        for name in stale:
            sys.stdout.write(f"     {name} passes and need not be excluded\n")
    if never := sorted(excluded - ran):
        checks.said(False, f"excluded, but no scenario: {', '.join(never)}")


def main() -> int:
    """Run everything; 0 if all of it went well."""
    install()
    checks = Checks()
    announced = r"(http://127\.0\.0\.1:\d+)"
    with serving([*SERVER, "--transport", "http", "--port", "0"], announced, checks.environment) as url:
        clients(checks, url)
        inspector(checks, url)
    with serving([sys.executable, HERE / "conformance_server.py", "0"], announced, checks.environment) as url:
        conformance(checks, url)
    sys.stdout.write("interop: all well\n" if not checks.failed else f"interop: {checks.failed} checks failed\n")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
