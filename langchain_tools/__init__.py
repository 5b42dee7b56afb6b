"""Native LangChain tools, retriever and loader for Memories.ai, sync and async, without a server in between."""

try:
    import langchain_core as _langchain_core
except ImportError as error:
    raise ImportError(
        'langchain_tools needs langchain-core; install it with: pip install "memories-mcp[langchain]"'
    ) from error

from langchain_tools.citations import Citation, collect_citations
from langchain_tools.history import MemoriesChatMessageHistory
from langchain_tools.ingestion import IngestionReport, aingest, ingest
from langchain_tools.loader import MemoriesTranscriptLoader
from langchain_tools.retriever import MemoriesRetriever
from langchain_tools.toolkit import MemoriesToolkit
from langchain_tools.tools import MemoriesTool

del _langchain_core

__all__ = [
    "Citation",
    "IngestionReport",
    "MemoriesChatMessageHistory",
    "MemoriesRetriever",
    "MemoriesTool",
    "MemoriesToolkit",
    "MemoriesTranscriptLoader",
    "aingest",
    "collect_citations",
    "ingest",
]
