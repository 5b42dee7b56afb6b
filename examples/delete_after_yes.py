"""An agent that deletes videos only after a person has seen the list and agreed.

    python examples/delete_after_yes.py
    MEMORIES_API_KEY=… OPENAI_API_KEY=… python examples/delete_after_yes.py openai:gpt-5 "Delete the video about bikes."

Needs `pip install "memories-mcp[langchain]" langchain`, and the model's package, here `langchain-openai`. Without
arguments, a scripted model runs offline on the sandbox. `confirm="interrupt"` pauses the graph inside the tool, and no
text of the model can prevent that. If the videos have changed when the answer arrives, the tool deletes none.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from typing import Any

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from offline import ScriptedModel, read_arguments

from langchain_tools import MemoriesToolkit


def carry_out(
    model: BaseChatModel, toolkit: MemoriesToolkit, request: str, confirm: Callable[[dict[str, Any]], bool]
) -> str:
    """Run the agent; at each interrupt, get the person's answer and resume."""
    agent = create_agent(model, toolkit.get_tools(), checkpointer=InMemorySaver())
    config: RunnableConfig = {"configurable": {"thread_id": uuid.uuid4().hex}}
    state = agent.invoke({"messages": [HumanMessage(request)]}, config)
    while interrupts := state.get("__interrupt__"):
        answers = {interrupt.id: confirm(interrupt.value) for interrupt in interrupts}
        state = agent.invoke(Command(resume=answers), config)
    return state["messages"][-1].text


def confirm_at_terminal(preview: dict[str, Any]) -> bool:
    """Print the preview and read the answer; the end of the input is a no."""
    print(preview["action"], *(f"- {item}" for item in preview["items"]), "Go on? [y/N] ", sep="\n", end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


if __name__ == "__main__":
    request = "Delete the video about bike chains."
    model: BaseChatModel = ScriptedModel(calls=[("delete_videos", {"video_nos": ["VI611702946038315594"]})])
    if arguments := read_arguments(init_chat_model):
        model, request = arguments
    with MemoriesToolkit(confirm="interrupt") as toolkit:
        print(carry_out(model, toolkit, request, confirm_at_terminal))
