"""An agent that answers questions about your videos and lists the moments behind its answer.

    python examples/agent_with_citations.py
    MEMORIES_API_KEY=… OPENAI_API_KEY=… python examples/agent_with_citations.py openai:gpt-5 "What is the new price?"

Needs `pip install "memories-mcp[langchain]" langchain`, and the model's package, here `langchain-openai`. Without
arguments, a scripted model runs offline on the sandbox.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from langchain.agents import create_agent
from langchain.chat_models import init_chat_model
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, ToolMessage
from offline import ScriptedModel, read_arguments

from langchain_tools import MemoriesToolkit

INSTRUCTIONS = """Answer from the videos alone. Search first, then read the moments with get_evidence before you quote.
Cite each claim as [video name, m:ss]. If the videos do not answer the question, say so."""


class CitedAnswer(NamedTuple):
    """An answer, and the moments that the tools returned before it."""

    answer: str
    moments: list[dict[str, Any]]


def ask(model: BaseChatModel, toolkit: MemoriesToolkit, question: str) -> CitedAnswer:
    """Run the agent, then collect the evidence from the structured results, which no model has rewritten."""
    agent = create_agent(model, toolkit.get_tools(), system_prompt=INSTRUCTIONS)
    messages = agent.invoke({"messages": [HumanMessage(question)]})["messages"]
    artifacts = [message.artifact for message in messages if isinstance(message, ToolMessage) and message.artifact]
    moments: dict[str, dict[str, Any]] = {}
    for result in [artifact["structured_content"] for artifact in artifacts]:
        for moment in [*result.get("evidence", ()), *result.get("moments", ())]:
            if "ref" in moment:  # a moment of get_evidence has the refs that it covers instead
                moments[moment["ref"]] = moment
    return CitedAnswer(messages[-1].text, list(moments.values()))


if __name__ == "__main__":
    question = "What does the Team plan cost?"
    model: BaseChatModel = ScriptedModel(calls=[("chat_with_library", {"prompt": question})])
    if arguments := read_arguments(init_chat_model):
        model, question = arguments
    with MemoriesToolkit(read_only=True) as toolkit:
        cited = ask(model, toolkit, question)
    print(cited.answer)
    for moment in cited.moments:
        print(f"- {moment.get('video_name', '')} {moment['ref']}")
