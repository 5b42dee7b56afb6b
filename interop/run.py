"""`make interop`: third-party clients and checks against the server on its sandbox.

python -m interop.run [clients|inspector|viewer|conformance|frameworks|converters ...] [--screenshots]
"""

from __future__ import annotations

import argparse
import json
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
from typing import Any

from interop.browser import browser
from interop.environments import environment_python
from memories_mcp.operations import select

HERE = Path(__file__).parent
FOLDER = HERE.parent / ".interop"
SCREENSHOTS = HERE.parent / "docs" / "images"
MODULES = FOLDER / "node_modules"
NODE = MODULES / ".bin" / "node"
CONFORMANCE = MODULES / "@modelcontextprotocol/conformance/dist/index.js"
INSPECTOR = MODULES / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
SERVER = [sys.executable, "-m", "memories_mcp", "--sandbox"]
REVISIONS = ("2025-11-25", "2026-07-28")


def install() -> None:
    """Install the clients, once for each set of versions; Node is one of the packages."""
    manifest, stamp = HERE / "package.json", FOLDER / "installed.json"
    if stamp.is_file() and stamp.read_bytes() == manifest.read_bytes():
        return
    FOLDER.mkdir(exist_ok=True)
    shutil.copy(manifest, FOLDER / "package.json")
    command = ["npm", "install", "--no-package-lock", "--no-fund", "--no-audit", "--loglevel=error"]
    subprocess.run(command, cwd=FOLDER, check=True, timeout=900)
    shutil.copy(manifest, stamp)


def environment() -> dict[str, str]:
    """Return this environment without `MEMORIES_` variables, and with a temporary store for the Inspector."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("MEMORIES_")}
    store = tempfile.mkdtemp(prefix="interop-")
    return variables | {"INTEROP_DIR": str(FOLDER), "MCP_CATALOG_PATH": f"{store}/mcp.json", "MCP_STORAGE_DIR": store}


class Checks:
    """Runs commands, prints the result of each, and counts the failures."""

    def __init__(self) -> None:
        self.environment = environment()
        self.failed = 0

    def run(self, title: str, command: Sequence[str | Path], *, forbidden_output: str = "") -> None:
        """Run a command, which must exit with 0.

        Args:
            title: Printed with the result.
            command: The program and its arguments.
            forbidden_output: A pattern that the command's output must not match, in any case; empty for none.
        """
        started = time.monotonic()
        try:
            process = subprocess.run(
                [str(part) for part in command], capture_output=True, text=True, timeout=180, env=self.environment
            )
            output, passed = process.stdout + process.stderr, process.returncode == 0
        except subprocess.TimeoutExpired as timeout:
            output, passed = str(timeout), False
        if forbidden_output and re.search(forbidden_output, output, re.IGNORECASE):
            passed = False
        lines = output.strip().splitlines()
        # The TypeScript clients print a summary; the Inspector prints whole lists.
        summary = lines[-1][:160] if lines and title.startswith("typescript") else ""
        self.report(passed, f"{title} ({time.monotonic() - started:.1f} s)", summary)
        if not passed:
            sys.stdout.write("\n".join(f"     {line[:300]}" for line in lines[-25:]) + "\n")

    def report(self, passed: bool, title: str, summary: str = "") -> None:
        """Print one line of the report."""
        if not passed:
            self.failed += 1
        sys.stdout.write(f"{'ok  ' if passed else 'FAIL'} {title} {summary}".rstrip() + "\n")
        sys.stdout.flush()


@contextmanager
def serving(command: Sequence[str | Path], pattern: str, environment: dict[str, str]) -> Generator[str, None, None]:
    """Run a server in its own process, and yield the base URL from the first line that it prints."""
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip
    try:
        assert process.stdout
        match = re.search(pattern, process.stdout.readline())
        assert match, "the server did not start"
        yield match[1]
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def clients(checks: Checks, url: str) -> None:
    """Check the official TypeScript SDK: both versions, three transports, both eras."""
    transports = [("stdio", [str(part) for part in SERVER]), ("http", [f"{url}/mcp"]), ("sse", [f"{url}/sse"])]
    for sdk, eras in (("v1", ["legacy"]), ("v2", ["legacy", "modern"])):
        for era in eras:
            for transport, target in transports:
                command = [NODE, HERE / "clients.mjs", sdk, transport, era, *target]
                checks.run(f"typescript {sdk} {transport} {era}:", command)


def inspector(checks: Checks, url: str) -> None:
    """Check with the MCP Inspector's command line: no error and, with its strict reading of schemas, no warning."""
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
            forbidden = r"\bwarning" if options else ""
            checks.run(f"inspector {title} {method} {' '.join(options)}".rstrip(), command, forbidden_output=forbidden)


def viewer(checks: Checks, url: str, *options: str | Path) -> None:
    """Check the evidence viewer in Chromium, in a host made with the protocol's own library.

    Args:
        checks: The report.
        url: The server.
        options: Further arguments of `check.mjs`.
    """
    command = [str(part) for part in (NODE, HERE / "viewer" / "check.mjs", url, *options)]
    environment = checks.environment | {"CHROMIUM": browser(FOLDER, NODE)}
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
        output, problems = process.stdout, process.stderr
    except subprocess.TimeoutExpired as timeout:
        output, problems = "", str(timeout)
    reports = re.findall(r"^(ok  |FAIL) (viewer: .*)$", output, re.MULTILINE)
    for mark, title in reports:
        checks.report(mark == "ok  ", title)
    if not output.rstrip().endswith("viewer: end"):
        checks.report(False, "viewer: the checks did not run to their end")
        sys.stdout.write("\n".join(f"     {line[:300]}" for line in problems.splitlines()[-15:]) + "\n")


def conformance(checks: Checks, url: str) -> None:
    """Check that every required scenario of both revisions passes, and that each excluded one fails."""
    exclusions = tomllib.loads((HERE / "exclusions.toml").read_text(encoding="utf-8"))["excluded"]
    excluded = {exclusion["scenario"] for exclusion in exclusions if exclusion["reason"]}
    ran: set[str] = set()
    for revision in REVISIONS:
        command = [str(NODE), str(CONFORMANCE), "server", "--url", f"{url}/mcp", "--requirements", revision]
        with tempfile.TemporaryDirectory(prefix="interop-") as results:
            process = subprocess.run(
                [*command, "-o", results], capture_output=True, text=True, timeout=600, env=checks.environment
            )
        summary, _, unscored = process.stdout.partition("=== SUMMARY ===")[2].partition("Not scored for")
        marks = re.findall(r"^([✓✗]) ([a-z0-9-]+):", summary, re.MULTILINE)
        scored = {name: mark for mark, name in marks}
        for name in re.findall(r"^ +[✓✗] ([a-z0-9-]+) ", unscored, re.MULTILINE):
            scored.pop(name, None)
        ran |= set(scored)
        passed = {name for name, mark in scored.items() if mark == "✓"}
        failures = sorted((set(scored) - passed) - excluded)
        stale = sorted(passed & excluded)
        title = f"conformance {revision}: {len(passed)} of {len(scored)} required scenarios, the rest excluded"
        checks.report(len(scored) > 20 and not failures and not stale, title)
        for name in failures:
            sys.stdout.write(f"     {name} fails and is not excluded\n")
        for name in stale:
            sys.stdout.write(f"     {name} is excluded but passes\n")
    if unknown := sorted(excluded - ran):
        checks.report(False, f"excluded, but not scenarios: {', '.join(unknown)}")


def frameworks(checks: Checks) -> None:
    """Check the MCP clients of agent frameworks: all tools, a call's text and structured content, an error."""
    tools = {operation.name for operation in select()}
    for name, spec in tomllib.loads((HERE / "frameworks.toml").read_text(encoding="utf-8")).items():
        python = environment_python(name, spec["requirements"])
        started = time.monotonic()
        process = subprocess.run(
            [str(python), "-W", "ignore", str(HERE / "frameworks" / f"{name}_client.py"), *SERVER],
            capture_output=True, text=True, timeout=180, env=checks.environment,
        )  # fmt: skip
        problems = framework_problems(process.stdout, tools)
        checks.report(not problems, f"framework {name} ({time.monotonic() - started:.1f} s)")
        for line in problems and [*problems, *process.stderr.splitlines()[-15:]]:
            sys.stdout.write(f"     {line[:300]}\n")


def converters(checks: Checks) -> None:
    """Check that LangChain's model packages take every tool and every result; a local stub receives the requests."""
    requirements = (HERE / "converters.txt").read_text(encoding="utf-8").split()
    python = environment_python("converters", [*requirements, "-e", f"{HERE.parent}[langchain,media]"])
    command = [python, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", HERE, HERE / "test_converters.py"]
    checks.run("langchain model packages", [*command, "-p", "no:cacheprovider"])


def sign_in(checks: Checks) -> None:
    """Check sign-in from end to end with a real identity provider."""
    command = [sys.executable, "-m", "interop.team.sign_in", NODE, HERE / "team" / "provider.mjs"]
    checks.run("sign-in with oidc-provider", command)


def framework_problems(output: str, tools: set[str]) -> list[str]:
    """Return what is wrong with the report of a framework's client; see `frameworks/report.py` for its fields.

    Args:
        output: The client's standard output, whose last line is the report.
        tools: The names of the tools that the server offers.
    """
    try:
        fields: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return ["the client printed no report"]
    problems: list[str] = []
    if set(fields["tools"]) != tools:
        problems.append(f"other tools than the server's: {sorted(set(fields['tools']) ^ tools)}")
    if len(fields["texts"]) != 1 or "Quarterly planning meeting" not in fields["texts"][0]:
        problems.append(f"not one text block with the moments: {fields['texts']}")
    structured: dict[str, list[object]] | None = fields["structured"]
    if structured is not None and len(structured.get("moments", [])) != 3:
        problems.append(f"not the structured content: {structured}")
    if not fields["is_error"] or "query:" not in fields["error"]:
        problems.append(f"the refused call is no error: {fields['error']}")
    return problems


SERVED = {"clients": clients, "inspector": inspector, "viewer": viewer}
ALONE = {"sign_in": sign_in, "frameworks": frameworks, "converters": converters}


def main() -> int:
    """Run the checks and return the exit status."""
    parser = argparse.ArgumentParser(description="Third-party clients and checks against the server on its sandbox.")
    names = [*SERVED, "conformance", *ALONE]
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"the checks to run: {', '.join(names)} (default: all)"
    )
    parser.add_argument(
        "--screenshots", action="store_true", help="also write the pictures of the viewer in docs/images"
    )
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.groups) - set(names)):
        parser.error(f"unknown checks: {', '.join(unknown)}")
    groups: list[str] = arguments.groups or names
    install()
    checks = Checks()
    url_pattern = r"(http://127\.0\.0\.1:\d+)"
    if served := [name for name in SERVED if name in groups]:
        with serving([*SERVER, "--transport", "http", "--port", "0"], url_pattern, checks.environment) as url:
            for name in served:
                SERVED[name](checks, url)
            if arguments.screenshots:
                viewer(checks, url, "--screenshots", SCREENSHOTS)
    if "conformance" in groups:
        with serving([sys.executable, HERE / "conformance_server.py", "0"], url_pattern, checks.environment) as url:
            conformance(checks, url)
    for name, run in ALONE.items():
        if name in groups:
            run(checks)
    sys.stdout.write(f"interop: {checks.failed} checks failed\n" if checks.failed else "interop: all checks passed\n")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
