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
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal, cast

import httpx2
from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    CallToolResult,
    ElicitRequestFormParams,
    ElicitResult,
    EmptyResult,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
)

from interop.environments import environment_python
from interop.run import CONFORMANCE, NODE, environment
from interop.team.packages import ensure_redis_server
from interop.team.parts import NAMES, Nginx, RecordedApi, Replica, find_nginx, run_api, run_redis

Transport = Literal["modern", "legacy", "sse"]
TRANSPORTS: tuple[Transport, ...] = ("modern", "legacy", "sse")
MEETING, BIKE = "VI612515093881740229", "VI611702946038315594"
HERE = Path(__file__).parent
SECONDS = 200
"""The time after which the run fails."""
BASE = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
HELLO: dict[str, Any] = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "team", "version": "1"}},
}  # fmt: skip


Held = tuple[str, asyncio.Task[CallToolResult], asyncio.Event]
"""The prompt of a chat, the chat, and what lets the API answer it."""


class Failed(Exception):
    """A check failed; the text says how."""


def expect(is_true: object, text: object) -> None:
    """Fail the check with a text unless a condition is true."""
    if not is_true:
        raise Failed(text)


def first_line(error: BaseException) -> str:
    """Return the error, or the first one of a group, as one line."""
    if isinstance(error, BaseExceptionGroup):
        return first_line(cast("BaseExceptionGroup[BaseException]", error).exceptions[0])
    return f"{type(error).__name__}: {error}"


class Team:
    """What runs, and the report."""

    def __init__(self, nginx: Nginx, replicas: list[Replica], api: RecordedApi) -> None:
        self.nginx = nginx
        self.replicas = replicas
        self.api = api
        self.failed = 0

    async def check(self, title: str, run: Callable[[], Awaitable[str]]) -> None:
        """Run one check and print its line, with what it returns."""
        started = time.monotonic()
        try:
            passed, text = True, await asyncio.wait_for(run(), 90)
        except Exception as error:
            passed, text = False, first_line(error)
        report(passed, f"{title} ({time.monotonic() - started:.1f} s)", text)
        self.failed += not passed


def report(passed: bool, title: str, text: str) -> None:
    """Print one line of the report."""
    sys.stdout.write(f"{'ok  ' if passed else 'FAIL'} {title}{': ' if text else ''}{text}\n")
    sys.stdout.flush()


def new_key() -> dict[str, str]:
    """Return the header of a caller with an account of its own."""
    return {"Authorization": f"Bearer sk-team-{secrets.token_hex(8)}"}


@asynccontextmanager
async def connect(url: str, transport: Transport, headers: dict[str, str], **more: Any) -> AsyncGenerator[Client, None]:
    """Connect the SDK's client.

    Args:
        url: The server.
        transport: Streamable HTTP of either era, or SSE.
        headers: The credentials.
        more: Further arguments of the client.
    """
    if transport == "sse":
        async with Client(sse_client(f"{url}/sse", headers=headers), mode="legacy", cache=None, **more) as client:
            yield client
        return
    mode = "auto" if transport == "modern" else "legacy"
    # A connection for each request: any process of nginx may accept it, and none is closed by a reload of nginx.
    limits = httpx2.Limits(max_keepalive_connections=0)
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False, timeout=60, limits=limits) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode, cache=None, **more) as client,
    ):
        yield client


def data_of(result: CallToolResult) -> dict[str, Any]:
    """Return the structured content of a result."""
    expect(not result.is_error and result.structured_content is not None, result.content)
    return cast(dict[str, Any], result.structured_content)


async def numbers(client: Client) -> list[str]:
    """Return the numbers of the videos of the account."""
    return [video["video_no"] for video in data_of(await client.call_tool("list_videos", {}))["videos"]]


def question(prompt: str) -> dict[str, Any]:
    """Return the arguments of a chat."""
    return {"prompt": prompt, "video_nos": [MEETING]}


def new_prompt() -> str:
    """Return a question that no other chat asks."""
    return f"What is the price of the Team plan? ({secrets.token_hex(4)})"


OWN_PROMPT = re.compile(r".* \([0-9a-f]{8}\)")


async def calls_reach_every_replica(team: Team) -> str:
    """Call with clients of each kind; each session's requests must find its replica."""

    async def use(transport: Transport) -> None:
        async with connect(team.nginx.url, transport, new_key()) as client:
            for _ in range(3):
                expect(MEETING in await numbers(client), "the library lacks a video")

    before = len(team.nginx.served_by())
    await asyncio.gather(*(use(transport) for transport in ("modern", "legacy", "sse") for _ in range(6)))
    served = Counter(team.nginx.served_by()[before:])
    expect(set(NAMES) <= set(served), f"not all replicas served: {served}")
    return ", ".join(f"{name} served {served[name]}" for name in NAMES)


async def progress_arrives(team: Team) -> str:
    """Chat with progress over each transport."""
    counts: list[int] = []
    for transport in TRANSPORTS:
        updates: list[float] = []

        async def note(
            progress: float, total: float | None, message: str | None, updates: list[float] = updates
        ) -> None:
            updates.append(progress)

        async with connect(team.nginx.url, transport, new_key()) as client:
            prompt = new_prompt()
            reached, release = team.api.hold(prompt)
            chat = asyncio.create_task(client.call_tool("chat_with_videos", question(prompt), progress_callback=note))
            await asyncio.wait_for(reached.wait(), 30)
            async with asyncio.timeout(30):
                while not updates:  # noqa: ASYNC110 -- before the answer is complete, so nothing buffers it
                    await asyncio.sleep(0.01)
            release.set()
            expect(data_of(await chat)["answer"], "no answer")
        counts.append(len(updates))
    return f"{counts} notices"


async def forms_are_answered(team: Team) -> str:
    """Delete with a form over each transport; the modern answer goes to any replica."""
    crossed = 0
    for transport in TRANSPORTS:
        shown: list[str] = []

        async def agree(context: Any, params: Any, shown: list[str] = shown) -> ElicitResult:
            assert isinstance(params, ElicitRequestFormParams)
            shown.append(params.message)
            return ElicitResult(action="accept", content={"confirm": True})

        async with connect(team.nginx.url, transport, new_key(), elicitation_callback=agree) as client:
            before = len(team.nginx.served_by())
            for video in (MEETING, BIKE):
                result = data_of(await client.call_tool("delete_videos", {"video_nos": [video]}))
                expect(result == {"deleted": [video]}, result)
            expect(len(shown) == 2, f"{len(shown)} forms were shown")
            if transport == "modern":
                crossed = len(set(team.nginx.served_by()[before:]))
            expect(not {MEETING, BIKE} & set(await numbers(client)), "the videos are still there")
    expect(crossed > 1, "one replica served both parts of the modern forms")
    return f"the modern ones over {crossed} replicas"


async def confirmations_count_elsewhere(team: Team) -> str:
    """Take the token of a preview to another replica."""
    for transport in TRANSPORTS:
        key = new_key()
        async with (
            connect(team.replicas[0].url, transport, key) as asking,
            connect(team.replicas[1].url, transport, key) as confirming,
        ):
            preview = data_of(await asking.call_tool("delete_videos", {"video_nos": [MEETING]}))
            token = preview["confirmation"]["confirmation_token"]
            delete = {"video_nos": [MEETING], "confirmation_token": token}
            deleted = data_of(await confirming.call_tool("delete_videos", delete))
            expect(deleted == {"deleted": [MEETING]}, deleted)
    return ""


async def changes_are_heard_elsewhere(team: Team) -> str:
    """Subscribe with one replica, and delete through another."""
    for transport in ("legacy", "sse"):
        key = new_key()
        heard: asyncio.Queue[str] = asyncio.Queue()

        async def note(message: Any, heard: asyncio.Queue[str] = heard) -> None:
            if isinstance(message, ResourceUpdatedNotification):
                heard.put_nowait(str(message.params.uri))

        async with (
            connect(team.replicas[0].url, transport, key, message_handler=note) as subscriber,
            connect(team.replicas[1].url, "modern", key) as deleting,
        ):
            request = SubscribeRequest(params=SubscribeRequestParams(uri="memories://videos"))
            await subscriber.session.send_request(request, EmptyResult)
            preview = data_of(await deleting.call_tool("delete_videos", {"video_nos": [MEETING]}))
            token = preview["confirmation"]["confirmation_token"]
            await deleting.call_tool("delete_videos", {"video_nos": [MEETING], "confirmation_token": token})
            expect(await asyncio.wait_for(heard.get(), 30) == "memories://videos", "another change was heard")
    return ""


async def held_chat(
    team: Team, client: Client, prompt: str, *, streams: bool = True
) -> tuple[asyncio.Task[CallToolResult], asyncio.Event]:
    """Start a chat that the API holds, and return it with what lets it go on.

    Args:
        team: What runs.
        client: Connected through nginx.
        prompt: The question.
        streams: Whether to ask for progress, which makes all answers on the way streams.
    """
    await client.list_tools()  # else the client asks for them after the answer, when its replica may have ended
    reached, release = team.api.hold(prompt)
    progress = ignore_progress if streams else None
    chat = asyncio.create_task(client.call_tool("chat_with_videos", question(prompt), progress_callback=progress))
    await asyncio.wait_for(reached.wait(), 30)
    return chat, release


async def ignore_progress(progress: float, total: float | None, message: str | None) -> None:
    """Take a notice of progress."""


async def only(team: Team, replica: Replica) -> None:
    """Send what begins now to one replica."""
    await team.nginx.mark(*(name for name in NAMES if name != replica.name))


async def a_stopping_replica_finishes_its_chats(team: Team) -> str:
    """Stop a replica during chats over each transport."""
    replica = team.replicas[0]
    await only(team, replica)
    async with AsyncExitStack() as clients:
        chats: list[tuple[asyncio.Task[CallToolResult], asyncio.Event]] = []
        for transport in TRANSPORTS:
            client = await clients.enter_async_context(connect(team.nginx.url, transport, new_key()))
            chats.append(await held_chat(team, client, new_prompt()))
        await team.nginx.mark(replica.name)
        replica.signal(signal.SIGTERM)
        await replica.until_status("/healthz", 503)
        async with connect(team.nginx.url, "modern", new_key()) as other:
            expect(MEETING in await numbers(other), "another replica does not serve")
        expect(not any(chat.done() for chat, _ in chats), "a chat ended before its answer was there")
        for _, release in chats:
            release.set()
        for chat, _ in chats:
            answer = data_of(await asyncio.wait_for(chat, 60))
            expect(answer["answer"] and answer["evidence"], f"the answer is not whole: {answer}")
    code = await replica.wait()
    expect(code == 0, f"the replica ended with {code}")
    await replica.start()
    await team.nginx.mark()
    return f"{len(chats)} chats"


async def a_refusal_of_a_stopping_replica_is_passed_on(team: Team) -> str:
    """Stop a replica that nginx still uses: what it refuses goes to another one."""
    replica = team.replicas[1]
    async with connect(team.nginx.url, "legacy", new_key()) as unused, AsyncExitStack() as clients:
        await only(team, replica)
        client = await clients.enter_async_context(connect(team.nginx.url, "modern", new_key()))
        chat, release = await held_chat(team, client, new_prompt())
        await team.nginx.mark()
        replica.signal(signal.SIGTERM)
        await replica.until_status("/healthz", 503)
        expect(MEETING in await numbers(unused), "a session of another replica ended")
        for _ in range(12):  # one after the other, so that the second try meets the next replica
            await numbers(client)
        release.set()
        data_of(await asyncio.wait_for(chat, 60))
    expect(await replica.wait() == 0, "the replica ended with an error")
    await replica.start()
    return ""


async def a_rolling_restart_loses_no_call(team: Team) -> str:
    """Restart each replica while callers call without a pause."""
    done = asyncio.Event()
    answered = Counter[str]()
    lost: list[str] = []

    async def caller(number: int) -> None:
        async with connect(team.nginx.url, "modern", new_key()) as client:
            while not done.is_set():
                try:
                    if number % 2:
                        await numbers(client)
                    else:
                        data_of(await client.call_tool("chat_with_videos", question(new_prompt())))
                    answered["calls"] += 1
                except (MCPError, Failed, httpx2.HTTPError) as error:
                    lost.append(repr(error))
                await asyncio.sleep(0.01)

    callers = [asyncio.create_task(caller(number)) for number in range(4)]
    for replica in team.replicas:
        await team.nginx.mark(replica.name)
        replica.signal(signal.SIGTERM)
        expect(await replica.wait() == 0, f"replica {replica.name} ended with an error")
        await replica.start()
        await team.nginx.mark()
    done.set()
    await asyncio.gather(*callers)
    expect(not lost and answered["calls"] > 20, f"{len(lost)} of {answered['calls']} lost: {lost[:3]}")
    return f"{answered['calls']} calls"


async def a_killed_replica_is_replaced_at_once(team: Team) -> str:
    """Kill a replica during chats: they end in an error, the next calls work, and nothing is sent twice."""
    chats: list[Held] = []
    key = new_key()
    async with (
        connect(team.nginx.url, "modern", new_key()) as modern,
        connect(team.nginx.url, "legacy", key) as legacy,
        httpx2.AsyncClient(base_url=team.nginx.url, trust_env=False, headers={**BASE, **key}, timeout=30) as raw,
    ):

        async def hold(client: Client, *, streams: bool) -> str:
            prompt = new_prompt()
            chats.append((prompt, *await held_chat(team, client, prompt, streams=streams)))
            return team.api.senders[prompt]

        victim = await hold(legacy, streams=True)
        expect(await hold(legacy, streams=False) == victim, "a session moved to another replica")
        for streams in (True, False):  # of both kinds at least one on the victim, and all replicas in the pool
            for _ in range(30):
                if await hold(modern, streams=streams) == victim:
                    break
        session = ""
        for _ in range(30):
            session = (await raw.post("/mcp", json=HELLO)).headers["mcp-session-id"]
            if session.startswith(f"{victim}."):
                break
        replica = next(replica for replica in team.replicas if replica.name == victim)
        replica.signal(signal.SIGKILL)
        await replica.wait()
        for _ in range(6):  # twice each replica, dead and alive
            expect(MEETING in await numbers(modern), "the next call failed")
        lost = [chat for prompt, chat, _ in chats if team.api.senders[prompt] == victim]
        expect(len(lost) >= 4, f"only {len(lost)} chats were on the victim")
        for chat in lost:
            with suppress(MCPError, httpx2.HTTPError):
                result = await asyncio.wait_for(chat, 30)
                expect(result.is_error, "a chat of the killed replica has an answer")
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        gone = await raw.post("/mcp", json=ping, headers={"mcp-session-id": session})
        expect(gone.status_code == 404, f"a session of the killed replica: {gone.status_code}")
        again = await raw.post("/mcp", json=HELLO)
        expect(again.status_code == 200, f"another session: {again.status_code}")
        for _, _, release in chats:
            release.set()
        for _, chat, _ in chats:
            if chat not in lost:
                expect(data_of(await asyncio.wait_for(chat, 30))["answer"], "a chat of another replica has no answer")
    await replica.start()
    sent = [team.api.chats[prompt] for prompt, _, _ in chats]
    expect(set(sent) == {1}, f"chats were sent {sent} times")
    return f"{len(lost)} chats ended in an error, {len(chats) - len(lost)} on other replicas did not"


async def typescript_clients_work(team: Team) -> str:
    """Run the official TypeScript SDK's clients through nginx: both versions, both eras, SSE."""
    if not CONFORMANCE.is_file():
        return "skipped, since `make interop` has not installed them"
    for sdk, transport, era in (
        ("v1", "http", "legacy"), ("v1", "sse", "legacy"), ("v2", "http", "legacy"), ("v2", "http", "modern")
    ):  # fmt: skip
        url = f"{team.nginx.url}/{'sse' if transport == 'sse' else 'mcp'}"
        process = await asyncio.create_subprocess_exec(
            str(NODE), str(HERE.parent / "clients.mjs"), sdk, transport, era, url,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=environment(),
        )  # fmt: skip
        output, _ = await process.communicate()
        expect(process.returncode == 0, f"{sdk} {transport} {era}: {output.decode()[-1500:]}")
    return "both versions, both eras, SSE"


async def nothing_was_sent_twice(team: Team) -> str:
    """Look at all chats of the run."""
    chats = {prompt: count for prompt, count in team.api.chats.items() if OWN_PROMPT.fullmatch(prompt)}
    repeated = {prompt: count for prompt, count in chats.items() if count != 1}
    expect(chats and not repeated, repeated)
    return f"{len(chats)} chats"


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
