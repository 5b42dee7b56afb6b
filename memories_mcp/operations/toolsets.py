"""The toolsets: groups of operations that an operator enables together, in the order they are offered."""

from __future__ import annotations

from memories_mcp.operation import Toolset

search = Toolset("search", "Find moments in your own video library by meaning, by spoken words or by image.")
chat = Toolset("chat", "Ask questions about your own videos and get answers with the moments that support them.")
transcripts = Toolset("transcripts", "Read what is seen and what is said in your own videos, and summaries of them.")
library = Toolset("library", "List, look up, download and delete your own videos, and read past conversations.")
upload = Toolset("upload", "Add videos and images to your own library.")
public = Toolset("public", "Search, ask about and read public videos of TikTok, YouTube and Instagram.")
public_upload = Toolset(
    "public_upload", "Add videos to the public library: visible to every customer, and permanent.", default=False
)
captions = Toolset("captions", "Describe single videos and images on request; needs a separate key.", default=False)
evidence = Toolset("evidence", "Read the moments behind an answer, and wait until new videos are ready.")
folders = Toolset(
    "folders",
    "Sort your own videos into folders, which belong to the whole account.",
    default=False,
    whole_account=True,
)
chatgpt = Toolset(
    "chatgpt",
    "The tools search and fetch as ChatGPT's connectors and deep research require them: they return JSON, in which "
    "titles and texts come from videos and are as untrusted as fenced text.",
    default=False,
)

frames = Toolset("frames", "See moments of your own videos as pictures, and save clips of them.", default=False)

TOOLSETS = (
    search,
    chat,
    transcripts,
    library,
    upload,
    public,
    public_upload,
    captions,
    evidence,
    folders,
    chatgpt,
    frames,
)

viewer = Toolset("viewer", "For the evidence viewer inside a chat, which alone calls it.", default=False)
"""Not among the toolsets: the server offers it with the viewer, and no model, agent or command line sees it."""
