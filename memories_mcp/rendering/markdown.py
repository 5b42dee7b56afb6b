"""Conversations as Markdown."""

from __future__ import annotations

import re

from memories_mcp.models.evidence import Evidence
from memories_mcp.models.sessions import Session
from memories_mcp.rendering.fence import fence
from memories_mcp.rendering.text import span


def session_markdown(session: Session, nonce: str) -> str:
    """A conversation as Markdown; the moments it rests on are numbered, and told at the end."""
    numbers: dict[str, int] = {}
    moments: dict[str, Evidence] = {}
    turns: list[str] = []
    for message in session.messages:
        for each in message.evidence:
            numbers.setdefault(each.ref, len(numbers) + 1)
            moments.setdefault(each.ref, each)
        rests = " ".join(f"[{numbers[each.ref]}]" for each in message.evidence)
        quoted = "\n".join(f"> {line}".rstrip() for line in _harmless(message.content).split("\n"))
        turns.append(f"**{_harmless(message.role)}**\n\n{quoted}" + (f"\n\nRests on {rests}" if rests else ""))
    cited = "\n".join(f"{number}. {_citation(moments[ref])}" for ref, number in numbers.items())
    parts = [f"# {_harmless(session.title) or 'Conversation'}", *turns, f"## Citations\n\n{cited}" if cited else ""]
    body = "\n\n".join(part for part in parts if part)
    return f"Conversation {session.session_id}, {session.message_count} messages.\n\n{fence(body, nonce)}\n"


def _citation(moment: Evidence) -> str:
    name = _one_line(moment.video_name or moment.video_no or "")
    where = f"{name} {span(moment.start_seconds, moment.end_seconds)}".strip()
    linked = f"[{where or moment.ref}]({moment.uri})" if moment.uri else where or moment.ref
    text = f": “{_one_line(moment.text)}”" if moment.text else ""
    return f"{linked} ({moment.kind}){text} `{moment.ref}`"


def _one_line(text: str) -> str:
    return " ".join(_harmless(text).split())


def _harmless(text: str) -> str:
    """Text that loads no image and closes no link when it is shown as Markdown."""
    return re.sub(r"([\[\]<])", r"\\\1", text)
