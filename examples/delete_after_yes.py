"""An agent that deletes videos only after a person has seen what would be lost and said yes.

    MEMORIES_SANDBOX=true python examples/delete_after_yes.py openai:gpt-5 "Delete the video about bike chains."

`confirm="interrupt"` pauses the graph inside the tool, whatever the model wrote. After the answer the call is made
again; had the videos changed meanwhile, nothing would be deleted.
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

from langchain_tools import MemoriesToolkit


def carry_out(
    model: BaseChatModel, toolkit: MemoriesToolkit, request: str, agrees: Callable[[dict[str, Any]], bool]
) -> str:
    """Run the agent; each time it is interrupted, ask the person and go on with their answer."""
    agent = create_agent(model, toolkit.get_tools(), checkpointer=InMemorySaver())
    config: RunnableConfig = {"configurable": {"thread_id": uuid.uuid4().hex}}
    state = agent.invoke({"messages": [HumanMessage(request)]}, config)
    while pending := state.get("__interrupt__"):
        answers = {each.id: agrees(each.value) for each in pending}
        state = agent.invoke(Command(resume=answers), config)
    return state["messages"][-1].text


def at_the_terminal(preview: dict[str, Any]) -> bool:
    """Show what would be lost and read the answer."""
    print(preview["action"], *(f"- {each}" for each in preview["items"]), sep="\n")
    return input("Go on? [y/N] ").strip().lower() in {"y", "yes"}


if __name__ == "__main__":
    _, name, request = sys.argv
    with MemoriesToolkit(confirm="interrupt") as memories:
        print(carry_out(init_chat_model(name), memories, request, at_the_terminal))
