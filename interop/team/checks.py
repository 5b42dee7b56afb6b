"""The checks of replicas that all run: routing, progress, forms, confirmations, changes, other clients."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Any

from mcp_types import (
    ElicitRequestFormParams,
    ElicitResult,
    EmptyResult,
    ResourceUpdatedNotification,
    SubscribeRequest,
    SubscribeRequestParams,
)

from interop.run import CONFORMANCE, NODE, environment
from interop.team.common import (
    BIKE,
    MEETING,
    TRANSPORTS,
    Team,
    Transport,
    connect,
    data_of,
    expect,
    new_key,
    new_prompt,
    numbers,
    question,
)
from interop.team.parts import NAMES

HERE = Path(__file__).parent
OWN_PROMPT = re.compile(r".* \([0-9a-f]{8}\)")
"""A prompt of `new_prompt`."""


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
