"""Index what is seen and said in a library of videos into a vector store, and search it there.

    MEMORIES_API_KEY=… python examples/index_library.py openai:text-embedding-3-small "who chose the new logo?"

Without a key, MEMORIES_SANDBOX=true indexes the offline demo library. The store is LangChain's in-memory one; any other
takes the same documents, and replaces in place of doubling when it is filled again, since ids stay the same.
"""

from __future__ import annotations

import sys
from itertools import islice

from langchain.embeddings import init_embeddings
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore

from langchain_tools import MemoriesTranscriptLoader


def index(loader: MemoriesTranscriptLoader, store: VectorStore) -> int:
    """Fill the store batch by batch, so that memory stays flat, and return how many windows of time it took in."""
    documents, total = loader.lazy_load(), 0
    while batch := list(islice(documents, 200)):
        total += len(store.add_documents(batch))
    return total


def find(store: VectorStore, question: str) -> list[str]:
    """The best windows, with a ref that the tool get_evidence reads."""
    return [f"{each.id}: {each.page_content[:200]}" for each in store.similarity_search(question, k=3)]


def main(embeddings: Embeddings, question: str) -> list[str]:
    """Index the whole library in windows of a minute, then ask."""
    store = InMemoryVectorStore(embeddings)
    with MemoriesTranscriptLoader(chunk_seconds=60) as loader:
        index(loader, store)
    return find(store, question)


if __name__ == "__main__":
    _, name, question = sys.argv
    print(*main(init_embeddings(name), question), sep="\n\n")
