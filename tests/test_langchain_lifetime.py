"""Lifetime of the connections of a toolkit: loops, threads, forks, copies, and the end of the process."""

from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from agents import tool, toolkit
from conftest import MEETING
from pydantic import SecretStr, ValidationError

from langchain_tools import MemoriesRetriever, MemoriesToolkit
from langchain_tools.bridge import bridge
from memories_mcp.settings import Settings

pytestmark = pytest.mark.usefixtures("no_limits")

SEARCH: dict[str, Any] = {"query": "price of the Team plan", "top_k": 2}


def test_it_works_in_several_event_loops_one_after_the_other(settings: Settings) -> None:
    kit = toolkit(settings)
    for _ in range(3):
        assert MEETING in asyncio.run(tool(kit, "search_videos").ainvoke(SEARCH))
    assert MEETING in tool(kit, "search_videos").invoke(SEARCH)
    kit.close()


@pytest.mark.anyio
async def test_it_works_inside_a_running_loop_both_ways(settings: Settings) -> None:
    async with toolkit(settings) as kit:
        asynchronous = await tool(kit, "search_videos").ainvoke(SEARCH)
        synchronous = tool(kit, "search_videos").invoke(SEARCH)

    assert MEETING in asynchronous
    assert MEETING in synchronous


def test_sixteen_threads_make_many_calls_and_leave_no_thread_behind(settings: Settings) -> None:
    kit = toolkit(settings)
    tool(kit, "list_sessions").invoke({})
    before = threading.active_count()
    results = list[str]()

    def work(number: int) -> None:
        for _ in range(10):
            listing = tool(kit, "list_sessions")
            results.append(asyncio.run(listing.ainvoke({})) if number % 2 else listing.invoke({}))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kit.close()

    assert len(results) == 160
    assert len(set(map(len, results))) == 1
    assert threading.active_count() == before


def test_an_unclosed_toolkit_leaves_no_connection_open(settings: Settings) -> None:
    kit = toolkit(settings)
    tool(kit, "list_sessions").invoke({})
    del kit
    gc.collect()
    bridge.run(lambda _: asyncio.sleep(0.05))
    gc.collect()  # a client left open would warn here, and warnings are errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX forks")
def test_a_toolkit_works_in_a_forked_child_which_closes_that_of_its_parent_without_harm(settings: Settings) -> None:
    code = """
import os, sys
from pydantic import SecretStr
from langchain_tools import MemoriesToolkit
kit = MemoriesToolkit(api_key=SecretStr(sys.argv[1]), base_url=sys.argv[2], tools=["list_sessions"])
[sessions] = kit.get_tools()
sessions.invoke({})
with MemoriesToolkit(sandbox=True, tools=["list_videos"]) as kit:
    [videos] = kit.get_tools()
    videos.invoke({})
    child = os.fork()
    if child == 0:
        sys.exit(0 if "pricing" in sessions.invoke({}).lower() else 1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    videos.invoke({})
sys.exit(code)
"""
    command = [sys.executable, "-W", "error", "-c", code, settings.api_key, settings.base_url]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (completed.returncode, completed.stderr) == (0, "")


@pytest.mark.parametrize("statement", ["", "import weakref; weakref.finalize(type('X', (), {})(), print)"])
def test_a_process_that_ends_with_an_open_toolkit_ends_in_silence(statement: str) -> None:
    # asyncio's debug mode warns of slow callbacks, which does not matter here; its errors still fail the test.
    code = f"""
import logging
logging.getLogger("asyncio").addFilter(lambda record: not record.msg.startswith("Executing "))
{statement}
from langchain_tools import MemoriesToolkit, MemoriesRetriever
kit = MemoriesToolkit(sandbox=True, tools=["list_videos"])
kit.get_tools()[0].invoke({{}})
MemoriesRetriever(sandbox=True).invoke("pricing")
print("done")
"""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", code]
    completed = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (completed.stdout.split()[-1], completed.stderr, completed.returncode) == ("done", "", 0)


def test_toolkit_and_retriever_share_the_sandbox_of_the_process() -> None:
    with MemoriesToolkit(sandbox=True, tools=["upload_video_url"]) as kit, MemoriesRetriever(sandbox=True) as retriever:
        url = "https://media.example/zebra.mp4"
        kit.get_tools()[0].invoke({"url": url, "wait_seconds": 10})
        [document] = retriever.invoke("zebra", k=1, search_type="BY_VIDEO")

    assert document.metadata["video_name"] == "zebra"


def test_closing_during_calls_breaks_none_of_them_and_leaves_nothing_open(settings: Settings) -> None:
    kit, failed = toolkit(settings), list[BaseException]()

    def work() -> None:
        for _ in range(10):
            try:
                tool(kit, "search_videos").invoke(SEARCH)
            except BaseException as error:
                failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        kit.close()
        time.sleep(0.01)
    for thread in threads:
        thread.join()
    kit.close()
    gc.collect()  # a client left open would warn here, and warnings are errors

    assert failed == []


def test_copies_share_the_account_and_changed_copies_take_the_change(settings: Settings, key: str) -> None:
    kit = toolkit(settings)
    narrow = kit.model_copy(update={"read_only": True})
    assert "delete_videos" not in {tool.name for tool in narrow.get_tools()}
    tool(kit, "upload_video_url").invoke({"url": "https://media.example/of-one.mp4"})
    other = kit.model_copy(update={"api_key": SecretStr(f"{key}-other")})
    assert "of-one" in tool(copy.deepcopy(kit), "list_videos").invoke({})
    assert "of-one" not in tool(other, "list_videos").invoke({})
    with pytest.raises(ValidationError, match="frozen"):
        kit.read_only = True
    for component in (kit, *kit.get_tools()):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(component)


@pytest.mark.anyio
async def test_cancelling_an_async_call_leaves_the_toolkit_usable(settings: Settings) -> None:
    async with toolkit(settings) as kit:
        task = asyncio.create_task(tool(kit, "wait_until_ready").ainvoke({"video_nos": [MEETING]}))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert MEETING in await tool(kit, "search_videos").ainvoke(SEARCH)


async def count_tasks() -> int:
    return len(asyncio.all_tasks())


def test_closing_the_callers_loop_during_a_call_does_no_harm(settings: Settings) -> None:
    kit, loop = toolkit(settings), asyncio.new_event_loop()
    tasks = bridge.run(lambda _: count_tasks())
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with MemoriesToolkit(api_key=SecretStr("sk-1"), base_url=url) as slow:
            abandoned = loop.create_task(tool(slow, "list_sessions").ainvoke({}))
            connection, _ = loop.run_until_complete(loop.run_in_executor(None, server.accept))
            loop.close()  # with the call under way: the answer has no loop to return to
            with connection:
                connection.recv(65_536)
                body = b'{"code":"0000","data":{"sessions":[]}}'
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
                for _ in range(1000):
                    if bridge.run(lambda _: count_tasks()) <= tasks:
                        break
                    time.sleep(0.01)

    assert not abandoned.done()
    del abandoned
    gc.collect()  # asyncio logs an abandoned task when it is collected
    assert MEETING in tool(kit, "search_videos").invoke(SEARCH)
    assert MEETING in asyncio.run(tool(kit, "search_videos").ainvoke(SEARCH))
