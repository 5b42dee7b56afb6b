"""An agent that answers questions about your videos and says on which moments its answer rests.

    MEMORIES_API_KEY=… python examples/agent_with_citations.py openai:gpt-5 "What was decided about pricing?"

Without a key, MEMORIES_SANDBOX=true asks the offline demo library.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, ToolMessage

from langchain_tools import MemoriesToolkit

INSTRUCTIONS = """Answer from the videos alone. Search first, then read the moments with get_evidence before you quote.
Cite each claim as [video name, m:ss]. If the videos do not say it, say so."""


class Cited(NamedTuple):
    """An answer, and the moments that the tools found on the way to it."""

    answer: str
    moments: list[dict[str, Any]]


def ask(model: BaseChatModel, toolkit: MemoriesToolkit, question: str) -> Cited:
    """Let the agent work, then collect the evidence from its tools' structured results, which no model has retold."""
    agent = create_agent(model, toolkit.get_tools(), system_prompt=INSTRUCTIONS)
    messages = agent.invoke({"messages": [HumanMessage(question)]})["messages"]
    results = [
        each.artifact["structured_content"] for each in messages if isinstance(each, ToolMessage) and each.artifact
    ]
    moments = {each["ref"]: each for result in results for each in result.get("evidence") or hits(result)}
    return Cited(messages[-1].text, list(moments.values()))


def hits(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The moments of a search; those of `get_evidence` name several refs and are left out here."""
    return [each for each in result.get("moments", ()) if "ref" in each]


if __name__ == "__main__":
    _, name, question = sys.argv
    with MemoriesToolkit(read_only=True) as memories:
        cited = ask(init_chat_model(name), memories, question)
    print(cited.answer)
    for moment in cited.moments:
        print(f"- {moment.get('video_name', '')} {moment['ref']}")
