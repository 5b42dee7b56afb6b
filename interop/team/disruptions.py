"""The checks of what goes away under calls: a replica that stops, restarts or is killed."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import AsyncExitStack, suppress

import httpx2
from mcp import Client, MCPError
from mcp_types import (
    CallToolResult,
)

from interop.team.common import (
    BASE,
    HELLO,
    MEETING,
    TRANSPORTS,
    Failed,
    Team,
    connect,
    data_of,
    expect,
    new_key,
    new_prompt,
    numbers,
    question,
)
from interop.team.parts import NAMES, Replica

Held = tuple[str, asyncio.Task[CallToolResult], asyncio.Event]
"""The prompt of a chat, the chat, and what lets the API answer it."""


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
