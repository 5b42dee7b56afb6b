"""Index of what is seen and said in your videos, in a vector store.

    python examples/index_library.py
    MEMORIES_API_KEY=… OPENAI_API_KEY=… python examples/index_library.py openai:text-embedding-3-small "the new logo"

Needs `pip install "memories-mcp[langchain]" langchain numpy`, and the model's package, here `langchain-openai`. Without
arguments, it indexes the sandbox's library offline, by word counts. The store is LangChain's in-memory one. Any other
store takes the same documents; ids stay the same, so that indexing again replaces documents and adds no duplicates.
"""

from __future__ import annotations

from itertools import islice

from langchain.embeddings import init_embeddings
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore, VectorStore
from offline import WordEmbeddings, read_arguments

from langchain_tools import MemoriesTranscriptLoader


def index(loader: MemoriesTranscriptLoader, store: VectorStore) -> int:
    """Add the documents in batches, which keeps memory use constant, and return their number."""
    documents, total = loader.lazy_load(), 0
    while batch := list(islice(documents, 200)):
        total += len(store.add_documents(batch))
    return total


def find(store: VectorStore, question: str) -> list[str]:
    """Return the three best windows of time; the tool get_evidence takes their ids as refs."""
    documents = store.similarity_search(question, k=3)
    return [f"{document.id}: {document.page_content[:200]}" for document in documents]


def main(embeddings: Embeddings, question: str) -> list[str]:
    """Index the whole library in windows of a minute, then search it."""
    store = InMemoryVectorStore(embeddings)
    with MemoriesTranscriptLoader(chunk_seconds=60) as loader:
        index(loader, store)
    return find(store, question)


if __name__ == "__main__":
    embeddings, question = WordEmbeddings(), "price of the Team plan"
    if arguments := read_arguments(init_embeddings, "openai:text-embedding-3-small"):
        embeddings, question = arguments
    print(*main(embeddings, question), sep="\n\n")
