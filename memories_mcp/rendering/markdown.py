"""Conversations as Markdown."""

from __future__ import annotations

import re

from memories_mcp.models.evidence import Evidence
from memories_mcp.models.sessions import Session
from memories_mcp.rendering.fence import fence
from memories_mcp.rendering.text import format_span


def session_markdown(session: Session, nonce: str) -> str:
    """Return a conversation as fenced Markdown, with its moments as numbered citations at the end."""
    moments: list[Evidence] = []
    numbers: dict[str, int] = {}
    turns: list[str] = []
    for message in session.messages:
        for moment in message.evidence:
            if moment.ref not in numbers:
                moments.append(moment)
                numbers[moment.ref] = len(moments)
        quote = "\n".join(f"> {line}".rstrip() for line in _escape(message.content).split("\n"))
        turn = f"**{_escape(message.role)}**\n\n{quote}"
        if message.evidence:
            turn += "\n\nRests on " + " ".join(f"[{numbers[moment.ref]}]" for moment in message.evidence)
        turns.append(turn)
    sections = [f"# {_escape(session.title) or 'Conversation'}", *turns]
    if moments:
        citations = [f"{number}. {_citation(moment)}" for number, moment in enumerate(moments, 1)]
        sections.append("## Citations\n\n" + "\n".join(citations))
    body = "\n\n".join(sections)
    return f"Conversation {session.session_id}, {session.message_count} messages.\n\n{fence(body, nonce)}\n"


def _citation(moment: Evidence) -> str:
    name = _escape_line(moment.video_name or moment.video_no or "")
    position = f"{name} {format_span(moment.start_seconds, moment.end_seconds)}".strip() or moment.ref
    if moment.uri:
        position = f"[{position}]({moment.uri})"
    text = f": “{_escape_line(moment.text)}”" if moment.text else ""
    return f"{position} ({moment.kind}){text} `{moment.ref}`"


def _escape_line(text: str) -> str:
    return " ".join(_escape(text).split())


def _escape(text: str) -> str:
    """Escape a text so that, shown as Markdown, it loads no image and closes no link."""
    return re.sub(r"([\[\]<])", r"\\\1", text)
